/**
 * "First-Stage Translation" and "First-Stage Paging Entries": the walk of 4 or 5 levels, with its tables in host memory or,
 * nested, in guest memory that the second stage maps.
 */
import type { PageNumber } from '../core/index.ts'
import type { PhysicalMemory } from '../memory/index.ts'
import { ACCESS, FIRST_STAGE_GRANTS, GRANT } from './access.ts'
import type { AccessedDirtyUpdates } from './accessed-dirty.ts'
import type { UnitCapabilities } from './capabilities.ts'
import { FAULT } from './formats/fault-codes.ts'
import { FIRST_STAGE_ENTRY } from './formats/structures.ts'
import type { GuestTables } from './guest-tables.ts'
import {
  ADDRESS_HIGH,
  frameIn,
  highOfPage,
  LARGEST_LEAF,
  lowerBits,
  lowOfPage,
  MAX_LEVELS,
  PAGES_WITHIN,
  pageAt,
  pageWithin,
  upperBits,
  wordIn,
  wordOf,
} from './paging-geometry.ts'
import type { PagingStructureCaches } from './paging-structure-caches.ts'
import { PASID_FLAG } from './pasid-entry.ts'
import type { Quirks } from './quirks.ts'
import type { WalkJournal } from './walk-journal.ts'
import { WalkPath } from './walk-path.ts'

const P = FIRST_STAGE_ENTRY.P.mask
const RW = FIRST_STAGE_ENTRY.RW.mask
const US = FIRST_STAGE_ENTRY.US.mask
const A = FIRST_STAGE_ENTRY.A.mask
const D = FIRST_STAGE_ENTRY.D.mask
const PS = FIRST_STAGE_ENTRY.PS.mask
const G = FIRST_STAGE_ENTRY.G.mask
const EA = FIRST_STAGE_ENTRY.EA.mask
/** XD in the high word. */
const XD = 1 << 31

// Imported bindings are looked up at each use; a module's own constants are not.
const { user: USER, firstWrite: WRITE, firstExecute: EXECUTE } = GRANT
const ALL_GRANTS = FIRST_STAGE_GRANTS
const HIGHEST_LEAF = LARGEST_LEAF
const wordAt = wordIn
const { NXE, EAFE } = PASID_FLAG
const IN_ADDRESS = ADDRESS_HIGH

export class FirstStageWalker {
  readonly #memory: PhysicalMemory
  readonly #caches: PagingStructureCaches
  readonly #quirks: Quirks
  /** Permissions are checked at each level, before reserved bits: a departing implementation. */
  readonly #deniesAtOnce: boolean
  /** Reserved bits of the low word of leaves by level, and of the high word but for XD. */
  readonly #reservedInLeaf = new Int32Array(MAX_LEVELS + 1)
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
  /** Low word of the leaf, and which of A and EA every entry read has. */
  #leafLow = 0
  #flagsSet = 0
  /** With host addresses of the tables. */
  readonly #path = new WalkPath()
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
    this.#deniesAtOnce = quirks.severalFaultConditions
    this.#reservedHigh = (0xf_ffff << (hostAddressWidth - 32)) & 0xf_ffff
    for (let level = 2; level <= LARGEST_LEAF; level++) {
      // Bit 12 of a large leaf is PAT.
      const supported = level === 2 || capabilities.FS1GP !== 0 || quirks.oneGPageAcceptedWithoutFs1gp
      this.#reservedInLeaf[level] = ((PAGES_WITHIN[level]! << 12) & ~0x1000) | (supported ? 0 : PS)
    }
  }

  /** Page, of the guest in nested translation, that `page` leads to by the last walk, which was done. */
  frameOf(page: PageNumber): PageNumber {
    return this.leafFrame + pageWithin(page, this.level)
  }

  /**
   * Walks from the root table at an address given in two words, or from the lowest table that the caches know. Returns 0
   * or a reason code: of reading, presence and reserved bits; permissions are the caller's to check, in `grants`. `guest`
   * says where tables of nested translation are, undefined without nesting; `useCaches` off makes the walk read every
   * level.
   */
  walk(
    space: number,
    pasid: number,
    rootLow: number,
    rootHigh: number,
    levels: number,
    page: PageNumber,
    access: number,
    flags: number,
    guest: GuestTables | undefined,
    useCaches: boolean,
  ): number {
    const caches = this.#caches
    const memory = this.#memory
    const path = this.#path
    const lower = lowerBits(page)
    const upper = upperBits(page)
    const reservedHigh = this.#reservedHigh | (flags & NXE ? 0 : XD)
    const cached = useCaches && caches.inUse && caches.lookup(space, pasid, page, levels)
    // What all low words and any high word have decides about rights and flags.
    let common = ~0
    let union = 0
    let tableLow = rootLow | 0
    let tableHigh = rootHigh | 0
    let level = levels | 0
    let reads = 0
    this.#page = page
    this.#cached = cached
    if (cached) {
      level = (caches.level - 1) | 0
      tableLow = lowOfPage(caches.table)
      tableHigh = highOfPage(caches.table)
      this.#cachedGrants = caches.attributes
      this.journal?.skip({ stage: 'first', level: caches.level, table: caches.table })
    }
    const top = level
    this.top = top
    let reason = 0
    for (; ; level--) {
      if (guest !== undefined && (!cached || level < top)) {
        reason = guest.map(tableLow, tableHigh, level, level === levels)
        reads += guest.reads
        if (reason !== 0) break
        tableLow = guest.low | 0
        tableHigh = guest.high | 0
      }
      const words = memory.wordsAt(tableLow, tableHigh)
      const at = wordAt(lower, upper, level)
      if (words === undefined) {
        this.journal?.add({ stage: 'first', level, table: pageAt(tableLow, tableHigh), index: at / 2 })
        reason = level === levels ? FAULT.firstStageTopAccess : FAULT.firstStageAccess
        break
      }
      const low = words[at]! | 0
      const high = words[at + 1]! | 0
      reads++
      common &= low
      union |= high
      path.record(level, tableLow, tableHigh, low, high)
      if (this.journal !== undefined) this.#note(level, at, low, high)
      if ((low & P) === 0) {
        reason = FAULT.firstStageNotPresent
        break
      }
      if (this.#deniesAtOnce) {
        reason = permissionOf(low, access)
        if (reason !== 0) break
      }
      if (level > 1 && ((low & PS) | (high & reservedHigh)) === 0) {
        tableLow = low
        tableHigh = high & IN_ADDRESS
        continue
      }
      const isLeaf = level === 1 || (level <= HIGHEST_LEAF && (low & PS) !== 0)
      if (!isLeaf || ((low & this.#reservedInLeaf[level]!) | (high & reservedHigh)) !== 0) {
        reason = FAULT.firstStageReserved
        break
      }
      const frame = frameIn(low, high)
      this.leafFrame = frame - pageWithin(frame, level)
      this.grants = grantsOf(common, union) & (cached ? this.#cachedGrants : ALL_GRANTS)
      this.#leafLow = low
      this.#flagsSet = common
      break
    }
    this.level = level
    this.reads = reads
    return reason
  }

  #note(level: number, at: number, low: number, high: number): void {
    const table = this.#path.tableOf(level)
    this.journal!.add({ stage: 'first', level, table, index: at / 2, low: low >>> 0, high: high >>> 0 })
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
    const accessed = A | (flags & EAFE ? EA : 0)
    if ((this.#flagsSet & accessed) === accessed && (!write || this.dirty)) return false
    const path = this.#path
    const before = updates.count
    for (let level = this.top; level >= this.level; level--) {
      const wanted = write && level === this.level ? accessed | D : accessed
      const set = path.lowOf(level) & wanted
      if (set === wanted || (set !== 0 && this.#quirks.dirtyOrAccessedNotUpdated)) continue
      updates.add(path.tableOf(level), wordOf(this.#page, level), wanted)
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
      const flags = write && output && level === this.level ? A | D : A
      if ((this.#path.lowOf(level) & flags) !== 0) continue
      updates.add(this.#path.tableOf(level), wordOf(this.#page, level), flags)
    }
  }

  /** GRANT.tableWritable and tableDirty of the top table read if a cache told where it is, else -1. */
  get cachedTableGrants(): number {
    return this.#cached ? this.#cachedGrants : -1
  }

  /** Whether D of the leaf is set. */
  get dirty(): boolean {
    return (this.#leafLow & D) !== 0
  }

  get global(): number {
    return this.#leafLow & G ? GRANT.global : 0
  }

  /** Keeps the entries above the leaf that the last walk, which was done, read. */
  fillCaches(space: number, pasid: number, guest: GuestTables | undefined): void {
    if (!this.#caches.inUse) return
    const path = this.#path
    let grants = this.#cached ? this.#cachedGrants & ALL_GRANTS : ALL_GRANTS
    for (let level = this.top; level > this.level; level--) {
      grants &= grantsOf(path.lowOf(level), path.highOf(level))
      const attributes = grants | (guest === undefined ? 0 : guest.grantsOf(level - 1))
      this.#caches.fill(space, pasid, level, this.#page, path.tableOf(level - 1), attributes)
    }
  }
}

/** First-stage bits of GRANT that an entry has; or a path, by what all its low words and any of its high words have. */
const grantsOf = (low: number, high: number): number =>
  (low & US ? USER : 0) | (low & RW ? WRITE : 0) | (high & XD ? 0 : EXECUTE)

/** What a departing implementation checks at each level at once. */
function permissionOf(low: number, access: number): number {
  if ((access & ACCESS.privileged) === 0 && (low & US) === 0) return FAULT.userPermission
  return (access & ACCESS.write) !== 0 && (low & RW) === 0 ? FAULT.scalableWritePermission : 0
}

/** "Canonical": bits from `width` - 1 up to 63 are equal. Pages of 64-bit addresses. */
export function isCanonical(page: PageNumber, width: number): boolean {
  const half = HALVES[width - 12]!
  return page < half || page >= 2 ** 52 - half
}
const HALVES = Float64Array.from({ length: 53 }, (_, bits) => 2 ** (bits - 1))
