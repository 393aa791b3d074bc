/** "Second-Stage Translation" and "Second-Stage Paging Entries": the walk from a page-table root to a leaf. */
import type { PageNumber } from '../core/index.ts'
import type { PhysicalMemory } from '../memory/index.ts'
import type { UnitCapabilities } from './capabilities.ts'
import { SECOND_STAGE_ENTRY } from './formats/structures.ts'

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

const PS = SECOND_STAGE_ENTRY.PS.mask
const SNP = SECOND_STAGE_ENTRY.SNP.mask
/** Highest level at which an entry can be a leaf: 1 GiB. */
const LARGEST_LEAF = 3
export const MAX_LEVELS = 5

/** What one entry of a level covers, in pages, inverted: exact in binary. */
export const PAGES_TO_UNITS = Float64Array.of(0, 1, 2 ** -9, 2 ** -18, 2 ** -27, 2 ** -36)
/** Pages inside a leaf of a level, less one. */
export const PAGES_WITHIN = Int32Array.of(0, 0, 2 ** 9 - 1, 2 ** 18 - 1)

/** One walker per unit, with its last walk: the result and, for inspection, each entry read. */
export class SecondStageWalker {
  readonly #memory: PhysicalMemory
  /** Reserved bits of the low word, by level: entries that point to a table, and leaves. */
  readonly #reservedInTable = new Uint32Array(MAX_LEVELS + 1)
  readonly #reservedInLeaf = new Uint32Array(MAX_LEVELS + 1)
  /** Reserved bits of the high word: above the host address width, and bit 62. */
  readonly #reservedHigh: number

  /** Level of the last entry read: the leaf, or where the walk failed. */
  level = 0
  /** First frame of the leaf. */
  leafFrame: PageNumber = 0
  /** Rights of the whole path. */
  rights = 0
  reads = 0
  /** By level: frame of the table, and the entry found in it. */
  readonly tables = new Float64Array(MAX_LEVELS + 1)
  readonly low = new Uint32Array(MAX_LEVELS + 1)
  readonly high = new Uint32Array(MAX_LEVELS + 1)

  constructor(memory: PhysicalMemory, capabilities: UnitCapabilities, hostAddressWidth: number) {
    this.#memory = memory
    this.#reservedHigh = ((0xf_ffff << (hostAddressWidth - 32)) & 0xf_ffff) | (1 << 30)
    const snoop = capabilities.SC ? 0 : SNP
    for (let level = 1; level <= MAX_LEVELS; level++) {
      this.#reservedInTable[level] = level > LARGEST_LEAF ? SNP | PS : SNP
      const addressInLeaf = level > 1 && level <= LARGEST_LEAF ? PAGES_WITHIN[level]! << 12 : 0
      const supported = level === 1 || (capabilities.SSLPS >>> (level - 2)) & 1
      this.#reservedInLeaf[level] = snoop | addressInLeaf | (supported ? 0 : PS)
    }
  }

  /** Pages from the start of the last walk's leaf to `page`. */
  pagesIntoLeaf(page: PageNumber): number {
    return page & PAGES_WITHIN[this.level]!
  }

  /**
   * Walks from the table at frame `root`. Per level permission comes before reserved bits, and an entry without R and
   * W is not examined further. `want` is the set of rights of which one suffices: READ, WRITE, or both for a
   * zero-length read.
   */
  walk(root: PageNumber, levels: number, page: PageNumber, want: number): number {
    const { tables, low: lows, high: highs } = this
    let table = root
    let rights = READ | WRITE
    let level = levels
    let result: number = WALK.access
    for (; ; level--) {
      tables[level] = table
      const memoryPage = this.#memory.page(table)
      if (memoryPage === undefined) break
      const at = ((page * PAGES_TO_UNITS[level]!) & 511) * 2
      const low = memoryPage.words[at]!
      const high = memoryPage.words[at + 1]!
      lows[level] = low
      highs[level] = high
      rights &= low
      if ((rights & want) === 0) {
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
      result = WALK.done
      break
    }
    this.level = level
    this.rights = rights
    this.reads = levels - level + (result === WALK.access ? 0 : 1)
    return result
  }
}
