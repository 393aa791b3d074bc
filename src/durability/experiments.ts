/**
 * Keeps experiments: what each is to simulate, the results of its points as they come, and how it ended. After a restart
 * one that was running goes on with the points that are missing.
 */
import { type ErrorCode, type ErrorDetails, NorthbridgeError, VERSION } from '../core/index.ts'
import { drive } from '../engine/index.ts'
import { planSweep, type SweepResult } from '../experiments/index.ts'
import {
  ExperimentJob,
  type KnownResults,
  type OperationContext,
  type PointResult,
} from '../operations/index.ts'
import { parseTopology } from '../platform/index.ts'
import type { KeptDocument, Store } from '../store/index.ts'

const EXPERIMENT = 'experiment'
const POINT = 'experimentPoint'
const RESULT = 'experimentResult'

/** An experiment as a document. */
interface KeptExperiment {
  readonly document: unknown
  /** The one that the document names, as it was. */
  readonly topology: unknown
  readonly state: ExperimentJob['state']
  readonly error?: { readonly code: ErrorCode; readonly message: string; readonly details: ErrorDetails }
  /** Of the model that simulates its points. */
  readonly version: string
}

export class ExperimentKeeper {
  readonly #context: OperationContext
  readonly #store: Store
  readonly #jobs = new Map<string, ExperimentJob>()

  constructor(context: OperationContext, store: Store) {
    this.#context = context
    this.#store = store
  }

  /** What a command has changed, for the commit of that command. */
  changes(): readonly KeptDocument[] {
    const { experiments } = this.#context
    const gone = [...this.#jobs].filter(([id, job]) => experiments.find(id) !== job)
    for (const [id] of gone) this.#jobs.delete(id)
    const documents = gone.flatMap(([, job]) => this.#without(job))
    for (const [id, job] of experiments.entries()) {
      if (this.#jobs.get(id) === job) continue
      this.#watch(job)
      documents.push(...(job.state === 'running' ? [experimentDocument(job), ...pointsOf(job)] : ended(job)))
    }
    return documents
  }

  #watch(job: ExperimentJob): void {
    this.#jobs.set(job.id, job)
    job.onChange(index => {
      if (this.#jobs.get(job.id) !== job) return
      const going = job.state === 'running' && index !== undefined
      const documents = going ? [pointDocument(job, index)] : ended(job)
      // What the store does not take is simulated again after the next start.
      this.#store.commit({ documents }).catch(() => {})
    })
  }

  #without(job: ExperimentJob): readonly KeptDocument[] {
    const { id } = job
    const parts = [{ kind: EXPERIMENT, key: id, value: undefined }, ...withoutPoints(job)]
    return [...parts, { kind: RESULT, key: id, value: undefined }]
  }

  /** Makes the experiments of an earlier process again. Throws `storeFailed`. */
  async restore(): Promise<void> {
    const results = new Map((await this.#store.documents(RESULT)).map(({ key, value }) => [key, value]))
    const points = new Map((await this.#store.documents(POINT)).map(({ key, value }) => [key, value]))
    for (const { key, value } of await this.#store.documents(EXPERIMENT)) {
      try {
        this.#restoreOne(key, value as KeptExperiment, results.get(key), points)
      } catch (error) {
        // Another version may not know what an experiment of this one was made of.
        if (!(error instanceof NorthbridgeError)) throw error
        this.#context.experiments.refuse(key, error.message)
      }
    }
  }

  #restoreOne(id: string, kept: KeptExperiment, result: unknown, points: ReadonlyMap<string, unknown>): void {
    const topology = kept.topology === null ? undefined : parseTopology(kept.topology)
    const plan = planSweep(kept.document, () => topology!)
    const { error } = kept
    // Points of two versions of the model would make a result of neither.
    const usable = kept.state !== 'running' || kept.version === VERSION
    const known: KnownResults = {
      state: kept.state === 'done' && result === undefined ? 'running' : kept.state,
      points: usable ? pointsAmong(id, plan.points.length, points) : new Map(),
      ...(result !== undefined && { result: result as SweepResult }),
      ...(error && { error: new NorthbridgeError(error.code, error.message, error.details) }),
    }
    const job = new ExperimentJob(id, plan, topology, known)
    this.#context.experiments.set(id, job)
    this.#watch(job)
    if (job.state !== 'running') return
    const outdated = usable ? [] : [experimentDocument(job), ...withoutPoints(job)]
    if (outdated.length > 0) this.#store.commit({ documents: outdated }).catch(() => {})
    drive(this.#context.launch(job), () => false)
  }
}

const experimentDocument = ({ id, plan, topology, state, error }: ExperimentJob): KeptDocument => ({
  kind: EXPERIMENT,
  key: id,
  value: {
    document: plan.document,
    topology: topology ?? null,
    state,
    ...(error && { error: { code: error.code, message: error.message, details: error.details } }),
    version: VERSION,
  } satisfies KeptExperiment,
})

const pointKey = (id: string, index: number): string => `${id}/${index}`

const pointDocument = (job: ExperimentJob, index: number): KeptDocument => ({
  kind: POINT,
  key: pointKey(job.id, index),
  value: job.resultAt(index),
})

const indices = ({ plan }: ExperimentJob): readonly number[] => plan.points.map((_, index) => index)

const pointsOf = (job: ExperimentJob): readonly KeptDocument[] =>
  indices(job)
    .filter(index => job.resultAt(index) !== undefined)
    .map(index => pointDocument(job, index))

const withoutPoints = (job: ExperimentJob): readonly KeptDocument[] =>
  indices(job).map(index => ({ kind: POINT, key: pointKey(job.id, index), value: undefined }))

/** The result holds all points: they need not be kept twice. */
const ended = (job: ExperimentJob): readonly KeptDocument[] => [
  experimentDocument(job),
  ...(job.state === 'done' ? [{ kind: RESULT, key: job.id, value: job.result }, ...withoutPoints(job)] : []),
]

function pointsAmong(
  id: string,
  count: number,
  kept: ReadonlyMap<string, unknown>,
): ReadonlyMap<number, PointResult> {
  const found = Array.from({ length: count }, (_, index) => [index, kept.get(pointKey(id, index))] as const)
  return new Map(found.filter((point): point is [number, PointResult] => point[1] !== undefined))
}
