/**
 * "Auto-converge", with QEMU's defaults: a guest that twice changed more than half of what could be sent is held back for a
 * fifth of its time, and a tenth more each further time.
 */
const THRESHOLD = 0.5
const TIMES = 2
const INITIAL = 20
const INCREMENT = 10
const MOST = 99

export class Throttling {
  readonly #on: boolean
  #high = 0

  constructor(on: boolean) {
    this.#on = on
  }

  /** Percent of its time that a guest is held back after a round in which it changed `dirtied` of `sent` bytes. */
  after(dirtied: number, sent: number, throttle: number): number {
    if (!this.#on || dirtied <= sent * THRESHOLD || ++this.#high < TIMES) return throttle
    this.#high = 0
    return throttle === 0 ? INITIAL : Math.min(MOST, throttle + INCREMENT)
  }
}
