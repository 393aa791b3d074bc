/** Takes points of experiments from the queue, simulates them on threads, and leaves the answers there. */
import { setTimeout as delay } from 'node:timers/promises'
import type { PointAnswer } from '../point-worker.ts'
import type { ThreadPool } from '../pool.ts'
import type { PointQueue, TakenPoint } from './point-queue.ts'

/** Milliseconds between looks into a queue that was empty. */
const EMPTY_MS = 500
/** Milliseconds between signs of life: several within the time after which a worker is taken for lost. */
const SIGN_MS = 2_500
/** Milliseconds before the next attempt while the database is away. */
const AWAY_MS = 1_000

export interface QueueWorkerOptions {
  readonly queue: PointQueue
  readonly threads: ThreadPool
  /** Points that are simulated at the same time. */
  readonly atOnce: number
  /** Told of what went wrong and will be tried again, in words. */
  readonly onTrouble?: (reason: string) => void
}

export class QueueWorker {
  readonly #options: QueueWorkerOptions
  /** Points that are being simulated, and how to end that. */
  readonly #held = new Map<TakenPoint, AbortController>()
  readonly #stopping = new AbortController()
  readonly #lanes: Promise<unknown>
  readonly #signs: NodeJS.Timeout
  #answered = 0

  constructor(options: QueueWorkerOptions) {
    this.#options = options
    this.#lanes = Promise.all(Array.from({ length: options.atOnce }, () => this.#lane()))
    this.#signs = setInterval(() => void this.#giveSigns(), SIGN_MS)
  }

  /** Points that were simulated. */
  get answered(): number {
    return this.#answered
  }

  async #lane(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        const point = await this.#options.queue.take()
        if (point === undefined) await this.#pause(EMPTY_MS)
        else await this.#simulate(point)
      } catch (error) {
        // Whatever was taken will be taken for lost, and given to somebody who reaches the database.
        this.#options.onTrouble?.((error as Error).message)
        await this.#pause(AWAY_MS)
      }
    }
  }

  async #simulate(point: TakenPoint): Promise<void> {
    const { queue, threads } = this.#options
    const controller = new AbortController()
    this.#held.set(point, controller)
    try {
      let answer: PointAnswer
      try {
        answer = await threads.answer(point.configuration, controller.signal)
      } catch (error) {
        if (!controller.signal.aborted) await queue.giveBack(point, (error as Error).message)
        return
      }
      await this.#leave(point, answer)
    } finally {
      this.#held.delete(point)
    }
  }

  /** An answer may have taken long: it waits for a database that is away. */
  async #leave(point: TakenPoint, answer: PointAnswer): Promise<void> {
    for (;;) {
      try {
        await this.#options.queue.answer(point, answer)
        this.#answered++
        return
      } catch (error) {
        if (this.#stopping.signal.aborted) throw error
        this.#options.onTrouble?.((error as Error).message)
        await this.#pause(AWAY_MS)
      }
    }
  }

  /** And ends what nobody wants from us any more. */
  async #giveSigns(): Promise<void> {
    try {
      const lost = await this.#options.queue.notHeld([...this.#held.keys()])
      for (const point of lost) this.#held.get(point)?.abort()
    } catch (error) {
      this.#options.onTrouble?.((error as Error).message)
    }
  }

  #pause(milliseconds: number): Promise<void> {
    return delay(milliseconds, undefined, { signal: this.#stopping.signal }).catch(() => {})
  }

  /** Takes nothing more, and ends when what was taken is done. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#lanes
    clearInterval(this.#signs)
  }
}
