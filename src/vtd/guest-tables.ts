/**
 * "Nested Translation", the part that concerns first-stage tables: they lie in guest memory, so that each access to one
 * goes through the second stage.
 */
import type { PageNumber } from '../core/index.ts'
import { GRANT } from './access.ts'
import type { AccessedDirtyUpdates } from './accessed-dirty.ts'
import { FAULT } from './formats/fault-codes.ts'
import { ADDRESS_HIGH, lowerBitsAt, MAX_LEVELS, pageAt, pageWithin, upperBitsAt } from './paging-geometry.ts'
import { PASID_FLAG } from './pasid-entry.ts'
import { PRESENT, READ, type SecondStageWalker, WALK, WRITE } from './second-stage.ts'

// Imported bindings are looked up at each use; a module's own constants are not.
const DONE = WALK.done
const SSADE = PASID_FLAG.SSADE
const IN_ADDRESS = ADDRESS_HIGH
const MAY_READ = READ
const MAY_WRITE = WRITE
const RIGHTS = PRESENT
const pageOf = pageAt
const within = pageWithin
const lowerOf = lowerBitsAt
const upperOf = upperBitsAt
const { tableWritable: WRITABLE, tableDirty: DIRTY } = GRANT

export class GuestTables {
  readonly #walker: SecondStageWalker
  readonly #updates: AccessedDirtyUpdates
  /** Bit n: the second stage lets the table of level n not be written; keeps a D of its own for it that is not set. */
  #readOnly = 0
  #clean = 0
  /** Second-stage leaf that maps the table of each level: where its D is. */
  readonly #dirtyTable = new Float64Array(MAX_LEVELS + 1)
  readonly #dirtyWord = new Int32Array(MAX_LEVELS + 1)
  #space = 0
  #rootLow = 0
  #rootHigh = 0
  #levels = 0
  #limit: PageNumber = 0
  #flags = 0
  /** Of the table mapped last: its host address in two words, and entries read for finding it. */
  low = 0
  high = 0
  reads = 0
  /** Bit n: an entry of the table of level n is to be written. */
  written = 0

  constructor(walker: SecondStageWalker, updates: AccessedDirtyUpdates) {
    this.#walker = walker
    this.#updates = updates
  }

  /** Selects the second stage of a PASID-table entry for the walk that follows. */
  begin(
    space: number,
    rootLow: number,
    rootHigh: number,
    levels: number,
    limit: PageNumber,
    flags: number,
  ): void {
    this.#space = space
    this.#rootLow = rootLow
    this.#rootHigh = rootHigh
    this.#levels = levels
    this.#limit = limit
    this.#flags = flags
    this.written = 0
    this.#readOnly = 0
    this.#clean = 0
  }

  /** Finds the first-stage table at a guest address, given in two words. Returns 0 or a reason code. */
  map(low: number, high: number, level: number, isTop: boolean): number {
    const walker = this.#walker
    const guestPage = pageOf(low, high)
    const lower = lowerOf(low, high)
    this.reads = 0
    if (guestPage >= this.#limit) return FAULT.nestedAddressBeyondWidth
    if (walker.journal !== undefined) walker.journal.guestPage = guestPage
    const result = walker.walk(
      this.#space,
      this.#rootLow,
      this.#rootHigh,
      this.#levels,
      guestPage,
      lower,
      upperOf(high),
      0,
      RIGHTS,
    )
    if (walker.journal !== undefined) walker.journal.guestPage = undefined
    this.reads = walker.reads
    if (result !== DONE && result !== WALK.permission) {
      return secondStageReason(result, walker.level === this.#levels)
    }
    if (result !== DONE || (walker.rights & MAY_READ) === 0) {
      return isTop ? FAULT.nestedTopReadPermission : FAULT.nestedReadPermission
    }
    this.low = walker.leafLow | (within(lower, walker.level) << 12)
    this.high = walker.leafHigh & IN_ADDRESS
    if ((walker.rights & MAY_WRITE) === 0) this.#readOnly |= 1 << level
    if ((this.#flags & SSADE) === 0) return 0
    if (walker.gather(this.#updates, false) && (this.#flags & PASID_FLAG.PWSNP) === 0) {
      return FAULT.secondStageUpdateNotSnooped
    }
    if (!walker.dirty) this.#clean |= 1 << level
    this.#dirtyTable[level] = walker.leafTable
    this.#dirtyWord[level] = walker.leafWord
    return 0
  }

  /** GRANT.tableWritable and tableDirty of the table of a level. */
  grantsOf(level: number): number {
    const bit = 1 << level
    return (this.#readOnly & bit ? 0 : WRITABLE) | (this.#clean & bit ? 0 : DIRTY)
  }

  /**
   * What the second stage says to writing accessed and dirty flags into the tables of `written`. `cachedGrants` are those of the top
   * table read (level `top`) if a cache told where it is, else -1. Returns 0, a reason code, or AGAIN if the walk
   * has to be made without caches to know where D is.
   */
  permitWrites(top: number, cachedGrants: number): number {
    for (let level = top; level > 0; level--) {
      if ((this.written & (1 << level)) === 0) continue
      const fromCache = level === top && cachedGrants >= 0
      const grants = fromCache ? cachedGrants : this.grantsOf(level)
      if ((grants & GRANT.tableWritable) === 0) return FAULT.nestedWritePermission
      if ((grants & GRANT.tableDirty) !== 0) continue
      if (fromCache) return AGAIN
      if ((this.#flags & PASID_FLAG.PWSNP) === 0) return FAULT.secondStageUpdateNotSnooped
      this.#updates.add(this.#dirtyTable[level]!, this.#dirtyWord[level]!, D)
      this.#clean &= ~(1 << level)
    }
    return 0
  }
}

/** The walk has to be made again, reading every level. */
export const AGAIN = -2

/** `SECOND_STAGE_ENTRY.D` */
const D = 1 << 9

/** Reason code, in scalable mode, of a second-stage walk that could not be finished. */
export const secondStageReason = (result: number, isTop: boolean): number =>
  result === WALK.reserved
    ? FAULT.scalableSecondStageReserved
    : result === WALK.permission
      ? FAULT.scalableSecondStageNotPresent
      : isTop
        ? FAULT.scalableSecondStageTopAccess
        : FAULT.scalableSecondStageAccess
