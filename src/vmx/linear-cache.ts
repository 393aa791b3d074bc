/**
 * "Caching Translation Information": guest-linear pages and the guest-physical pages that the guest's paging maps them
 * to, tagged with VPID, PCID and (with EPT in use) the EPT tables through which the guest's tables were read. Where a
 * guest-physical page leads is asked anew of the EPT cache, so these are combined mappings without their second half:
 * whatever invalidates combined mappings invalidates them.
 */
import type { Saved } from '../core/index.ts'

const ENTRIES = 256
const FIELDS = 4
const LINEAR = 0
const PHYSICAL = 1
const TAG = 2
const ROOT = 3

/** Of a cached mapping: valid, what the guest's paging permits, global page, dirty flag set already, part of a large page. */
export const MAPPING = {
  valid: 1,
  user: 2,
  write: 4,
  execute: 8,
  global: 16,
  dirty: 32,
  large: 64,
} as const
/** 4-KiB pages in the largest page there is. */
const LARGEST = 2 ** 18

/** VPID and PCID as one number. */
export const linearTag = (vpid: number, pcid: number): number => (vpid << 12) | pcid

const entryOf = (page: number): number => page & (ENTRIES - 1)

export class LinearCache {
  readonly #fields = new Float64Array(ENTRIES * FIELDS)
  readonly #flags = new Uint8Array(ENTRIES)
  /** Guest-physical page of the last mapping found. */
  page = 0

  /** Flags of the mapping of a linear page, with {@link page} set; 0 if there is none. */
  find(linearPage: number, tag: number, root: number): number {
    const entry = entryOf(linearPage)
    const at = entry * FIELDS
    const flags = this.#flags[entry]!
    const fields = this.#fields
    if (flags === 0 || fields[at + LINEAR] !== linearPage || fields[at + ROOT] !== root) return 0
    // Global pages belong to every PCID of their VPID.
    const differs = (fields[at + TAG]! ^ tag) & ((flags & MAPPING.global) !== 0 ? ~0xfff : -1)
    if (differs !== 0) return 0
    this.page = fields[at + PHYSICAL]!
    return flags
  }

  fill(linearPage: number, tag: number, root: number, page: number, flags: number): void {
    const entry = entryOf(linearPage)
    const at = entry * FIELDS
    const fields = this.#fields
    fields[at + LINEAR] = linearPage
    fields[at + PHYSICAL] = page
    fields[at + TAG] = tag
    fields[at + ROOT] = root
    this.#flags[entry] = flags | MAPPING.valid
  }

  /**
   * INVLPG, a page fault, INVVPID of an address: the mappings of one page for a VPID, whatever their PCID. Of a large
   * page every part goes; so may parts of other large pages near it.
   */
  invalidatePage(linearPage: number, vpid: number): void {
    const region = Math.floor(linearPage / LARGEST)
    for (let entry = 0; entry < ENTRIES; entry++) {
      const at = entry * FIELDS
      if (this.#flags[entry] === 0 || this.#fields[at + TAG]! >>> 12 !== vpid) continue
      const page = this.#fields[at + LINEAR]!
      const large = (this.#flags[entry]! & MAPPING.large) !== 0 && Math.floor(page / LARGEST) === region
      if (page === linearPage || large) this.#flags[entry] = 0
    }
  }

  /** All mappings of a VPID; `pcid` -1: of every PCID; globals stay if asked for. */
  invalidate(vpid: number, pcid: number, keepGlobals: boolean): void {
    for (let entry = 0; entry < ENTRIES; entry++) {
      const tag = this.#fields[entry * FIELDS + TAG]!
      if (tag >>> 12 !== vpid || (pcid >= 0 && (tag & 0xfff) !== pcid)) continue
      if (!keepGlobals || (this.#flags[entry]! & MAPPING.global) === 0) this.#flags[entry] = 0
    }
  }

  /** INVEPT: what was read through the EPT tables of one root. */
  invalidateRoot(root: number): void {
    for (let entry = 0; entry < ENTRIES; entry++) {
      if (this.#fields[entry * FIELDS + ROOT] === root) this.#flags[entry] = 0
    }
  }

  /** INVVPID, all contexts: every VPID but 0. */
  invalidateGuests(): void {
    for (let entry = 0; entry < ENTRIES; entry++) {
      if (this.#fields[entry * FIELDS + TAG]! >>> 12 !== 0) this.#flags[entry] = 0
    }
  }

  invalidateAll(): void {
    this.#flags.fill(0)
  }

  save(): Saved {
    return { version: 1, fields: this.#fields.slice(), flags: this.#flags.slice() }
  }

  load(saved: Saved): void {
    const state = saved as { fields: Float64Array; flags: Uint8Array }
    this.#fields.set(state.fields)
    this.#flags.set(state.flags)
  }
}
