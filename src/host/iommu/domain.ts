/** A translation domain: one set of tables, in use by requesters of one or more units, under an id in each. */
import { assert, type DomainId, hex, NorthbridgeError, type PageNumber } from '../../core/index.ts'
import { pause, type Software } from '../../engine/index.ts'
import type { TableMemory } from '../table-memory.ts'
import { addressMaskFor, type Invalidation } from './invalidation.ts'
import { type Rights, SecondStageTable } from './second-stage-table.ts'

/** Pages mapped between two pauses of a long mapping: those of the largest leaf, so that no slice cuts one. */
const SLICE = 2 ** 18

interface Region {
  readonly page: PageNumber
  readonly hostPage: PageNumber
  readonly pages: number
  readonly rights: Rights
  /** How often it was mapped alike. */
  references: number
}

/** What a table must be like for every unit that is to walk it. */
export interface TableShape {
  readonly levels: number
  readonly largestLeaf: number
}

/** What a domain asks of the units that walk its tables. */
export interface TranslatingUnit {
  readonly name: string
  /** Position in the DMAR table. */
  readonly index: number
  /** "Caching Mode": entries that were not present may be cached. */
  readonly cachesNotPresent: boolean
  /** Largest exponent of a page-selective invalidation; -1 if there is none. */
  readonly largestAddressMask: number
  /** Throws `outOfResources`. */
  takeDomainId(): DomainId
  giveDomainId(id: DomainId): void
  invalidate(requests: readonly Invalidation[]): Software
  flushWriteBuffer(): Software
}

export class TranslationDomain {
  /** Names the domain in this kernel. */
  readonly number: number
  /** Absent if addresses pass unchanged. */
  readonly table: SecondStageTable | undefined
  readonly #units = new Map<TranslatingUnit, { readonly id: DomainId; requesters: number }>()
  /** By first page. */
  readonly #regions = new Map<PageNumber, Region>()

  /** @param shape absent for a pass-through domain. Throws `outOfMemory`. */
  constructor(number: number, memory: TableMemory, shape?: TableShape) {
    this.number = number
    this.table =
      shape === undefined ? undefined : new SecondStageTable(memory, shape.levels, shape.largestLeaf)
  }

  /** The domain's id in a unit, taken for `requesters` more context entries. Throws `outOfResources`. */
  join(unit: TranslatingUnit, requesters: number): DomainId {
    const use = this.#units.get(unit)
    if (use !== undefined) {
      use.requesters += requesters
      return use.id
    }
    const id = unit.takeDomainId()
    this.#units.set(unit, { id, requesters })
    return id
  }

  /** After context entries of a unit have left and its caches have forgotten them. */
  leave(unit: TranslatingUnit, requesters: number): void {
    const use = this.#units.get(unit)
    assert(use !== undefined && use.requesters >= requesters, 'requesters leave the domain that they joined')
    use.requesters -= requesters
    if (use.requesters > 0) return
    this.#units.delete(unit)
    unit.giveDomainId(use.id)
  }

  idIn(unit: TranslatingUnit): DomainId | undefined {
    return this.#units.get(unit)?.id
  }

  /**
   * Maps a range; mapped alike before, it is counted. Throws `invalidArgument` if it overlaps otherwise or lies
   * beyond the tables' reach, `outOfMemory`; nothing has changed then.
   */
  *map(page: PageNumber, hostPage: PageNumber, pages: number, rights: Rights): Software {
    const { table } = this
    assert(table !== undefined, 'a pass-through domain has nothing to map')
    const same = this.#regions.get(page)
    if (same !== undefined && alike(same, hostPage, pages, rights)) {
      same.references++
      return
    }
    this.#checkRange(table, page, pages)
    const reserved = table.reserve(page, hostPage, pages)
    this.#regions.set(page, { page, hostPage, pages, rights: { ...rights }, references: 1 })
    for (let done = 0; done < pages; ) {
      const slice = Math.min(SLICE - ((page + done) % SLICE), pages - done)
      table.map(page + done, hostPage + done, slice, rights, reserved)
      done += slice
      if (done < pages) yield* pause()
    }
    table.giveBack(reserved)
    // "Caching Mode": what was not present may be cached, and a write buffer may hold what was written.
    for (const unit of this.#inOrder()) {
      if (unit.cachesNotPresent) yield* unit.invalidate([this.#forget(unit, page, pages, false)])
      yield* unit.flushWriteBuffer()
    }
  }

  /** Takes one mapping of a range back: the last one removes it, and returns when no unit translates by it. */
  *unmap(page: PageNumber, pages: number): Software {
    const region = this.#regions.get(page)
    assert(region !== undefined && region.pages === pages, 'what is unmapped was mapped as one range')
    if (--region.references > 0) return
    this.#regions.delete(page)
    const table = this.table!
    const emptied = table.unmap(page, pages)
    for (const unit of this.#inOrder()) {
      yield* unit.flushWriteBuffer()
      yield* unit.invalidate([this.#forget(unit, page, pages, emptied.length === 0)])
    }
    table.giveBack(emptied)
  }

  /** Whether a range was mapped as one. */
  isMapped(page: PageNumber, pages: number): boolean {
    return this.#regions.get(page)?.pages === pages
  }

  /** Frees the tables of a domain that no requester uses. */
  destroy(): void {
    assert(this.#units.size === 0, 'a domain in use is not destroyed')
    this.table?.destroy()
  }

  save(): {
    readonly number: number
    readonly units: readonly string[]
    readonly regions: readonly number[][]
  } {
    return {
      number: this.number,
      units: this.#inOrder().map(unit => `${unit.name}:${this.#units.get(unit)!.id}`),
      regions: [...this.#regions.values()]
        .sort((a, b) => a.page - b.page)
        .map(r => [
          r.page,
          r.hostPage,
          r.pages,
          Number(r.rights.read) + 2 * Number(r.rights.write),
          r.references,
        ]),
    }
  }

  #checkRange(table: SecondStageTable, page: PageNumber, pages: number): void {
    if (page + pages > table.reach) {
      throw new NorthbridgeError(
        'invalidArgument',
        `the range from ${hex(page)}000 ends beyond the ${table.levels}-level tables of its remapping unit`,
      )
    }
    for (const region of this.#regions.values()) {
      if (region.page < page + pages && page < region.page + region.pages) {
        throw new NorthbridgeError(
          'invalidArgument',
          `I/O virtual address ${hex(region.page)}000 is mapped otherwise already`,
        )
      }
    }
  }

  #forget(unit: TranslatingUnit, page: PageNumber, pages: number, leavesOnly: boolean): Invalidation {
    const domain = this.#units.get(unit)!.id
    const addressMask = addressMaskFor(page, pages)
    if (addressMask > unit.largestAddressMask) return { cache: 'iotlb', scope: 'domain', domain }
    const run = 2 ** addressMask
    return {
      cache: 'iotlb',
      scope: 'pages',
      domain,
      page: Math.floor(page / run) * run,
      addressMask,
      leavesOnly,
    }
  }

  #inOrder(): TranslatingUnit[] {
    return [...this.#units.keys()].sort((a, b) => a.index - b.index)
  }
}

const alike = (region: Region, hostPage: PageNumber, pages: number, rights: Rights): boolean =>
  region.hostPage === hostPage &&
  region.pages === pages &&
  region.rights.read === rights.read &&
  region.rights.write === rights.write
