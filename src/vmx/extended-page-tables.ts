/**
 * "The Extended Page Table Mechanism": 4- and 5-level walks of the tables in memory, and a cache of guest-physical
 * mappings that only INVEPT and the violations themselves invalidate.
 */
import type { Saved } from '../core/index.ts'
import type { PhysicalMemory } from '../memory/index.ts'
import type { ProcessorCapabilities } from './capabilities.ts'
import { EPT_ENTRY, EPT_MEMORY_TYPE } from './formats/ept.ts'
import { EXIT_REASON } from './formats/exit-reasons.ts'
import type { ModificationLog } from './processor-memory.ts'
import { WALKS } from './walk-counters.ts'

const { R, W, X, XU, LEAF, A, D } = EPT_ENTRY
/** What an access needs: bits 2:0 as in an entry and in the low bits of the exit qualification. */
export const ACCESS = { read: 1, write: 2, fetch: 4, userFetch: 8 } as const
const RIGHTS = 7
const ALL_RIGHTS = 15

/** What EPTP and the controls say of a walk. */
export const EPT_WALK = {
  /** Accessed and dirty flags. */
  flags: 1,
  /** Mode-based execute control: bit 10 is the right of user-mode fetches. */
  modeBased: 2,
  fiveLevels: 4,
} as const

const LEVELS = 5
/** Moves a page number right by 9 bits per level below: exact, and cheaper than a power. */
const SCALE = [0, 1, 2 ** -9, 2 ** -18, 2 ** -27, 2 ** -36] as const
/** Page-number bits within a leaf of each level. */
const WITHIN = [0, 0, 2 ** 9 - 1, 2 ** 18 - 1] as const
/** Guest-physical addresses of a 4-level table are 48 bits wide; no guest-physical address is wider than 52. */
const PAGE_LIMIT_4 = 2 ** 36
const PAGE_LIMIT_5 = 2 ** 40
/** Bits of a non-leaf entry that must be 0 in its low word; bit 7 would make it a leaf, which only PDPTEs and PDEs can be. */
const RESERVED_TABLE = 0x78
const RESERVED_TOP = 0xf8
const SUPPRESS_VE = 0x8000_0000

const LEGAL_TYPES =
  (1 << EPT_MEMORY_TYPE.UC) |
  (1 << EPT_MEMORY_TYPE.WC) |
  (1 << EPT_MEMORY_TYPE.WT) |
  (1 << EPT_MEMORY_TYPE.WP) |
  (1 << EPT_MEMORY_TYPE.WB)

const CACHE_ENTRIES = 512
/** Beside the rights of a cached mapping: it is valid; its leaf is marked dirty already, or needs no marking. */
const VALID = 16
const DIRTY = 32

export class ExtendedPageTables {
  readonly #memory: PhysicalMemory
  readonly #log: ModificationLog
  readonly #walks: Float64Array
  readonly #executeOnly: boolean
  /** Bit 7 of a PDPTE that maps a page, where this processor has no 1-GiB pages. */
  readonly #reservedDirectory: number
  /** Bits of an entry's high word that lie beyond MAXPHYADDR. */
  readonly #reservedHigh: number
  readonly #guestPage = new Float64Array(CACHE_ENTRIES)
  readonly #hostPage = new Float64Array(CACHE_ENTRIES)
  /** Page of the highest table: the tag "EP4TA". */
  readonly #root = new Float64Array(CACHE_ENTRIES)
  readonly #flags = new Uint8Array(CACHE_ENTRIES)
  /** Tables and word indices of the walk in progress, for the accessed and dirty flags. */
  readonly #tables: Uint32Array[] = Array.from({ length: LEVELS }, () => new Uint32Array(0))
  readonly #entries = new Uint32Array(LEVELS)

  /** After a failed translation: violation, misconfiguration or page-modification log full, and the qualification. */
  faultReason = 0
  faultQualification = 0
  /** The violation may become a virtualization exception: bit 63 of the entry that decided is clear. */
  faultConvertible = false

  constructor(
    memory: PhysicalMemory,
    capabilities: ProcessorCapabilities,
    log: ModificationLog,
    walks: Float64Array,
  ) {
    this.#walks = walks
    this.#memory = memory
    this.#log = log
    this.#executeOnly = capabilities.executeOnlyEpt
    this.#reservedDirectory = capabilities.gigabyteEptPages ? 0 : LEAF.mask
    this.#reservedHigh = 0xf_ffff & ~(2 ** (capabilities.physicalAddressWidth - 32) - 1)
  }

  /**
   * Host page of a guest page for an access (a union of {@link ACCESS}), or -1 with the fault fields set. `root` is the
   * page of the highest table, `walk` a union of {@link EPT_WALK}, `context` what the qualification says beside the access
   * and the rights.
   */
  translate(root: number, walk: number, guestPage: number, access: number, context: number): number {
    const at = guestPage & (CACHE_ENTRIES - 1)
    const cached = this.#flags[at]!
    if (
      (cached & access) === access &&
      this.#guestPage[at] === guestPage &&
      this.#root[at] === root &&
      ((access & ACCESS.write) === 0 || (cached & DIRTY) !== 0)
    ) {
      return this.#hostPage[at]!
    }
    return this.#walk(root, walk, guestPage, access, context)
  }

  #walk(root: number, walk: number, guestPage: number, access: number, context: number): number {
    const modeBased = (walk & EPT_WALK.modeBased) !== 0
    const levels = (walk & EPT_WALK.fiveLevels) !== 0 ? 5 : 4
    if (guestPage >= (levels === 5 ? PAGE_LIMIT_5 : PAGE_LIMIT_4)) {
      this.faultConvertible = false
      return this.#violation(guestPage, access, 0, context)
    }
    let rights = ALL_RIGHTS
    let table = root
    for (let level = levels; ; level--) {
      const words = this.#memory.words(table)
      this.#walks[WALKS.nested]!++
      const index = ((guestPage * SCALE[level]!) & 511) * 2
      // Where no memory answers, reads return ones: a reserved bit of the entry is set.
      const low = words === undefined ? -1 : words[index]! | 0
      const high = words === undefined ? -1 : words[index + 1]! | 0
      // Without mode-based control, X is the right of every fetch.
      const user = modeBased ? (low & XU.mask) >>> 7 : (low & X.mask) << 1
      const granted = (low & RIGHTS) | user
      this.faultConvertible = (high & SUPPRESS_VE) === 0
      if (granted === 0) return this.#violation(guestPage, access, 0, context)
      const leaf = level === 1 || (level < 4 && (low & LEAF.mask) !== 0)
      if (this.#misconfigured(low, high, level, leaf)) return this.#fault(EXIT_REASON.eptMisconfiguration, 0)
      rights &= granted
      this.#tables[level - 1] = words!
      this.#entries[level - 1] = index
      const page = (high & 0xf_ffff) * 2 ** 20 + (low >>> 12)
      if (!leaf) {
        table = page
        continue
      }
      if ((rights & access) !== access) {
        // Bit 6 of the qualification is the right of user-mode fetches, and 0 without mode-based control.
        const told = (rights & RIGHTS) | (modeBased ? rights & ACCESS.userFetch : 0)
        return this.#violation(guestPage, access, told, context)
      }
      const flags = (walk & EPT_WALK.flags) !== 0
      if (flags && !this.#mark(level, levels, guestPage, access)) {
        return this.#fault(EXIT_REASON.pageModificationLogFull, 0)
      }
      const within = WITHIN[level]!
      const hostPage = page + (guestPage & within)
      const dirty = !flags || (access & ACCESS.write) !== 0 || (low & D.mask) !== 0
      this.#fill(root, guestPage, hostPage, rights | VALID | (dirty ? DIRTY : 0))
      return hostPage
    }
  }

  /** "EPT Misconfigurations", for an entry that is present. */
  #misconfigured(low: number, high: number, level: number, leaf: boolean): boolean {
    if ((low & R.mask) === 0 && ((low & W.mask) !== 0 || !this.#executeOnly)) return true
    if ((high & this.#reservedHigh) !== 0) return true
    if (!leaf) return (low & (level >= 4 ? RESERVED_TOP : RESERVED_TABLE)) !== 0
    if ((LEGAL_TYPES & (1 << ((low >>> 3) & 7))) === 0) return true
    if (level === 3 && (low & this.#reservedDirectory) !== 0) return true
    return ((low >>> 12) & WITHIN[level]!) !== 0
  }

  /** "Accessed and Dirty Flags for EPT": every entry used, and the leaf of a write. False: the page-modification log is full. */
  #mark(leafLevel: number, levels: number, guestPage: number, access: number): boolean {
    const leaf = this.#tables[leafLevel - 1]!
    const at = this.#entries[leafLevel - 1]!
    const write = (access & ACCESS.write) !== 0
    const makesDirty = write && (leaf[at]! & D.mask) === 0
    if ((makesDirty || !this.#accessed(leafLevel, levels)) && this.#log.full) return false
    for (let level = levels; level >= leafLevel; level--) {
      this.#tables[level - 1]![this.#entries[level - 1]!]! |= A.mask
    }
    if (makesDirty) {
      this.#log.append(guestPage)
      leaf[at]! |= D.mask
    }
    return true
  }

  #accessed(leafLevel: number, levels: number): boolean {
    for (let level = levels; level >= leafLevel; level--) {
      if ((this.#tables[level - 1]![this.#entries[level - 1]!]! & A.mask) === 0) return false
    }
    return true
  }

  #fill(root: number, guestPage: number, hostPage: number, flags: number): void {
    const at = guestPage & (CACHE_ENTRIES - 1)
    this.#guestPage[at] = guestPage
    this.#hostPage[at] = hostPage
    this.#root[at] = root
    this.#flags[at] = flags
  }

  /** "Exit Qualification for EPT Violations". A violation also drops the mapping that the access used. */
  #violation(guestPage: number, access: number, rights: number, context: number): number {
    const at = guestPage & (CACHE_ENTRIES - 1)
    if (this.#guestPage[at] === guestPage) this.#flags[at] = 0
    const kind = (access & ACCESS.userFetch) !== 0 ? ACCESS.fetch : access
    return this.#fault(EXIT_REASON.eptViolation, kind | (rights << 3) | context)
  }

  #fault(reason: number, qualification: number): number {
    this.faultReason = reason
    this.faultQualification = qualification
    return -1
  }

  /** INVEPT single-context: the mappings of one highest table. */
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
