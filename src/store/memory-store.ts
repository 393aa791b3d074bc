/**
 * An installation that ends with its process. Of each world the newest commands are kept, and states before them, so
 * that it can go back to where it was a while ago.
 */
import type { NorthbridgeError } from '../core/index.ts'
import type {
  CommandRecord,
  Commit,
  Kept,
  KeptAnswer,
  KeptDocument,
  KeptWorld,
  Snapshot,
  Store,
} from './records.ts'

/** What one world has had, back to the state before last. */
interface Log {
  readonly commands: readonly CommandRecord[]
  /** Ascending. */
  readonly snapshots: readonly Snapshot[]
}

const EMPTY: Log = { commands: [], snapshots: [] }

export class MemoryStore implements Store {
  readonly trouble: NorthbridgeError | undefined = undefined
  readonly immediate = true
  readonly commandsPerSnapshot: number
  readonly #logs = new Map<string, { commands: CommandRecord[]; snapshots: Snapshot[] }>()
  readonly #documents = new Map<string, Map<string, unknown>>()

  /** @param commandsPerSnapshot half of the commands that are kept of a world at most */
  constructor(commandsPerSnapshot = 1024) {
    this.commandsPerSnapshot = commandsPerSnapshot
  }

  /** What has been given to it so far; answers are not kept. */
  open(): Promise<Kept> {
    const names = [...this.#logs.keys()].sort()
    const worlds = names.map((world): KeptWorld => {
      const { commands, snapshots } = this.#logs.get(world)!
      const snapshot = snapshots.at(-1)
      return {
        world,
        snapshot,
        commands: commands.filter(({ sequence }) => sequence > (snapshot?.sequence ?? 0)),
      }
    })
    return Promise.resolve({ worlds, answers: [] as KeptAnswer[], losses: [] })
  }

  commit({ forgotten = [], commands = [], snapshots = [], documents = [] }: Commit): Promise<void> {
    for (const world of forgotten) this.#logs.delete(world)
    // Whoever gave the input may change it later.
    for (const command of commands) {
      this.#log(command.world).commands.push({ ...command, input: JSON.parse(JSON.stringify(command.input)) })
    }
    for (const snapshot of snapshots) this.#keep(snapshot)
    for (const document of documents) this.#put(document)
    return Promise.resolve()
  }

  #log(world: string): { commands: CommandRecord[]; snapshots: Snapshot[] } {
    let log = this.#logs.get(world)
    if (log === undefined) this.#logs.set(world, (log = { commands: [], snapshots: [] }))
    return log
  }

  #keep(snapshot: Snapshot): void {
    const log = this.#logs.get(snapshot.world)
    // A state that was being compressed while its world was deleted comes too late.
    if (log === undefined) return
    log.snapshots = [...log.snapshots.filter(({ sequence }) => sequence !== snapshot.sequence), snapshot]
    const oldest = log.snapshots.filter(({ origin }) => !origin).at(-2)?.sequence
    if (oldest === undefined) return
    log.snapshots = log.snapshots.filter(({ sequence }) => sequence >= oldest)
    log.commands = log.commands.filter(({ sequence }) => sequence > oldest)
  }

  #put({ kind, key, value }: KeptDocument): void {
    let documents = this.#documents.get(kind)
    if (documents === undefined) this.#documents.set(kind, (documents = new Map()))
    if (value === undefined) documents.delete(key)
    else documents.set(key, value)
  }

  snapshotBefore(world: string, sequence: number): Snapshot | undefined {
    return this.#logOf(world).snapshots.findLast(snapshot => snapshot.sequence <= sequence)
  }

  commandsOf(world: string, after: number, upTo: number): readonly CommandRecord[] {
    return this.#logOf(world).commands.filter(({ sequence }) => sequence > after && sequence <= upTo)
  }

  #logOf(world: string): Log {
    return this.#logs.get(world) ?? EMPTY
  }

  documents(kind: string): readonly KeptDocument[] {
    return [...(this.#documents.get(kind) ?? [])]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => ({ kind, key, value }))
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
