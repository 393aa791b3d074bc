/** "Page Request Interface" of a function: the page requests that it has out, and what became of them. */
import { get, type Saved, set } from '../core/index.ts'
import { PRI } from './formats/extended-capabilities.ts'
import { PAGE_RESPONSE_CODE } from './page-request.ts'

const { ENABLE, RESET, FAILURE, UNEXPECTED, STOPPED } = PRI.CONTROL.f

/** State of a page request group. */
export const GROUP = { unused: 0, outstanding: 1, served: 2, refused: 3 } as const
const GROUPS = 512

export class PageRequestInterface {
  readonly #words: Uint32Array
  readonly #control: number
  readonly #allocation: number
  readonly #groups = new Uint8Array(GROUPS)
  #outstanding = 0
  #next = 0

  /** @param base offset of the capability in `words`. */
  constructor(words: Uint32Array, base: number) {
    this.#words = words
    this.#control = (base + PRI.CONTROL.offset) >>> 2
    this.#allocation = (base + PRI.ALLOCATION.offset) >>> 2
  }

  get enabled(): boolean {
    return (this.#words[this.#control]! & ENABLE.mask) !== 0
  }

  /** Opens a group for one request. -1 if software allows no more of them now. */
  open(): number {
    if (this.#outstanding >= this.#words[this.#allocation]!) return -1
    for (let tried = 0; tried < GROUPS; tried++) {
      const group = (this.#next + tried) % GROUPS
      if (this.#groups[group] !== GROUP.unused) continue
      this.#groups[group] = GROUP.outstanding
      this.#outstanding++
      this.#next = (group + 1) % GROUPS
      return group
    }
    return -1
  }

  /** "PRG Response Message". One that nobody waits for, and a failure, are noted in the status register. */
  answered(group: number, code: number): void {
    if (this.#groups[group] !== GROUP.outstanding) {
      set(UNEXPECTED, this.#words, 1, this.#control)
      return
    }
    this.#outstanding--
    this.#groups[group] = code === PAGE_RESPONSE_CODE.success ? GROUP.served : GROUP.refused
    if (code === PAGE_RESPONSE_CODE.failure) {
      // "Response Failure" is the end of page requests until software has reset and enabled them anew.
      set(FAILURE, this.#words, 1, this.#control)
      set(ENABLE, this.#words, 0, this.#control)
    }
    this.#updateStopped()
  }

  /** What became of a group; one that was answered is free again. */
  take(group: number): number {
    const state = this.#groups[group]!
    if (state !== GROUP.outstanding) this.#groups[group] = GROUP.unused
    return state
  }

  /** After a write to the control register. */
  controlWritten(): void {
    if (get(RESET, this.#words, this.#control) === 1) {
      set(RESET, this.#words, 0, this.#control)
      if (!this.enabled) this.reset()
    }
    this.#updateStopped()
  }

  /** "Stopped": disabled, and no request is out. */
  #updateStopped(): void {
    set(STOPPED, this.#words, Number(!this.enabled && this.#outstanding === 0), this.#control)
  }

  reset(): void {
    this.#groups.fill(GROUP.unused)
    this.#outstanding = 0
    this.#next = 0
  }

  save(): Saved {
    return { groups: this.#groups.slice(), outstanding: this.#outstanding, next: this.#next }
  }

  load(saved: Saved): void {
    const { groups, outstanding, next } = saved as { groups: Uint8Array; outstanding: number; next: number }
    this.#groups.set(groups)
    this.#outstanding = outstanding
    this.#next = next
  }
}
