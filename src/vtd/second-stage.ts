/** "Second-Stage Translation" and "Second-Stage Paging Entries": the walk from a page-table root to a leaf. */
import type { PageNumber } from '../core/index.ts'
import type { PhysicalMemory } from '../memory/index.ts'
import { FIRST_STAGE_GRANTS, GRANT } from './access.ts'
import type { AccessedDirtyUpdates } from './accessed-dirty.ts'
import type { UnitCapabilities } from './capabilities.ts'
import { SECOND_STAGE_ENTRY } from './formats/structures.ts'
import {
  ADDRESS_HIGH,
  frameIn,
  highOfPage,
  LARGEST_LEAF,
  lowOfPage,
  MAX_LEVELS,
  PAGES_WITHIN,
  pageAt,
  pageWithin,
  wordIn,
  wordOf,
} from './paging-geometry.ts'
import type { PagingStructureCaches } from './paging-structure-caches.ts'
import type { Quirks } from './quirks.ts'
import type { WalkJournal } from './walk-journal.ts'
import { WalkPath } from './walk-path.ts'

/** How a walk ended. The mode of the request turns it into a reason code. */
export const WALK = {
  done: 0,
  /** The entry of `level` could not be read. */
  access: 1,
  /** The entry of `level` lacks the permission asked for, or is not present. */
  permission: 2,
  /** The entry of `level` has reserved bits set. */
  reserved: 3,
} as const

/** Permissions as second-stage entries hold them. */
export const READ = SECOND_STAGE_ENTRY.R.mask
export const WRITE = SECOND_STAGE_ENTRY.W.mask
const EXECUTE = SECOND_STAGE_ENTRY.X.mask

const PS = SECOND_STAGE_ENTRY.PS.mask
const A = SECOND_STAGE_ENTRY.A.mask
const D = SECOND_STAGE_ENTRY.D.mask
const SNP = SECOND_STAGE_ENTRY.SNP.mask

// Imported and exported bindings are looked up at each use; a module's own constants are not.
const { done: DONE, access: ACCESS, permission: PERMISSION, reserved: RESERVED } = WALK
const ALL_RIGHTS = READ | WRITE | EXECUTE
const HIGHEST_LEAF = LARGEST_LEAF
const wordAt = wordIn
const DIRTY = GRANT.dirty
const LEGACY_RIGHTS = READ | WRITE
/** Of the low word of entries that point to a table: SNP is reserved, PS too, or makes it a leaf. */
const NEVER_IN_POINTER = SNP | PS
const IN_ADDRESS = ADDRESS_HIGH
const NOT_IN_LEGACY = GRANT.execute | FIRST_STAGE_GRANTS

/** One walker per unit, with its last walk: the result and each entry read. */
export class SecondStageWalker {
  readonly #memory: PhysicalMemory
  readonly #caches: PagingStructureCaches
  /** Reserved bits of the low word of leaves, by level. */
  readonly #reservedInLeaf = new Int32Array(MAX_LEVELS + 1)
  /** Of leaves of level 1 again, at hand. */
  readonly #reservedInPage: number
  /** Reserved bits of the high word: above the host address width, and bit 62. */
  readonly #reservedHigh: number
  /** What SNP of a leaf grants: nothing without ECAP.SC. */
  readonly #snoopGrant: number

  /** Level of the last entry read: the leaf, or where the walk failed. */
  level = 0
  /** The two words of the leaf. */
  leafLow = 0
  leafHigh = 0
  /** Rights of the whole path: READ, WRITE, and X, which counts with SLEE only. */
  rights = 0
  reads = 0
  /** Rights of the path down to the first entry read. */
  rightsAbove = 0
  /** Highest level read: below the levels that a cache knew. */
  top = 0
  /** Whether anything is ever done with the entries of a walk: caches filled, flags set. */
  readonly #recordsPath: boolean
  readonly #path = new WalkPath()
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
    this.#recordsPath = caches.inUse || capabilities.SSADS !== 0
    this.#reservedHigh = ((0xf_ffff << (hostAddressWidth - 32)) & 0xf_ffff) | (1 << 30)
    const acceptsSnoop =
      capabilities.SC !== 0 || (quirks.snoopBitAcceptedWithoutSc && capabilities.SMTS !== 0)
    this.#snoopGrant = capabilities.SC ? GRANT.snoop : 0
    for (let level = 1; level <= MAX_LEVELS; level++) {
      const addressInLeaf = level > 1 && level <= LARGEST_LEAF ? PAGES_WITHIN[level]! << 12 : 0
      const supported = level === 1 || (capabilities.SSLPS >>> (level - 2)) & 1
      this.#reservedInLeaf[level] = (acceptsSnoop ? 0 : SNP) | addressInLeaf | (supported ? 0 : PS)
    }
    this.#reservedInPage = this.#reservedInLeaf[1]!
  }

  /** Host page of `page` by the last walk, which was done. */
  frameOf(page: PageNumber): PageNumber {
    return frameIn(this.leafLow, this.leafHigh) + pageWithin(page, this.level)
  }

  /**
   * Walks from the root table at an address given in two words, or from the lowest table that the caches know on the way
   * to `page` of an address space; `lower` and `upper` are its {@link lowerBits} and {@link upperBits}.
   * Per level: an entry without any right in `present` is not examined further; then every right in `demanded` has to
   * be there (legacy mode; 0 leaves that to the caller); then reserved bits.
   */
  walk(
    space: number,
    rootLow: number,
    rootHigh: number,
    levels: number,
    page: PageNumber,
    lower: number,
    upper: number,
    demanded: number,
    present: number,
  ): number {
    const caches = this.#caches
    const memory = this.#memory
    const path = this.#recordsPath || this.journal !== undefined ? this.#path : undefined
    const wanted = present | 0
    const required = demanded | 0
    const reservedHigh = this.#reservedHigh | 0
    // Tables are found by their addresses as entries hold them, which need not become frame numbers on the way.
    let tableLow = rootLow | 0
    let tableHigh = rootHigh | 0
    let rights = ALL_RIGHTS
    let level = levels | 0
    if (caches.inUse && caches.lookup(space, 0, page, levels)) {
      level = (caches.level - 1) | 0
      tableLow = lowOfPage(caches.table)
      tableHigh = highOfPage(caches.table)
      rights = caches.attributes
      this.journal?.skip({ stage: 'second', level: caches.level, table: caches.table })
    }
    this.top = level
    this.rightsAbove = rights
    if (path !== undefined) this.#page = page
    let result: number = ACCESS
    for (; ; level--) {
      const words = memory.wordsAt(tableLow, tableHigh)
      const at = wordAt(lower, upper, level)
      if (words === undefined) {
        this.journal?.add({ stage: 'second', level, table: pageAt(tableLow, tableHigh), index: at / 2 })
        break
      }
      const low = words[at]! | 0
      const high = words[at + 1]! | 0
      rights &= low
      if (path !== undefined) path.record(level, tableLow, tableHigh, low, high)
      if (this.journal !== undefined) this.#note(level, at, low, high)
      if ((rights & wanted) === 0 || (required & ~rights) !== 0) {
        result = PERMISSION
        break
      }
      if (level > 1 && ((low & NEVER_IN_POINTER) | (high & reservedHigh)) === 0) {
        tableLow = low
        tableHigh = high & IN_ADDRESS
        continue
      }
      const isLeaf = level === 1 || (level <= HIGHEST_LEAF && (low & PS) !== 0)
      const reserved = level === 1 ? this.#reservedInPage : this.#reservedInLeaf[level]!
      if (!isLeaf || ((low & reserved) | (high & reservedHigh)) !== 0) {
        result = RESERVED
        break
      }
      this.leafLow = low
      this.leafHigh = high
      result = DONE
      break
    }
    this.level = level
    this.rights = rights
    this.reads = this.top - level + (result === ACCESS ? 0 : 1)
    return result
  }

  /**
   * What the last step of a walk grants in legacy mode, by the two words of a leaf of level 1 that `rights` lead to; -1
   * if the walk would not be done, for whatever reason.
   */
  leafGrantsOf(low: number, high: number, rights: number, demanded: number): number {
    if ((demanded & ~(rights & low)) !== 0) return -1
    if ((low & this.#reservedInPage) | (high & this.#reservedHigh)) return -1
    return (rights & low & LEGACY_RIGHTS) | NOT_IN_LEGACY | this.#grantsOf(low)
  }

  #grantsOf(leaf: number): number {
    return (leaf & D ? DIRTY : 0) | (leaf & SNP ? this.#snoopGrant : 0)
  }

  #note(level: number, at: number, low: number, high: number): void {
    const table = this.#path.tableOf(level)
    this.journal!.add({ stage: 'second', level, table, index: at / 2, low: low >>> 0, high: high >>> 0 })
  }

  /**
   * Adds to `updates` what the last walk must set with accessed and dirty flags enabled: A in each entry read (those
   * that a cache knew have it), D in the leaf for a write. Returns whether there was anything.
   */
  gather(updates: AccessedDirtyUpdates, write: boolean): boolean {
    const before = updates.count
    for (let level = this.top; level >= this.level; level--) {
      const wanted = write && level === this.level ? A | D : A
      if ((this.#path.lowOf(level) & wanted) !== wanted) {
        updates.add(this.#path.tableOf(level), wordOf(this.#page, level), wanted)
      }
    }
    return updates.count !== before
  }

  /** GRANT bits that the leaf itself tells: dirty and snoop. */
  get leafGrants(): number {
    return this.#grantsOf(this.leafLow)
  }

  /** GRANT bits of a translation in legacy mode by the last walk, which was done: there is no X and no first stage. */
  get legacyGrants(): number {
    return (this.rights & LEGACY_RIGHTS) | NOT_IN_LEGACY | this.leafGrants
  }

  /** Whether D of the leaf is set. */
  get dirty(): boolean {
    return (this.leafLow & D) !== 0
  }

  /** Where the leaf is: frame of its table, and index of its low word there. */
  get leafTable(): PageNumber {
    return this.#path.tableOf(this.level)
  }

  get leafWord(): number {
    return wordOf(this.#page, this.level)
  }

  /** Keeps the entries above the leaf that the last walk, which was done, read. */
  fillCaches(space: number): void {
    if (!this.#caches.inUse) return
    const path = this.#path
    let rights = this.rightsAbove
    for (let level = this.top; level > this.level; level--) {
      rights &= path.lowOf(level)
      this.#caches.fill(space, 0, level, this.#page, path.tableOf(level - 1), rights)
    }
  }
}

/** Rights whose absence, taken together, makes an entry not present. */
export const PRESENT = READ | WRITE
export const PRESENT_WITH_EXECUTE = READ | WRITE | EXECUTE
