/**
 * "Nested Paging": the second stage of AMD-V is an ordinary long-mode page table, in which every access of the guest is a
 * user access; and a cache of what it translated.
 */
import type { PhysicalMemory } from '../../memory/index.ts'
import { ACCESS } from '../extended-page-tables.ts'
import { NESTED_FAULT } from '../formats/amd-v.ts'
import { WALKS } from '../walk-counters.ts'

const ENTRY = { P: 1, W: 2, U: 4, A: 0x20, D: 0x40, PS: 0x80 } as const
const ENTRIES = 512
const LEVELS = 4
const VALID = 1
const WRITABLE = 2

export class NestedPageTables {
  readonly #memory: PhysicalMemory
  readonly #walks: Float64Array
  readonly #guestPage = new Float64Array(ENTRIES)
  readonly #hostPage = new Float64Array(ENTRIES)
  readonly #root = new Float64Array(ENTRIES)
  readonly #flags = new Uint8Array(ENTRIES)
  /** EXITINFO1, low word, of the last fault. */
  faultCode = 0

  constructor(memory: PhysicalMemory, walks: Float64Array) {
    this.#memory = memory
    this.#walks = walks
  }

  /** Host page of a guest page, or -1. A walk of the guest's tables counts as a write, for its accessed flags. */
  translate(root: number, guestPage: number, access: number): number {
    const write = (access & ACCESS.write) !== 0
    const at = guestPage & (ENTRIES - 1)
    const needed = VALID | (write ? WRITABLE : 0)
    const hit = (this.#flags[at]! & needed) === needed
    if (hit && this.#guestPage[at] === guestPage && this.#root[at] === root) return this.#hostPage[at]!
    return this.#walk(root, guestPage, write, at)
  }

  #walk(root: number, guestPage: number, write: boolean, at: number): number {
    let table = root
    let writable = true
    const code = NESTED_FAULT.user | (write ? NESTED_FAULT.write : 0)
    for (let level = LEVELS; ; level--) {
      const words = this.#memory.pageForWrite(table)?.words
      this.#walks[WALKS.nested]!++
      const index = (Math.floor(guestPage / 2 ** (9 * (level - 1))) & 511) * 2
      const low = words === undefined ? 0 : words[index]!
      const high = words === undefined ? 0 : words[index + 1]!
      if ((low & ENTRY.P) === 0) return this.#fault(code, at)
      writable &&= (low & ENTRY.W) !== 0
      if ((low & ENTRY.U) === 0) return this.#fault(code | NESTED_FAULT.present, at)
      const leaf = level === 1 || (level < 4 && (low & ENTRY.PS) !== 0)
      if (leaf && write && !writable) return this.#fault(code | NESTED_FAULT.present, at)
      words![index]! |= ENTRY.A | (leaf && write ? ENTRY.D : 0)
      table = (high & 0xf_ffff) * 2 ** 20 + (low >>> 12)
      if (!leaf) continue
      const within = 2 ** (9 * (level - 1))
      const host = table - (table % within) + (guestPage % within)
      this.#guestPage[at] = guestPage
      this.#hostPage[at] = host
      this.#root[at] = root
      this.#flags[at] = VALID | (write ? WRITABLE : 0)
      return host
    }
  }

  #fault(code: number, at: number): number {
    this.faultCode = code
    this.#flags[at] = 0
    return -1
  }

  invalidate(): void {
    this.#flags.fill(0)
  }
}
