/** How many requests are taken on average: a bucket from which each takes one, and which fills up again with time. */

/** Seconds for which requests may come at once that came not at all before. */
const BURST_SECONDS = 2

export class RequestRate {
  readonly #perSecond: number
  readonly #most: number
  #left: number
  #lastMs = 0

  constructor(perSecond: number) {
    this.#perSecond = perSecond
    this.#most = Math.max(1, perSecond * BURST_SECONDS)
    this.#left = this.#most
  }

  /** Seconds after which a request may come again; 0 if this one may. */
  take(nowMs: number): number {
    const passed = Math.max(0, nowMs - this.#lastMs) / 1000
    this.#lastMs = nowMs
    this.#left = Math.min(this.#most, this.#left + passed * this.#perSecond)
    if (this.#left < 1) return (1 - this.#left) / this.#perSecond
    this.#left--
    return 0
  }
}
