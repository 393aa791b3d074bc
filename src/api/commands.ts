/**
 * Drives operations so that the server answers meanwhile: software runs in slices of a few milliseconds, one slice
 * per turn of the event loop, and one command at a time per platform.
 */
import { NorthbridgeError } from '../core/index.ts'
import type { Software } from '../engine/index.ts'

/** Wall-clock milliseconds that a slice may take, give or take one step of the software. */
const SLICE_MS = 5
/** Commands that may wait for one platform. */
const MOST_WAITING = 1000

interface Line {
  waiting: number
  /** Settles when the last command in line has ended. */
  tail: Promise<unknown>
}

export class CommandRunner {
  readonly #lines = new Map<string, Line>()
  readonly #turns: (() => void)[] = []

  /** Runs software to its end; after what was submitted before under any of the same lines. */
  async run<Result>(lines: readonly string[], start: () => Software<Result>): Promise<Result> {
    // Always in one order: two commands that need the same lines cannot wait for each other.
    const ordered = [...new Set(lines)].sort()
    const after = (rest: readonly string[]): Promise<Result> => {
      const [first, ...others] = rest
      return first === undefined ? this.#drive(start()) : this.#enqueue(first, () => after(others))
    }
    return after(ordered)
  }

  async #enqueue<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
    let line = this.#lines.get(name)
    if (line === undefined) this.#lines.set(name, (line = { waiting: 0, tail: Promise.resolve() }))
    if (line.waiting >= MOST_WAITING) {
      throw new NorthbridgeError('limitExceeded', `${MOST_WAITING} commands already wait for "${name}"`)
    }
    line.waiting++
    const result = line.waiting === 1 ? work() : line.tail.then(work)
    line.tail = result.then(
      () => this.#leave(name),
      () => this.#leave(name),
    )
    return result
  }

  #leave(name: string): void {
    const line = this.#lines.get(name)!
    if (--line.waiting === 0) this.#lines.delete(name)
  }

  async #drive<Result>(software: Software<Result>): Promise<Result> {
    for (;;) {
      const end = performance.now() + SLICE_MS
      do {
        const step = software.next()
        if (step.done) return step.value
      } while (performance.now() < end)
      await this.#turn()
    }
  }

  /** Resolves when it is this command's turn: however many run, the event loop is held for one slice at a time. */
  #turn(): Promise<void> {
    return new Promise(resolve => {
      if (this.#turns.push(resolve) === 1) setImmediate(this.#next)
    })
  }

  #next = (): void => {
    const resume = this.#turns[0]!
    resume()
    // The slice runs when the promise settles, which is before the next turn of the loop.
    setImmediate(() => {
      this.#turns.shift()
      if (this.#turns.length > 0) this.#next()
    })
  }
}
