/** Simulates the points of a sweep on worker threads, or here. What comes out is the same. */
import { availableParallelism } from 'node:os'
import { setImmediate } from 'node:timers/promises'
import { Tinypool } from 'tinypool'
import { NorthbridgeError, packageModule } from '../core/index.ts'
import { type PlannedPoint, runPoint, type SweepPoint, tellLabels } from '../experiments/index.ts'
import type { PointAnswer } from './point-worker.ts'

type Result = SweepPoint['result']

export interface RunOptions {
  /** Called as points end, in no certain order. */
  readonly onPoint?: (index: number, result: Result) => void
  /** Ends the run early: it is then rejected with the signal's reason. */
  readonly signal?: AbortSignal
}

export interface PointRunner {
  /** Results in the order of the points. Rejected with the error of the first point that was refused. */
  run(points: readonly PlannedPoint[], options?: RunOptions): Promise<readonly Result[]>
  close(): Promise<void>
}

/** Threads that a machine has for simulations. */
export const defaultWorkers = (): number => availableParallelism()

/** One worker is this thread itself: no other has to be started for it. */
export const pointRunner = (workers = defaultWorkers()): PointRunner =>
  workers === 1 ? HERE : new ThreadPool(workers)

const HERE: PointRunner = {
  run: (points, options = {}) =>
    eachPoint(points, 1, options, async ({ configuration }) => {
      // Signals and requests are served between points.
      await setImmediate()
      return runPoint(configuration)
    }),
  close: async () => {},
}

const WORKER = packageModule('workers/point-worker')

/** Milliseconds after which a thread that has nothing to do ends. */
const IDLE_MS = 10_000

export class ThreadPool implements PointRunner {
  readonly #pool: Tinypool
  readonly #workers: number

  constructor(workers = defaultWorkers()) {
    this.#workers = workers
    this.#pool = new Tinypool({
      filename: WORKER.href,
      minThreads: 0,
      maxThreads: workers,
      idleTimeout: IDLE_MS,
    })
  }

  run(points: readonly PlannedPoint[], options: RunOptions = {}): Promise<readonly Result[]> {
    return eachPoint(points, this.#workers, options, async ({ configuration }, signal) =>
      resultIn(await this.answer(configuration, signal)),
    )
  }

  /** Of one point. Rejected with the signal's reason, or if a thread ended without an answer. */
  answer(configuration: PlannedPoint['configuration'], signal: AbortSignal): Promise<PointAnswer> {
    return this.#pool.run(configuration, { signal })
  }

  close(): Promise<void> {
    return this.#pool.destroy()
  }
}

/** Throws the refusal that an answer is. */
export function resultIn(answer: PointAnswer): Result {
  if ('result' in answer) return answer.result
  throw new NorthbridgeError(answer.code, answer.message, answer.details)
}

type Simulate = (point: PlannedPoint, signal: AbortSignal) => Promise<Result>

/** As many at a time as there are workers: sweeps that share a pool take turns, and an end comes soon. */
async function eachPoint(
  points: readonly PlannedPoint[],
  atOnce: number,
  { onPoint, signal }: RunOptions,
  simulate: Simulate,
): Promise<readonly Result[]> {
  const failed = new AbortController()
  const stop = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal])
  const results: Result[] = new Array(points.length)
  let next = 0
  const worker = async (): Promise<void> => {
    for (let index = next++; index < points.length; index = next++) {
      stop.throwIfAborted()
      const point = points[index]!
      const result = await simulate(point, stop).catch(error => {
        throw refusalAt(point, stop.aborted ? stop.reason : error)
      })
      results[index] = result
      onPoint?.(index, result)
    }
  }
  try {
    await Promise.all(Array.from({ length: Math.min(atOnce, points.length) }, worker))
    return results
  } catch (error) {
    failed.abort(error)
    throw error
  }
}

/** A refusal that says at which point it came. */
export const refusalAt = ({ at }: PlannedPoint, error: unknown): unknown =>
  error instanceof NorthbridgeError && error.details['point'] === undefined
    ? new NorthbridgeError(error.code, `at ${tellLabels(at)}: ${error.message}`, {
        ...error.details,
        point: at,
      })
    : error
