/**
 * "The Extended Page Table Mechanism": 4-level walks of the tables in memory, and a cache of guest-physical mappings
 * that only INVEPT and the violations themselves invalidate. A program's own paging being off, linear and combined
 * mappings do not exist here, so VM entries and exits have nothing to flush.
 */
import type { Saved } from '../core/index.ts'
import type { PhysicalMemory } from '../memory/index.ts'
import { EPT_ENTRY, EPT_MEMORY_TYPE } from './formats/ept.ts'
import { EPT_VIOLATION } from './formats/events.ts'
import { EXIT_REASON } from './formats/exit-reasons.ts'

const { R, W, X, LEAF, A, D } = EPT_ENTRY
/** Rights, as in an entry and as in the low bits of the exit qualification. */
export const ACCESS = { read: R.mask, write: W.mask, fetch: X.mask } as const
const RIGHTS = R.mask | W.mask | X.mask

const LEVELS = 4
/** Moves a page number right by 9 bits per level below: exact, and cheaper than a power. */
const SCALE = [0, 1, 2 ** -9, 2 ** -18, 2 ** -27] as const
/** Page-number bits within a leaf of each level. */
const WITHIN = [0, 0, 2 ** 9 - 1, 2 ** 18 - 1] as const
/** Guest-physical addresses of a 4-level table are 48 bits wide. */
const PAGE_LIMIT = 2 ** 36
/** Bits of a non-leaf entry that must be 0 in its low word; bit 7 would make it a leaf, which PML4 entries cannot be. */
const RESERVED_TABLE = 0x78
const RESERVED_PML4 = 0xf8

const LEGAL_TYPES =
  (1 << EPT_MEMORY_TYPE.UC) |
  (1 << EPT_MEMORY_TYPE.WC) |
  (1 << EPT_MEMORY_TYPE.WT) |
  (1 << EPT_MEMORY_TYPE.WP) |
  (1 << EPT_MEMORY_TYPE.WB)

const CACHE_ENTRIES = 512
/** Beside the rights of a cached mapping: it is valid; its leaf is marked dirty already, or needs no marking. */
const VALID = 8
const DIRTY = 16

export class ExtendedPageTables {
  readonly #memory: PhysicalMemory
  /** Bits of an entry's high word that lie beyond MAXPHYADDR. */
  readonly #reservedHigh: number
  readonly #guestPage = new Float64Array(CACHE_ENTRIES)
  readonly #hostPage = new Float64Array(CACHE_ENTRIES)
  /** Page of the PML4 table: the tag "EP4TA". */
  readonly #root = new Float64Array(CACHE_ENTRIES)
  readonly #flags = new Uint8Array(CACHE_ENTRIES)
  /** Tables and word indices of the walk in progress, for the accessed and dirty flags. */
  readonly #tables: Uint32Array[] = [
    new Uint32Array(0),
    new Uint32Array(0),
    new Uint32Array(0),
    new Uint32Array(0),
  ]
  readonly #entries = new Uint32Array(LEVELS)

  /** After a failed translation: EXIT_REASON.eptViolation or eptMisconfiguration, and the exit qualification. */
  faultReason = 0
  faultQualification = 0

  constructor(memory: PhysicalMemory, physicalAddressWidth: number) {
    this.#memory = memory
    this.#reservedHigh = 0xf_ffff & ~(2 ** (physicalAddressWidth - 32) - 1)
  }

  /**
   * Host page of a guest page for an access (one of {@link ACCESS}), or -1 with the fault fields set. `root` is the
   * page of the PML4 table; `flags` says whether EPTP enables accessed and dirty flags.
   */
  translate(root: number, flags: boolean, guestPage: number, access: number): number {
    const at = guestPage & (CACHE_ENTRIES - 1)
    const cached = this.#flags[at]!
    if (
      (cached & access) !== 0 &&
      this.#guestPage[at] === guestPage &&
      this.#root[at] === root &&
      (access !== ACCESS.write || (cached & DIRTY) !== 0)
    ) {
      return this.#hostPage[at]!
    }
    return this.#walk(root, flags, guestPage, access)
  }

  #walk(root: number, flags: boolean, guestPage: number, access: number): number {
    if (guestPage >= PAGE_LIMIT) return this.#violation(guestPage, access, 0)
    let rights = RIGHTS
    let table = root
    for (let level = LEVELS; ; level--) {
      const words = this.#memory.page(table)?.words
      const index = ((guestPage * SCALE[level]!) & 511) * 2
      // Where no memory answers, reads return ones: a reserved bit of the entry is set.
      const low = words === undefined ? 0xffff_ffff : words[index]!
      const high = words === undefined ? 0xffff_ffff : words[index + 1]!
      if ((low & RIGHTS) === 0) return this.#violation(guestPage, access, 0)
      const leaf = level === 1 || (level < 4 && (low & LEAF.mask) !== 0)
      if (this.#misconfigured(low, high, level, leaf)) return this.#fault(EXIT_REASON.eptMisconfiguration, 0)
      rights &= low
      this.#tables[level - 1] = words!
      this.#entries[level - 1] = index
      const page = (high & 0xf_ffff) * 2 ** 20 + (low >>> 12)
      if (!leaf) {
        table = page
        continue
      }
      if ((rights & access) === 0) return this.#violation(guestPage, access, rights)
      if (flags) this.#mark(level, access)
      const within = WITHIN[level]!
      const hostPage = page + (guestPage & within)
      const dirty = !flags || access === ACCESS.write || (low & D.mask) !== 0
      this.#fill(root, guestPage, hostPage, rights | VALID | (dirty ? DIRTY : 0))
      return hostPage
    }
  }

  /** "EPT Misconfigurations", for an entry that is present. */
  #misconfigured(low: number, high: number, level: number, leaf: boolean): boolean {
    if ((low & (R.mask | W.mask)) === W.mask) return true
    if ((high & this.#reservedHigh) !== 0) return true
    if (!leaf) return (low & (level === LEVELS ? RESERVED_PML4 : RESERVED_TABLE)) !== 0
    if ((LEGAL_TYPES & (1 << ((low >>> 3) & 7))) === 0) return true
    return ((low >>> 12) & WITHIN[level]!) !== 0
  }

  /** "Accessed and Dirty Flags for EPT": every entry used, and the leaf of a write. */
  #mark(leafLevel: number, access: number): void {
    for (let level = LEVELS; level >= leafLevel; level--) {
      const words = this.#tables[level - 1]!
      words[this.#entries[level - 1]!]! |= A.mask
    }
    if (access === ACCESS.write) this.#tables[leafLevel - 1]![this.#entries[leafLevel - 1]!]! |= D.mask
  }

  #fill(root: number, guestPage: number, hostPage: number, flags: number): void {
    const at = guestPage & (CACHE_ENTRIES - 1)
    this.#guestPage[at] = guestPage
    this.#hostPage[at] = hostPage
    this.#root[at] = root
    this.#flags[at] = flags
  }

  /** "Exit Qualification for EPT Violations". A violation also drops the mapping that the access used. */
  #violation(guestPage: number, access: number, rights: number): number {
    const at = guestPage & (CACHE_ENTRIES - 1)
    if (this.#guestPage[at] === guestPage) this.#flags[at] = 0
    const { linearAddressValid, finalTranslation } = EPT_VIOLATION
    return this.#fault(
      EXIT_REASON.eptViolation,
      access | (rights << 3) | linearAddressValid | finalTranslation,
    )
  }

  #fault(reason: number, qualification: number): number {
    this.faultReason = reason
    this.faultQualification = qualification
    return -1
  }

  /** INVEPT single-context: the mappings of one PML4 table. */
  invalidate(root: number): void {
    for (let at = 0; at < CACHE_ENTRIES; at++) if (this.#root[at] === root) this.#flags[at] = 0
  }

  invalidateAll(): void {
    this.#flags.fill(0)
  }

  /** Valid cached mappings, for display. */
  cached(): { root: number; guestPage: number; hostPage: number; rights: number }[] {
    const entries = []
    for (let at = 0; at < CACHE_ENTRIES; at++) {
      if (this.#flags[at] === 0) continue
      entries.push({
        root: this.#root[at]!,
        guestPage: this.#guestPage[at]!,
        hostPage: this.#hostPage[at]!,
        rights: this.#flags[at]! & RIGHTS,
      })
    }
    return entries
  }

  save(): Saved {
    const entries: number[] = []
    for (let at = 0; at < CACHE_ENTRIES; at++) {
      if (this.#flags[at] === 0) continue
      entries.push(this.#root[at]!, this.#guestPage[at]!, this.#hostPage[at]!, this.#flags[at]!)
    }
    return { version: 1, entries: Float64Array.from(entries) }
  }

  load(saved: Saved): void {
    const { entries } = saved as { entries: Float64Array }
    this.invalidateAll()
    for (let i = 0; i < entries.length; i += 4) {
      this.#fill(entries[i]!, entries[i + 1]!, entries[i + 2]!, entries[i + 3]!)
    }
  }
}
