/** Experiments of a server whose points wait in a queue: offered to the workers, and completed as the answers come. */
import { setTimeout as delay } from 'node:timers/promises'
import { NorthbridgeError } from '../../core/index.ts'
import type { PlannedPoint } from '../../experiments/index.ts'
import { type ExperimentJob, type LaunchExperiment, now } from '../../operations/index.ts'
import { refusalAt, resultIn } from '../pool.ts'
import { type PointQueue, runOf } from './point-queue.ts'

/** Milliseconds between looks for answers. */
const LOOK_MS = 200
/** Milliseconds before the next attempt while the database is away. */
const AWAY_MS = 1_000
/** Milliseconds without an answer after which the points are offered again, in case that somebody emptied the queue. */
const QUIET_MS = 60_000

/** Experiments that simulate the same have one run: it is simulated once for all of them. */
interface Run {
  readonly id: string
  readonly jobs: Set<ExperimentJob>
}

export class QueuedExperiments {
  readonly #queue: PointQueue
  readonly #onTrouble: (reason: string) => void
  readonly #runs = new Map<string, Run>()
  readonly #stopping = new AbortController()
  /** Runs that are being followed. */
  readonly #followed = new Set<Promise<void>>()

  /** @param onTrouble is told of what went wrong and will be tried again, in words */
  constructor(queue: PointQueue, onTrouble: (reason: string) => void = () => {}) {
    this.#queue = queue
    this.#onTrouble = onTrouble
  }

  /** Begins an experiment, or goes on with one of an earlier process: its answers and what waits in the queue are its. */
  readonly launch: LaunchExperiment = job =>
    now(() => {
      const id = runOf(job.plan.points)
      const known = this.#runs.get(id)
      if (known !== undefined) {
        known.jobs.add(job)
        return
      }
      const run = { id, jobs: new Set([job]) }
      this.#runs.set(id, run)
      const followed = this.#follow(run).finally(() => this.#followed.delete(followed))
      this.#followed.add(followed)
    })

  async #follow(run: Run): Promise<void> {
    /** When the points are offered next; at once at the beginning. */
    let offer = 0
    while (!this.#stopping.signal.aborted) {
      try {
        const answers = await this.#takeAnswers(run)
        await this.#takeFailures()
        const isDone = [...run.jobs].some(({ state }) => state === 'done')
        if (!isWanted(run)) {
          if (!isDone) {
            await this.#queue.withdraw(run.id)
            // Other points of it may have been given up too: the next experiment must not hear of them.
            await this.#takeFailures()
          }
          await this.#queue.forget(run.id)
          // Somebody may want the same again by now.
          if (!isWanted(run)) {
            this.#runs.delete(run.id)
            return
          }
          offer = 0
        }
        if (performance.now() >= offer) await this.#queue.offer(run.id, pointsOf(run), missingIn(run))
        else if (answers === 0) {
          await this.#pause(LOOK_MS)
          continue
        }
        offer = performance.now() + QUIET_MS
      } catch (error) {
        this.#onTrouble((error as Error).message)
        await this.#pause(AWAY_MS)
      }
    }
  }

  /** Completes what can be completed; returns how many points that are. */
  async #takeAnswers(run: Run): Promise<number> {
    const missing = missingIn(run)
    if (missing.length === 0) return 0
    const answers = await this.#queue.answersOf(run.id, missing)
    for (const [index, answer] of answers) {
      for (const job of run.jobs) {
        try {
          job.complete(index, resultIn(answer))
        } catch (error) {
          job.fail(refusalAt(job.plan.points[index]!, error))
        }
      }
    }
    return answers.size
  }

  async #takeFailures(): Promise<void> {
    for (const { run, reason } of await this.#queue.givenUp())
      for (const job of this.#runs.get(run)?.jobs ?? []) job.fail(new NorthbridgeError('defect', reason))
  }

  #pause(milliseconds: number): Promise<void> {
    return delay(milliseconds, undefined, { signal: this.#stopping.signal }).catch(() => {})
  }

  /** Leaves what is running to the workers: the next server goes on with it. */
  async close(): Promise<void> {
    this.#stopping.abort()
    await Promise.all(this.#followed)
  }
}

/** Whether an experiment of the run still goes on; those that do not are forgotten. */
function isWanted({ jobs }: Run): boolean {
  for (const job of jobs) if (job.state !== 'running') jobs.delete(job)
  return jobs.size > 0
}

/** All experiments of a run have the same points. */
const pointsOf = ({ jobs }: Run): readonly PlannedPoint[] => [...jobs][0]!.plan.points

function missingIn({ jobs }: Run): readonly number[] {
  const missing = new Set([...jobs].flatMap(job => (job.state === 'running' ? job.missing() : [])))
  return [...missing].sort((a, b) => a - b)
}
