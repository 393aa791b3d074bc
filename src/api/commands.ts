/**
 * Drives operations so that the server answers meanwhile: software runs in slices of a few milliseconds, one slice
 * per turn of the event loop, and one command at a time per platform. Owners of commands take turns, so that one with many
 * of them does not keep the others waiting.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { NorthbridgeError } from '../core/index.ts'
import type { Software, WaitCondition } from '../engine/index.ts'

/** Wall-clock milliseconds that a slice may take, give or take one step of the software. */
const SLICE_MS = 5
/** Wall-clock milliseconds between looks at what software waits for: a disk, a database. */
const POLL_MS = 1
/** Commands that may wait for one platform. */
const MOST_WAITING = 1000

interface Line {
  waiting: number
  /** Settles when the last command in line has ended. */
  tail: Promise<unknown>
}

export class CommandRunner {
  readonly #lines = new Map<string, Line>()
  /** Commands that wait for a slice, by owner; who is next comes first. */
  readonly #turns = new Map<string, (() => void)[]>()
  #taking = false

  /** Commands that run, or wait for those before them. */
  get waiting(): number {
    let sum = 0
    for (const { waiting } of this.#lines.values()) sum += waiting
    return sum
  }

  /** Runs software to its end; after what its owner submitted before under any of the same lines. */
  async run<Result>(owner: string, lines: readonly string[], start: () => Software<Result>): Promise<Result> {
    // Always in one order: two commands that need the same lines cannot wait for each other.
    const ordered = [...new Set(lines)].sort()
    const after = (rest: readonly string[]): Promise<Result> => {
      const [first, ...others] = rest
      return first === undefined
        ? this.#drive(owner, start())
        : this.#enqueue(`${owner}/${first}`, first, () => after(others))
    }
    return after(ordered)
  }

  async #enqueue<Result>(key: string, name: string, work: () => Promise<Result>): Promise<Result> {
    let line = this.#lines.get(key)
    if (line === undefined) this.#lines.set(key, (line = { waiting: 0, tail: Promise.resolve() }))
    if (line.waiting >= MOST_WAITING) {
      throw new NorthbridgeError('limitExceeded', `${MOST_WAITING} commands already wait for "${name}"`)
    }
    line.waiting++
    const result = line.waiting === 1 ? work() : line.tail.then(work)
    line.tail = result.then(
      () => this.#leave(key),
      () => this.#leave(key),
    )
    return result
  }

  #leave(key: string): void {
    const line = this.#lines.get(key)!
    if (--line.waiting === 0) this.#lines.delete(key)
  }

  async #drive<Result>(owner: string, software: Software<Result>): Promise<Result> {
    let waits: WaitCondition
    for (;;) {
      const end = performance.now() + SLICE_MS
      do {
        const step = software.next()
        if (step.done) return step.value
        waits = step.value
      } while (waits === undefined && performance.now() < end)
      while (waits !== undefined && !waits()) await delay(POLL_MS)
      await this.#turn(owner)
    }
  }

  /** Resolves when it is this command's turn: however many run, the event loop is held for one slice at a time. */
  #turn(owner: string): Promise<void> {
    return new Promise(resolve => {
      const waiting = this.#turns.get(owner)
      if (waiting === undefined) this.#turns.set(owner, [resolve])
      else waiting.push(resolve)
      if (this.#taking) return
      this.#taking = true
      setImmediate(this.#next)
    })
  }

  #next = (): void => {
    const [first] = this.#turns
    if (first === undefined) {
      this.#taking = false
      return
    }
    const [owner, waiting] = first
    const resume = waiting.shift()!
    this.#turns.delete(owner)
    if (waiting.length > 0) this.#turns.set(owner, waiting)
    resume()
    // The slice runs when the promise settles, which is before the next turn of the loop.
    setImmediate(this.#next)
  }
}
