/**
 * Keeps what commands do: each one that has changed a world is written down, with where the world stood afterwards, and
 * now and then the whole state is, so that a restart has little to do again.
 */
import { NorthbridgeError, VERSION } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import {
  changes,
  execute,
  type InputOf,
  OPERATIONS,
  type Operation,
  type OperationContext,
  type OperationId,
  type OutputOf,
  platformsOf,
} from '../operations/index.ts'
import {
  type CommandRecord,
  type Commit,
  encodeState,
  encodeStateNow,
  type KeptAnswer,
  type Snapshot,
  type Store,
  type WorldMark,
} from '../store/index.ts'
import { ExperimentKeeper } from './experiments.ts'
import { LogHistory } from './log-history.ts'
import { finished } from './waiting.ts'
import {
  CATALOGUE,
  changesCatalogue,
  changesExperiments,
  markOf,
  sameMark,
  saveWorld,
  standing,
  usesFiles,
} from './worlds.ts'

type Outcome<Output> = { readonly output: Output } | { readonly error: unknown }

/** How an operation ended, and the promise that it lasts. */
export interface Journalled<Output> {
  readonly outcome: Outcome<Output>
  /** Resolves once the command, if it was one, and its answer are durable. */
  readonly durable: Promise<void>
}

/** How far the log of a world is. One of the same name that comes later is another. */
interface Progress {
  sequence: number
  /** Commands since its state was kept last. */
  since: number
}

export class Journal {
  readonly #context: OperationContext
  readonly #store: Store
  readonly #worlds = new Map<string, Progress>()
  readonly #refused = new Map<string, string>()
  /** What becomes of experiments. */
  readonly experiments: ExperimentKeeper

  /** The history of the installation is to be had from its context from now on. */
  constructor(context: OperationContext, store: Store) {
    this.#context = context
    this.#store = store
    this.experiments = new ExperimentKeeper(context, store)
    context.history = new LogHistory(context, store, world => this.#worlds.get(world)?.sequence ?? 0)
  }

  get context(): OperationContext {
    return this.#context
  }

  /** A world whose log goes on, but not here: nothing is added to it. */
  refuse(world: string, reason: string): void {
    this.#refused.set(world, reason)
    if (world !== CATALOGUE) this.#context.platforms.refuse(world, reason)
  }

  /** A world that was found in the store, and how many of its commands a restart would do again. */
  goOn(world: string, sequence: number, since: number): void {
    this.#worlds.set(world, { sequence, since })
  }

  /**
   * Carries out an operation. What it has changed, and `answer` to whoever asked, are given to the store before another
   * command on the same worlds can begin. Nothing is begun while the store could not keep it.
   */
  *execute<Id extends OperationId>(
    id: Id,
    input: InputOf<Id>,
    answer?: (outcome: Outcome<OutputOf<Id>>) => KeptAnswer | undefined,
  ): Software<Journalled<OutputOf<Id>>> {
    const row = OPERATIONS[id] as unknown as Operation
    const obstacle = this.#obstacle(row)
    if (obstacle !== undefined) {
      answer?.({ error: obstacle })
      return { outcome: { error: obstacle }, durable: Promise.resolve() }
    }
    const named = platformsOf(row, this.#context, input as Readonly<Record<string, unknown>>)
    const there = named.filter(name => this.#context.platforms.has(name))
    const before = new Map(there.map(name => [name, markOf(this.#context, name)]))
    let outcome: Outcome<OutputOf<Id>>
    try {
      outcome = { output: yield* execute(this.#context, id, input) }
    } catch (error) {
      outcome = { error }
    }
    const commit = this.#commitOf(id, row, input, outcome, before)
    const kept = answer?.(outcome)
    if (commit === undefined && kept === undefined) return { outcome, durable: Promise.resolve() }
    return { outcome, durable: this.#store.commit({ ...commit, ...(kept && { answer: kept }) }) }
  }

  /** The same to its end: resolves once it is durable, rejects with what it has ended with. */
  async call<Id extends OperationId>(id: Id, input: InputOf<Id>): Promise<OutputOf<Id>> {
    const { outcome, durable } = await finished(this.execute(id, input))
    await durable
    if ('error' in outcome) throw outcome.error
    return outcome.output
  }

  /** Why what an operation changes could not be kept. */
  #obstacle(row: Operation): NorthbridgeError | undefined {
    if (!changes(row)) return undefined
    const reason = changesCatalogue(row) ? this.#refused.get(CATALOGUE) : undefined
    if (reason === undefined) return this.#store.trouble
    return new NorthbridgeError('worldUnavailable', `the catalogue of topologies cannot go on: ${reason}`)
  }

  /** What is to be written down of a command; undefined if nothing has changed. */
  #commitOf(
    id: OperationId,
    row: Operation,
    input: object,
    outcome: Outcome<unknown>,
    before: ReadonlyMap<string, WorldMark | undefined>,
  ): Commit | undefined {
    const { platforms } = this.#context
    const forgotten = [...before.keys()].filter(name => !platforms.has(name))
    const changed = this.#changed(row, outcome, before)
    const documents = changesExperiments(row) ? this.experiments.changes() : []
    if (forgotten.length + changed.length + documents.length === 0) return undefined
    for (const world of forgotten) this.#worlds.delete(world)
    // What is not done again, or has changed several worlds at once, is kept as the states that it led to.
    const failure = 'error' in outcome ? outcome.error : undefined
    const defect = failure !== undefined && !(failure instanceof NorthbridgeError)
    const origin = changed.length > 1 || row.kept?.asState === true || defect
    const earlier = 'output' in outcome ? (row.kept?.earlier?.(input as never) ?? []) : []
    const commands: CommandRecord[] = []
    const snapshots = this.#statesOf(changed, earlier.length + 1, origin)
    for (const world of changed) {
      const progress = this.#progressOf(world)
      for (const past of earlier) commands.push({ ...past, world, sequence: ++progress.sequence })
      commands.push({
        world,
        sequence: ++progress.sequence,
        operation: id,
        input: this.#written(row, input, world),
        error: failure === undefined ? null : failure instanceof NorthbridgeError ? failure.code : 'defect',
        after: standing(this.#context, world),
        version: VERSION,
      })
      const isKept = snapshots.some(snapshot => snapshot.world === world)
      progress.since = isKept ? 0 : progress.since + 1
      if (progress.since >= this.#store.commandsPerSnapshot) void this.#keepState(world, progress)
    }
    return { forgotten, commands, snapshots, documents }
  }

  #written({ kept }: Operation, input: object, world: string): unknown {
    const running = this.#context.platforms.find(world)?.running
    return running === undefined ? input : (kept?.input?.(input as never, running) ?? input)
  }

  /** Worlds that are not as they were. */
  #changed(
    row: Operation,
    outcome: Outcome<unknown>,
    before: ReadonlyMap<string, WorldMark | undefined>,
  ): readonly string[] {
    const succeeded = 'output' in outcome
    if (succeeded && changesCatalogue(row)) return [CATALOGUE]
    // A refusal changes nothing, a question neither; but faults may wait for either, and a kernel may stop.
    const certainly = succeeded && changes(row) && row.kept?.makes !== true
    const touched = [...before].filter(([name, mark]) => {
      const now = markOf(this.#context, name)
      return now !== undefined && (certainly || !sameMark(mark, now))
    })
    const made = succeeded && row.kept?.makes ? [(outcome.output as { readonly id: string }).id] : []
    return [...made, ...touched.map(([name]) => name)]
  }

  #progressOf(world: string): Progress {
    let progress = this.#worlds.get(world)
    if (progress === undefined) this.#worlds.set(world, (progress = { sequence: 0, since: 0 }))
    return progress
  }

  /**
   * States that are kept with the command that has led to them, the last of so many more. Where one cannot be saved, which
   * is a defect of ours, none of these worlds goes on: the next start finds them as they were before the command.
   */
  #statesOf(worlds: readonly string[], more: number, origin: boolean): readonly Snapshot[] {
    const { commandsPerSnapshot, immediate } = this.#store
    try {
      return worlds.flatMap(world => {
        const { sequence, since } = this.#progressOf(world)
        const isDue = immediate && since + 1 >= commandsPerSnapshot
        if (!origin && !isDue && !usesFiles(this.#context, world)) return []
        const state = encodeStateNow(saveWorld(this.#context, world))
        return [{ world, sequence: sequence + more, version: VERSION, origin, state }]
      })
    } catch (error) {
      const reason = `its state cannot be kept: ${error instanceof Error ? error.message : String(error)}`
      for (const world of worlds) this.refuse(world, reason)
      throw error
    }
  }

  /** Keeps the state of a world as it is now. One that cannot be kept costs time at the next start, no more: its commands are. */
  async #keepState(world: string, progress: Progress): Promise<void> {
    const { sequence } = progress
    progress.since = 0
    try {
      const state = await encodeState(saveWorld(this.#context, world))
      // Meanwhile it may have been deleted, and another one of its name made.
      if (this.#worlds.get(world) !== progress) return
      await this.#store.commit({ snapshots: [{ world, sequence, version: VERSION, origin: false, state }] })
    } catch {
      // What is wrong will be said by who has to have it done: a command with its state, or the next start.
    }
  }

  /** Keeps every state that commands have changed since it was kept last, so that another version can go on from it. */
  async keepAll(): Promise<void> {
    for (const [world, progress] of this.#worlds) {
      if (progress.since > 0) await this.#keepState(world, progress)
    }
  }
}
