/**
 * The remapping unit of a simulation: the functional model itself, on real tables in simulated memory. The host's own
 * driver code writes tables, context entries, descriptors and registers; what is hit, missed and read is what the unit
 * says. Only the time is added here: walkers, and reads of memory.
 */
import { assert, domainId, type PageNumber, type RequesterId } from '../../core/index.ts'
import { drive, Engine } from '../../engine/index.ts'
import { ContextTables } from '../../host/iommu/context-tables.ts'
import { addressMaskFor } from '../../host/iommu/invalidation.ts'
import { InvalidationQueue } from '../../host/iommu/invalidation-queue.ts'
import { PageTable } from '../../host/iommu/page-table.ts'
import { UnitRegisters } from '../../host/iommu/unit-registers.ts'
import { PageAllocator } from '../../host/page-allocator.ts'
import { TableMemory, type TablePort } from '../../host/table-memory.ts'
import { PhysicalMemory } from '../../memory/index.ts'
import { MemoryRequest } from '../../pcie/index.ts'
import { RTADDR } from '../../vtd/formats/index.ts'
import { RemappingUnit } from '../../vtd/index.ts'
import type { Costs } from '../costs/parameters.ts'
import type { EventQueue } from '../resources/event-queue.ts'
import { Walks } from './walks.ts'

const GIB_PAGES = 2 ** 18
/** Tables lie below 4 GiB; the buffers that they lead to lie above, and are never touched. */
const TABLE_PAGES = 1 << 19
const FIRST_FRAME = 64 * GIB_PAGES
const REGISTERS = 0xfed9_0000
/** Domain-id of all functions whose addresses pass unchanged. */
const PASS_THROUGH_ID = 0xffff
const LEVELS = 4
/** Level of a leaf by the largest page that may be used, and what such a leaf covers. */
const LEAF_LEVEL = { '4KiB': 1, '2MiB': 2, '1GiB': 3 } as const
export const PAGES_OF = { '4KiB': 1, '2MiB': 512, '1GiB': GIB_PAGES } as const
export type PageSize = keyof typeof LEAF_LEVEL

/** What is translated leaf by leaf. */
interface Uniform {
  /** Pages of every leaf, if all are alike: nothing but whole large pages was ever mapped, and nothing unmapped. */
  leaf: number | undefined
}

export interface AddressSpace extends Uniform {
  readonly id: number
  readonly table: PageTable
}

const PASS_THROUGH: Uniform = { leaf: Number.POSITIVE_INFINITY }

const powerOfTwo = (value: number): number => 2 ** Math.floor(Math.log2(Math.max(1, value)))
const whole = (value: number): number => Math.max(1, Math.round(value))

export class Remapping implements TablePort {
  readonly #memory = new PhysicalMemory([{ base: 0, size: TABLE_PAGES * 4096 }])
  readonly #engine = new Engine()
  readonly #unit: RemappingUnit
  readonly #tables: TableMemory
  readonly #contexts: ContextTables
  readonly #queue: InvalidationQueue
  readonly #largestMask: number
  readonly #request = new MemoryRequest()
  readonly #attached = new Map<RequesterId, Uniform>()
  #spaces = 0
  /** Counts what may take entries out of caches: misses, which replace some, and everything that software says. */
  changes = 0
  readonly #walks: Walks

  constructor(costs: Costs, events: EventQueue) {
    this.#walks = new Walks(events)
    this.#engine.trace.enabled = false
    const ways = Math.min(whole(costs.iotlbWays), whole(costs.iotlbEntries))
    const paging = [costs.pagingEntriesLevel2, costs.pagingEntriesLevel3, costs.pagingEntriesLevel4]
    const pagingWays = Math.min(4, powerOfTwo(Math.min(...paging)))
    this.#unit = new RemappingUnit(
      {
        id: 'timed',
        index: 0,
        hostAddressWidth: 48,
        caches: {
          iotlbSets: powerOfTwo(whole(costs.iotlbEntries) / ways),
          iotlbWays: ways,
          pagingSets: [...paging.map(entries => powerOfTwo(entries / pagingWays)), 0],
          pagingWays,
        },
      },
      { memory: this.#memory, interrupts: { deliver: () => 0 }, engine: this.#engine },
    )
    const allocator = new PageAllocator([{ first: 1, pages: TABLE_PAGES - 1 }])
    this.#tables = new TableMemory(this, allocator)
    this.#contexts = new ContextTables(this.#tables)
    const registers = new UnitRegisters(this, REGISTERS, 'timed')
    const halt = (reason: string): never => {
      throw new Error(`defect: ${reason}`)
    }
    this.#largestMask = registers.cap.MAMV
    this.#queue = new InvalidationQueue(this.#tables, registers, false, { engine: this.#engine, halt })
    registers.writePage(RTADDR, this.#contexts.root)
    this.#engine.run(registers.command('SRTP'))
    this.#engine.run(this.#queue.enable())
    this.#engine.run(registers.command('TE'))
    this.#request.length = 64
  }

  readDword(address: number): number {
    if (address >= REGISTERS) return this.#unit.readDword(address - REGISTERS)
    return this.#memory.readDword(address)!
  }

  writeDword(address: number, value: number, lanes = 0xffff_ffff): void {
    if (address >= REGISTERS) this.#unit.writeDword(address - REGISTERS, value, lanes)
    else this.#memory.writeDword(address, value, lanes)
  }

  zeroPages(first: PageNumber, count: number): boolean {
    return this.#memory.zeroPages(first, count)
  }

  createSpace(pageSize: PageSize): AddressSpace {
    const table = new PageTable(this.#tables, LEVELS, LEAF_LEVEL[pageSize])
    return { id: ++this.#spaces, table, leaf: PAGES_OF[pageSize] }
  }

  /** Lets a function use a space; without one, its addresses pass through. */
  attach(requester: RequesterId, space?: AddressSpace): void {
    this.changes++
    this.#attached.set(requester, space ?? PASS_THROUGH)
    this.#contexts.prepare([requester])
    this.#contexts.point(requester, {
      domain: domainId(space?.id ?? PASS_THROUGH_ID),
      table: space?.table.root,
      levels: LEVELS,
      stage: 'second',
      deviceTlb: false,
      pageRequests: false,
      trackDirty: false,
    })
  }

  map(space: AddressSpace, page: PageNumber, pages: number): void {
    const { table, leaf = 1 } = space
    if (page % leaf !== 0 || pages % leaf !== 0) space.leaf = undefined
    const frame = FIRST_FRAME + page
    const reserved = table.reserve(page, frame, pages)
    table.map(page, frame, pages, { read: true, write: true }, reserved)
    table.giveBack(reserved)
  }

  /** Clears leaves. The tables that became empty go back to memory once {@link release | released}. */
  unmap(space: AddressSpace, page: PageNumber, pages: number): readonly PageNumber[] {
    space.leaf = undefined
    return space.table.unmap(page, pages, true)
  }

  /** "IOTLB Invalidate Descriptor", page-selective, and a wait; of the whole space if the unit knows no mask so large. */
  invalidatePages(space: AddressSpace, page: PageNumber, pages: number, leavesOnly: boolean): void {
    const addressMask = addressMaskFor(page, pages)
    if (addressMask > this.#largestMask) {
      this.invalidateSpace(space)
      return
    }
    const first = Math.floor(page / 2 ** addressMask) * 2 ** addressMask
    this.#invalidate({
      cache: 'iotlb',
      scope: 'pages',
      domain: space.id,
      page: first,
      addressMask,
      leavesOnly,
    })
  }

  invalidateSpace(space: AddressSpace): void {
    this.#invalidate({ cache: 'iotlb', scope: 'domain', domain: space.id })
  }

  #invalidate(request: Parameters<InvalidationQueue['invalidate']>[0][number]): void {
    this.changes++
    drive(this.#queue.invalidate([request]), this.#engine.advance)
  }

  release(tables: readonly PageNumber[]): void {
    for (const table of tables) this.#tables.free(table)
  }

  /** Translates one access, made now or later; returns the table reads that it takes: 0 for a hit of the IOTLB. */
  translate(rid: RequesterId, page: PageNumber, write: boolean, made: number): number {
    const request = this.#request
    request.begin()
    request.requesterId = rid
    request.page = page
    request.write = write
    assert(this.#unit.translate(request), 'buffers are mapped while devices use them')
    const reads = request.tableReads
    if (reads > 0) {
      this.changes++
      this.#walks.add(reads, made)
    }
    return reads
  }

  /** What the addresses of a function lead to. */
  leavesOf(requester: RequesterId): Readonly<Uniform> {
    return this.#attached.get(requester)!
  }

  get misses(): number {
    return this.walksOf(1)
  }

  get reads(): number {
    return this.#walks.reads
  }

  /** Walks that read so many entries or more. */
  walksOf(reads: number): number {
    return this.#walks.atLeast(reads)
  }

  /** Begins to count anew. */
  restart(): void {
    this.#walks.restart()
  }
}
