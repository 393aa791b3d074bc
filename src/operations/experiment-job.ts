/** An experiment that a server runs: what has been simulated so far, and how it ended. */
import { NorthbridgeError } from '../core/index.ts'
import { type Software, Trace } from '../engine/index.ts'
import {
  runPoint,
  type SweepPlan,
  type SweepPoint,
  type SweepResult,
  sweepResult,
  tellLabels,
} from '../experiments/index.ts'
import type { Topology } from '../platform/index.ts'

export type PointResult = SweepPoint['result']

export type ExperimentState = 'running' | 'done' | 'failed' | 'cancelled'

/** What an earlier process knew of a job. */
export interface KnownResults {
  readonly state: ExperimentState
  /** By the number of the point. */
  readonly points: ReadonlyMap<number, PointResult>
  readonly result?: SweepResult
  readonly error?: NorthbridgeError
}

export class ExperimentJob {
  readonly id: string
  readonly plan: SweepPlan
  /** The topology that the document names, as it was when the job began. */
  readonly topology: Topology | undefined
  /** Progress, event by event. No virtual time passes beside that inside of the points. */
  readonly trace = new Trace(() => 0)
  readonly #results: (PointResult | undefined)[]
  #state: ExperimentState = 'running'
  #done = 0
  #result: SweepResult | undefined
  #error: NorthbridgeError | undefined
  #cancelled: () => void = () => {}
  #changed: (index: number | undefined) => void = () => {}

  /** @param known makes a job go on where another one was: it only tells what comes */
  constructor(id: string, plan: SweepPlan, topology?: Topology, known?: KnownResults) {
    this.id = id
    this.plan = plan
    this.topology = topology
    this.#results = new Array(plan.points.length)
    if (known === undefined) {
      this.#tell('begins')
      return
    }
    for (const [index, result] of known.points) this.#results[index] = result
    this.#state = known.state
    this.#done = known.state === 'done' ? plan.points.length : known.points.size
    this.#result = known.result
    this.#error = known.error
    this.#tell(known.state === 'running' ? 'goes on' : `was ${known.state}`)
  }

  get state(): ExperimentState {
    return this.#state
  }

  get done(): number {
    return this.#done
  }

  get error(): NorthbridgeError | undefined {
    return this.#error
  }

  /** Throws its own error if it failed, `experimentCancelled`, and `experimentRunning` before its end. */
  get result(): SweepResult {
    if (this.#result !== undefined) return this.#result
    if (this.#error !== undefined) throw this.#error
    const points = `${this.#done} of ${this.plan.points.length} points`
    throw this.#state === 'cancelled'
      ? new NorthbridgeError('experimentCancelled', `Experiment "${this.id}" was cancelled after ${points}`)
      : new NorthbridgeError('experimentRunning', `Experiment "${this.id}" has simulated ${points}`)
  }

  /** Numbers of points that nobody has simulated yet. */
  missing(): readonly number[] {
    return this.plan.points.map((_, index) => index).filter(index => this.#results[index] === undefined)
  }

  resultAt(index: number): PointResult | undefined {
    return this.#results[index]
  }

  /** Who keeps it is told of every point that has ended, by its number, and of other changes. */
  onChange(changed: (index: number | undefined) => void): void {
    this.#changed = changed
  }

  /** Who simulates is told when nobody wants it any more. */
  onCancel(cancelled: () => void): void {
    this.#cancelled = cancelled
  }

  /** The result of a point; whoever has simulated it again has come to the same. */
  complete(index: number, result: PointResult): void {
    if (this.#state !== 'running' || this.#results[index] !== undefined) return
    this.#results[index] = result
    this.#done++
    const { at } = this.plan.points[index]!
    if (this.#done === this.plan.points.length) {
      this.#result = sweepResult(this.plan, this.#results as PointResult[])
      this.#state = 'done'
    }
    this.#tell(tellLabels(at), { at, metrics: result.metrics })
    if (this.#state === 'done')
      this.#tell(this.result.passed ? 'all is as expected' : 'not all is as expected')
    this.#changed(index)
  }

  fail(error: unknown): void {
    if (this.#state !== 'running') return
    this.#state = 'failed'
    this.#error =
      error instanceof NorthbridgeError ? error : new NorthbridgeError('defect', (error as Error).message)
    this.#tell(this.#error.message, { code: this.#error.code })
    this.#changed(undefined)
  }

  /** Throws `alreadyDone` if it has ended. */
  cancel(): void {
    if (this.#state !== 'running')
      throw new NorthbridgeError('alreadyDone', `Experiment "${this.id}" is ${this.#state} already`)
    this.#state = 'cancelled'
    this.#cancelled()
    this.#tell('was cancelled')
    this.#changed(undefined)
  }

  #tell(what: string, detail: object = {}): void {
    const total = this.plan.points.length
    this.trace.emit('experiment', `${this.#done} of ${total}: ${what}`, {
      state: this.#state,
      done: this.#done,
      total,
      ...detail,
    })
  }
}

/** Begins the simulation of a job. */
export type LaunchExperiment = (job: ExperimentJob) => Software

/** Simulates at once, point by point: a library has nobody else to keep waiting. */
export const launchHere: LaunchExperiment = function* (job) {
  try {
    for (const index of job.missing()) {
      yield
      if (job.state !== 'running') return
      job.complete(index, runPoint(job.plan.points[index]!.configuration))
    }
  } catch (error) {
    // A refusal is the experiment's answer; a defect of ours is not.
    if (!(error instanceof NorthbridgeError)) throw error
    job.fail(error)
  }
}
