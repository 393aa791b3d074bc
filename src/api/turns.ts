/**
 * Work in small parts of which there may be very much at a time: it is done for a few milliseconds, then whatever else waits
 * for the event loop has its turn.
 */

const SLICE_MS = 4

export class Turns {
  readonly #waiting: (() => void)[] = []

  /** Does a part of the work soon; parts are done in the order in which they were given. */
  add(part: () => void): void {
    if (this.#waiting.push(part) === 1) setImmediate(this.#work)
  }

  #work = (): void => {
    const end = performance.now() + SLICE_MS
    let done = 0
    // What is added meanwhile waits for the next turn.
    const count = this.#waiting.length
    try {
      while (done < count && performance.now() < end) this.#waiting[done++]!()
    } finally {
      this.#waiting.splice(0, done)
      if (this.#waiting.length > 0) setImmediate(this.#work)
    }
  }
}
