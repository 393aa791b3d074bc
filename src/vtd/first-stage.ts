/**
 * "First-Stage Translation" and "First-Stage Paging Entries": the walk of 4 or 5 levels, with its tables in host memory or,
 * nested, in guest memory that the second stage maps.
 */
import type { PageNumber } from '../core/index.ts'
import type { PhysicalMemory } from '../memory/index.ts'
import { ACCESS, FIRST_STAGE_GRANTS, GRANT } from './access.ts'
import type { AccessedDirtyUpdates } from './accessed-dirty.ts'
import type { UnitCapabilities } from './capabilities.ts'
import { FAULT } from './formats/fault-reasons.ts'
import { FIRST_STAGE_ENTRY } from './formats/structures.ts'
import type { GuestTables } from './guest-tables.ts'
import { LARGEST_LEAF, MAX_LEVELS, PAGES_TO_UNITS, PAGES_WITHIN } from './paging-geometry.ts'
import type { PagingStructureCaches } from './paging-structure-caches.ts'
import { PASID_FLAG } from './pasid-entry.ts'
import type { Quirks } from './quirks.ts'
import type { WalkJournal } from './walk-journal.ts'

const { P, RW, US, A, D, PS, G, EA } = FIRST_STAGE_ENTRY
/** XD in the high word. */
const XD = 1 << 31

export class FirstStageWalker {
  readonly #memory: PhysicalMemory
  readonly #caches: PagingStructureCaches
  readonly #quirks: Quirks
  /** Reserved bits of the low word of leaves by level, and of the high word but for XD. */
  readonly #reservedInLeaf = new Uint32Array(MAX_LEVELS + 1)
  readonly #reservedHigh: number

  /** Level of the last entry read: the leaf, or where the walk failed. */
  level = 0
  /** First frame of the leaf: of the host, or of the guest in nested translation. */
  leafFrame: PageNumber = 0
  /** First-stage bits of GRANT that the whole path has. */
  grants = 0
  reads = 0
  /** Highest level read: below the levels that a cache knew. */
  top = 0
  /** Host frame of the table of each level read, and the entry found in it. */
  readonly tables = new Float64Array(MAX_LEVELS + 1)
  readonly low = new Uint32Array(MAX_LEVELS + 1)
  readonly high = new Uint32Array(MAX_LEVELS + 1)
  readonly #grants = new Int32Array(MAX_LEVELS + 1)
  /** Whether a paging-structure cache told where the top table read is, and how the second stage maps it. */
  #cached = false
  #cachedGrants = 0
  #page: PageNumber = 0
  journal: WalkJournal | undefined = undefined

  constructor(
    memory: PhysicalMemory,
    capabilities: UnitCapabilities,
    hostAddressWidth: number,
    caches: PagingStructureCaches,
    quirks: Quirks,
  ) {
    this.#memory = memory
    this.#caches = caches
    this.#quirks = quirks
    this.#reservedHigh = (0xf_ffff << (hostAddressWidth - 32)) & 0xf_ffff
    for (let level = 2; level <= LARGEST_LEAF; level++) {
      // Bit 12 of a large leaf is PAT.
      const supported = level === 2 || capabilities.FS1GP !== 0 || quirks.oneGPageAcceptedWithoutFs1gp
      this.#reservedInLeaf[level] = ((PAGES_WITHIN[level]! << 12) & ~0x1000) | (supported ? 0 : PS.mask)
    }
  }

  /** Page, of the guest in nested translation, that `page` leads to by the last walk, which was done. */
  frameOf(page: PageNumber): PageNumber {
    return this.leafFrame + (page & PAGES_WITHIN[this.level]!)
  }

  /**
   * Walks from the table at frame `root`, or from the lowest table that the caches know. Returns 0 or a reason code: of
   * reading, presence and reserved bits; permissions are the caller's to check, in `grants`. `guest` says where tables of
   * nested translation are, undefined without nesting; `useCaches` off makes the walk read every level.
   */
  walk(
    space: number,
    pasid: number,
    root: PageNumber,
    levels: number,
    page: PageNumber,
    access: number,
    flags: number,
    guest: GuestTables | undefined,
    useCaches: boolean,
  ): number {
    const { tables, low: lows, high: highs } = this
    const caches = this.#caches
    const reservedHigh = this.#reservedHigh | (flags & PASID_FLAG.NXE ? 0 : XD)
    const cached = useCaches ? caches.lookup(space, pasid, page, levels) : -1
    let grants = FIRST_STAGE_GRANTS
    let table = root
    let level = levels
    this.reads = 0
    this.#page = page
    this.#cached = cached >= 0
    if (cached >= 0) {
      level = caches.level - 1
      table = caches.tableOf(cached)
      this.#cachedGrants = caches.attributesOf(cached)
      grants = this.#cachedGrants & FIRST_STAGE_GRANTS
      this.journal?.skip({ stage: 'first', level: caches.level, table })
    }
    this.top = level
    for (; ; level--) {
      this.level = level
      if (guest !== undefined && (cached < 0 || level < this.top)) {
        const reason = guest.map(table, level, level === levels)
        this.reads += guest.reads
        if (reason !== 0) return reason
        table = guest.frame
      }
      tables[level] = table
      const words = this.#memory.words(table)
      const at = ((page * PAGES_TO_UNITS[level]!) & 511) * 2
      if (words === undefined) {
        this.journal?.add({ stage: 'first', level, table, index: at / 2 })
        return level === levels ? FAULT.firstStageTopAccess : FAULT.firstStageAccess
      }
      const low = words[at]!
      const high = words[at + 1]!
      this.reads++
      lows[level] = low
      highs[level] = high
      if (this.journal !== undefined) {
        this.journal.add({ stage: 'first', level, table, index: at / 2, low, high })
      }
      if ((low & P.mask) === 0) return FAULT.firstStageNotPresent
      if (this.#quirks.severalFaultConditions) {
        const denied = permissionOf(low, access)
        if (denied !== 0) return denied
      }
      const isTable = level > 1 && (level > LARGEST_LEAF || (low & PS.mask) === 0)
      const reserved = isTable ? (level > LARGEST_LEAF ? PS.mask : 0) : this.#reservedInLeaf[level]!
      if ((low & reserved) | (high & reservedHigh)) return FAULT.firstStageReserved
      grants &=
        (low & US.mask ? GRANT.user : 0) |
        (low & RW.mask ? GRANT.firstWrite : 0) |
        (high & XD ? 0 : GRANT.firstExecute)
      this.#grants[level] = grants
      table = (high & 0xf_ffff) * 0x10_0000 + (low >>> 12)
      if (isTable) continue
      this.leafFrame = level === 1 ? table : table - (table & PAGES_WITHIN[level]!)
      this.grants = grants
      return 0
    }
  }

  /**
   * Adds to `updates` the flags that the last walk has to set: A (and EA) in every entry read, D in the leaf for a write.
   * Returns whether there was anything. With `guest`, levels concerned are also noted there.
   */
  gather(
    updates: AccessedDirtyUpdates,
    write: boolean,
    flags: number,
    guest: GuestTables | undefined,
  ): boolean {
    const accessed = A.mask | (flags & PASID_FLAG.EAFE ? EA.mask : 0)
    const before = updates.count
    for (let level = this.top; level >= this.level; level--) {
      const wanted = write && level === this.level ? accessed | D.mask : accessed
      const set = this.low[level]! & wanted
      if (set === wanted || (set !== 0 && this.#quirks.dirtyOrAccessedNotUpdated)) continue
      const word = ((this.#page * PAGES_TO_UNITS[level]!) & 511) * 2
      updates.add(this.tables[level]!, word, wanted)
      if (guest !== undefined) guest.written |= 1 << level
    }
    return updates.count !== before
  }

  /**
   * Adds A for the entries that a walk passed before it failed for `reason`, and D for a leaf that would have been
   * written, as a departing implementation sets them; a leaf that only lacks a right stays as it is.
   */
  gatherPassed(updates: AccessedDirtyUpdates, reason: number, write: boolean): void {
    updates.count = 0
    const output = reason === FAULT.scalableInterruptRangeOutput
    const last = output ? this.level : this.level + 1
    for (let level = this.top; level >= last; level--) {
      const flags = write && output && level === this.level ? A.mask | D.mask : A.mask
      if ((this.low[level]! & flags) !== 0) continue
      updates.add(this.tables[level]!, ((this.#page * PAGES_TO_UNITS[level]!) & 511) * 2, flags)
    }
  }

  /** GRANT.tableWritable and tableDirty of the top table read if a cache told where it is, else -1. */
  get cachedTableGrants(): number {
    return this.#cached ? this.#cachedGrants : -1
  }

  /** Whether D of the leaf is set. */
  get dirty(): boolean {
    return (this.low[this.level]! & D.mask) !== 0
  }

  get global(): number {
    return this.low[this.level]! & G.mask ? GRANT.global : 0
  }

  /** Keeps the entries above the leaf that the last walk, which was done, read. */
  fillCaches(space: number, pasid: number, guest: GuestTables | undefined): void {
    for (let level = this.top; level > this.level; level--) {
      const attributes = this.#grants[level]! | (guest === undefined ? 0 : guest.grantsOf(level - 1))
      this.#caches.fill(space, pasid, level, this.#page, this.tables[level - 1]!, attributes)
    }
  }
}

/** What a departing implementation checks at each level at once. */
function permissionOf(low: number, access: number): number {
  if ((access & ACCESS.privileged) === 0 && (low & US.mask) === 0) return FAULT.userPermission
  return (access & ACCESS.write) !== 0 && (low & RW.mask) === 0 ? FAULT.scalableWritePermission : 0
}

/** "Canonical": bits from `width` - 1 up to 63 are equal. Pages of 64-bit addresses. */
export function isCanonical(page: PageNumber, width: number): boolean {
  const half = HALVES[width - 12]!
  return page < half || page >= 2 ** 52 - half
}
const HALVES = Float64Array.from({ length: 53 }, (_, bits) => 2 ** (bits - 1))
