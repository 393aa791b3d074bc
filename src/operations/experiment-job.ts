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

type PointResult = SweepPoint['result']

export type ExperimentState = 'running' | 'done' | 'failed' | 'cancelled'

export class ExperimentJob {
  readonly id: string
  readonly plan: SweepPlan
  /** Progress, event by event. No virtual time passes beside that inside of the points. */
  readonly trace = new Trace(() => 0)
  readonly #results: (PointResult | undefined)[]
  #state: ExperimentState = 'running'
  #done = 0
  #result: SweepResult | undefined
  #error: NorthbridgeError | undefined
  #cancelled: () => void = () => {}

  constructor(id: string, plan: SweepPlan) {
    this.id = id
    this.plan = plan
    this.#results = new Array(plan.points.length)
    this.#tell('begins')
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

  /** Who simulates is told when nobody wants it any more. */
  onCancel(cancelled: () => void): void {
    this.#cancelled = cancelled
  }

  complete(index: number, result: PointResult): void {
    if (this.#state !== 'running') return
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
  }

  fail(error: unknown): void {
    if (this.#state !== 'running') return
    this.#state = 'failed'
    this.#error =
      error instanceof NorthbridgeError ? error : new NorthbridgeError('defect', (error as Error).message)
    this.#tell(this.#error.message, { code: this.#error.code })
  }

  /** Throws `alreadyDone` if it has ended. */
  cancel(): void {
    if (this.#state !== 'running')
      throw new NorthbridgeError('alreadyDone', `Experiment "${this.id}" is ${this.#state} already`)
    this.#state = 'cancelled'
    this.#cancelled()
    this.#tell('was cancelled')
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
    for (const [index, { configuration }] of job.plan.points.entries()) {
      yield
      if (job.state !== 'running') return
      job.complete(index, runPoint(configuration))
    }
  } catch (error) {
    // A refusal is the experiment's answer; a defect of ours is not.
    if (!(error instanceof NorthbridgeError)) throw error
    job.fail(error)
  }
}
