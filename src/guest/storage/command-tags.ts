/** The tags of a disk's commands: free, under way, or ended in a way that nobody has asked for yet. */
import type { Saved } from '../../core/index.ts'

const FREE = 0
const UNDER_WAY = 1
const SUCCEEDED = 2
const FAILED = 3

export class CommandTags {
  readonly #states: Uint8Array

  constructor(count: number) {
    this.#states = new Uint8Array(count)
  }

  get count(): number {
    return this.#states.length
  }

  /** A free tag, which is in use from now on; -1 if there is none. */
  take(): number {
    const tag = this.#states.indexOf(FREE)
    if (tag >= 0) this.#states[tag] = UNDER_WAY
    return tag
  }

  isUnderWay(tag: number): boolean {
    return this.#states[tag] === UNDER_WAY
  }

  /** The disk is done with a command. What it says of others is not listened to. */
  end(tag: number, ok: boolean): void {
    if (this.isUnderWay(tag)) this.#states[tag] = ok ? SUCCEEDED : FAILED
  }

  /** How a command ended; then its tag is free. undefined: it is under way. */
  outcome(tag: number): boolean | undefined {
    const state = this.#states[tag]
    if (state === UNDER_WAY) return undefined
    this.#states[tag] = FREE
    return state === SUCCEEDED
  }

  save(): Saved {
    return this.#states.slice()
  }

  load(saved: Saved): void {
    this.#states.set(saved as Uint8Array)
  }
}
