/** "Second-Stage Translation" and "Second-Stage Paging Entries": the walk from a page-table root to a leaf. */
import type { PageNumber } from '../core/index.ts'
import type { PhysicalMemory } from '../memory/index.ts'
import { GRANT } from './access.ts'
import type { AccessedDirtyUpdates } from './accessed-dirty.ts'
import type { UnitCapabilities } from './capabilities.ts'
import { SECOND_STAGE_ENTRY } from './formats/structures.ts'
import { LARGEST_LEAF, MAX_LEVELS, PAGES_TO_UNITS, PAGES_WITHIN } from './paging-geometry.ts'
import type { PagingStructureCaches } from './paging-structure-caches.ts'
import type { Quirks } from './quirks.ts'
import type { WalkJournal } from './walk-journal.ts'

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

/** One walker per unit, with its last walk: the result and each entry read. */
export class SecondStageWalker {
  readonly #memory: PhysicalMemory
  readonly #caches: PagingStructureCaches
  /** Reserved bits of the low word, by level: entries that point to a table, and leaves. */
  readonly #reservedInTable = new Uint32Array(MAX_LEVELS + 1)
  readonly #reservedInLeaf = new Uint32Array(MAX_LEVELS + 1)
  /** Reserved bits of the high word: above the host address width, and bit 62. */
  readonly #reservedHigh: number
  /** What SNP of a leaf grants: nothing without ECAP.SC. */
  readonly #snoopGrant: number

  /** Level of the last entry read: the leaf, or where the walk failed. */
  level = 0
  /** First frame of the leaf. */
  leafFrame: PageNumber = 0
  /** GRANT bits that the leaf itself tells: dirty and snoop. */
  leafGrants = 0
  /** Rights of the whole path: READ, WRITE, and X, which counts with SLEE only. */
  rights = 0
  reads = 0
  /** Highest level read: below the levels that a cache knew. */
  top = 0
  /** By level: frame of the table, the entry found in it, and the rights of the path so far. */
  readonly tables = new Float64Array(MAX_LEVELS + 1)
  readonly low = new Uint32Array(MAX_LEVELS + 1)
  readonly high = new Uint32Array(MAX_LEVELS + 1)
  readonly #rights = new Int32Array(MAX_LEVELS + 1)
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
    this.#reservedHigh = ((0xf_ffff << (hostAddressWidth - 32)) & 0xf_ffff) | (1 << 30)
    const acceptsSnoop =
      capabilities.SC !== 0 || (quirks.snoopBitAcceptedWithoutSc && capabilities.SMTS !== 0)
    this.#snoopGrant = capabilities.SC ? GRANT.snoop : 0
    for (let level = 1; level <= MAX_LEVELS; level++) {
      this.#reservedInTable[level] = level > LARGEST_LEAF ? SNP | PS : SNP
      const addressInLeaf = level > 1 && level <= LARGEST_LEAF ? PAGES_WITHIN[level]! << 12 : 0
      const supported = level === 1 || (capabilities.SSLPS >>> (level - 2)) & 1
      this.#reservedInLeaf[level] = (acceptsSnoop ? 0 : SNP) | addressInLeaf | (supported ? 0 : PS)
    }
  }

  /** Host page of `page` by the last walk, which was done. */
  frameOf(page: PageNumber): PageNumber {
    return this.leafFrame + (page & PAGES_WITHIN[this.level]!)
  }

  /**
   * Walks from the table at frame `root`, or from the lowest table that the caches know for `page` of an address space.
   * Per level: an entry without any right in `present` is not examined further; then every right in `demanded` has to
   * be there (legacy mode; 0 leaves that to the caller); then reserved bits.
   */
  walk(
    space: number,
    root: PageNumber,
    levels: number,
    page: PageNumber,
    demanded: number,
    present: number,
  ): number {
    const { tables, low: lows, high: highs } = this
    const pathRights = this.#rights
    let table = root
    let rights = READ | WRITE | EXECUTE
    let level = levels
    let result: number = WALK.access
    const caches = this.#caches
    const cached = caches.lookup(space, 0, page, levels)
    if (cached >= 0) {
      level = caches.level - 1
      table = caches.tableOf(cached)
      rights = caches.attributesOf(cached)
      this.journal?.skip({ stage: 'second', level: caches.level, table })
    }
    this.top = level
    this.#page = page
    for (; ; level--) {
      tables[level] = table
      const words = this.#memory.words(table)
      const at = ((page * PAGES_TO_UNITS[level]!) & 511) * 2
      if (words === undefined) {
        this.journal?.add({ stage: 'second', level, table, index: at / 2 })
        break
      }
      const low = words[at]!
      const high = words[at + 1]!
      lows[level] = low
      highs[level] = high
      if (this.journal !== undefined) {
        this.journal.add({ stage: 'second', level, table, index: at / 2, low, high })
      }
      rights &= low
      pathRights[level] = rights
      if ((rights & present) === 0 || (demanded & ~rights) !== 0) {
        result = WALK.permission
        break
      }
      const isTable = level > 1 && (level > LARGEST_LEAF || (low & PS) === 0)
      const reserved = isTable ? this.#reservedInTable[level]! : this.#reservedInLeaf[level]!
      if ((low & reserved) | (high & this.#reservedHigh)) {
        result = WALK.reserved
        break
      }
      table = (high & 0xf_ffff) * 0x10_0000 + (low >>> 12)
      if (isTable) continue
      this.leafFrame = table
      this.leafGrants = (low & D ? GRANT.dirty : 0) | (low & SNP ? this.#snoopGrant : 0)
      result = WALK.done
      break
    }
    this.level = level
    this.rights = rights
    this.reads = this.top - level + (result === WALK.access ? 0 : 1)
    return result
  }

  /**
   * Adds to `updates` what the last walk must set with accessed and dirty flags enabled: A in each entry read (those
   * that a cache knew have it), D in the leaf for a write. Returns whether there was anything.
   */
  gather(updates: AccessedDirtyUpdates, write: boolean): boolean {
    const before = updates.count
    for (let level = this.top; level >= this.level; level--) {
      const wanted = write && level === this.level ? A | D : A
      if ((this.low[level]! & wanted) !== wanted)
        updates.add(this.tables[level]!, this.#wordOf(level), wanted)
    }
    return updates.count !== before
  }

  /** Whether D of the leaf is set. */
  get dirty(): boolean {
    return (this.leafGrants & GRANT.dirty) !== 0
  }

  /** Where the leaf is: frame of its table, and index of its low word there. */
  get leafTable(): PageNumber {
    return this.tables[this.level]!
  }

  get leafWord(): number {
    return this.#wordOf(this.level)
  }

  #wordOf(level: number): number {
    return ((this.#page * PAGES_TO_UNITS[level]!) & 511) * 2
  }

  /** Keeps the entries above the leaf that the last walk, which was done, read. */
  fillCaches(space: number): void {
    for (let level = this.top; level > this.level; level--) {
      this.#caches.fill(space, 0, level, this.#page, this.tables[level - 1]!, this.#rights[level]!)
    }
  }
}

/** Rights whose absence, taken together, makes an entry not present. */
export const PRESENT = READ | WRITE
export const PRESENT_WITH_EXECUTE = READ | WRITE | EXECUTE
