/** The kernel's mapping of buffers for a device: address, table entries, and at the end the invalidation, at once or deferred. */
import type { AddressSpace, Remapping } from '../remapping/remapping.ts'
import type { Thread } from '../resources/processor.ts'
import type { SpinLock } from '../resources/spin-lock.ts'
import type { Simulation } from '../simulation.ts'
import { AddressCache } from './address-cache.ts'
import { AddressTree } from './address-tree.ts'
import type { InvalidationPort } from './invalidation-port.ts'

/** Software with a result. */
type Work<Result = void> = Generator<number, Result, void>

/** Pages of the space that addresses come from: from 4 TiB downwards, far above the range of interrupt requests. */
const LIMIT = 2 ** 30
/** An unmap whose invalidation waits. */
interface Deferred {
  readonly page: number
  readonly pages: number
  readonly tables: readonly number[]
}

interface FlushQueue {
  readonly entries: Deferred[]
  since: number
}

export class Mapper {
  readonly #simulation: Simulation
  readonly #remapping: Remapping
  readonly #space: AddressSpace
  readonly #tree = new AddressTree(LIMIT)
  readonly #cache: AddressCache
  readonly #treeLock: SpinLock
  readonly #port: InvalidationPort
  readonly #flushQueues: FlushQueue[] = []
  readonly #activity

  /** @param port of the unit, which all mappers share. */
  constructor(simulation: Simulation, space: AddressSpace, port: InvalidationPort) {
    const { costs, activities } = simulation
    this.#simulation = simulation
    this.#remapping = simulation.remapping!
    this.#space = space
    this.#cache = new AddressCache(this.#tree, costs.magazineSize, costs.depotSize)
    this.#treeLock = simulation.addLock('lock of the address tree')
    this.#port = port
    this.#activity = {
      lock: activities.number('lock of the address tree taken', 'host'),
      address: activities.number('I/O virtual address', 'host'),
      tables: activities.number('table entries', 'host'),
      other: activities.number('mapping, the rest', 'host'),
      exits: activities.number('exit: virtual IOMMU', 'host', true),
    }
  }

  /**
   * Maps a buffer; returns its first page in the device's address space. What is in several parts has a mapping for each: the
   * work is that of so many, the addresses are side by side.
   */
  *map(thread: Thread, pages: number, parts = 1): Work<number> {
    const { cycles, events, mapping } = this.#simulation
    const activity = this.#activity
    yield thread.spend()
    const began = events.now
    const page = yield* this.#allocate(thread, pages)
    for (let part = 1; part < parts; part++) yield* this.#payForAddress(thread)
    yield thread.spend()
    mapping.address.add(events.now - began)
    this.#remapping.map(this.#space, page, pages)
    thread.charge(activity.tables, pages, cycles('pageTableMap') + (pages - 1) * cycles('pageTableFurther'))
    thread.charge(activity.other, parts, parts * cycles('mapOther'))
    this.#exit(thread)
    yield thread.spend()
    mapping.map.add(events.now - began)
    return page
  }

  /** What a driver did before the simulation began: maps without anything passing. */
  mapAtOnce(pages: number): number {
    const page = this.#tree.allocate(pages)
    this.#remapping.map(this.#space, page, pages)
    return page
  }

  /** Addresses that a processor used and gave back before the simulation began: its magazines have them. */
  warm(processor: number, count: number, pages: number): void {
    const firsts = Array.from({ length: count }, () => this.#tree.allocate(pages))
    for (const first of firsts) this.#cache.free(processor, first, pages)
  }

  /** Unmaps buffers together: with one invalidation in strict mode. */
  *unmap(thread: Thread, firsts: readonly number[], pages: number, parts = 1): Work {
    const { cycles, events, configuration, mapping } = this.#simulation
    const { mode } = configuration.iommu
    const activity = this.#activity
    yield thread.spend()
    const began = events.now
    const ranges = firsts.map((page): Deferred => {
      thread.charge(
        activity.tables,
        pages,
        cycles('pageTableUnmap') + (pages - 1) * cycles('pageTableFurther'),
      )
      thread.charge(activity.other, parts, parts * cycles('unmapOther'))
      return { page, pages, tables: this.#remapping.unmap(this.#space, page, pages) }
    })
    yield thread.spend()
    if (mode === 'deferred') yield* this.#defer(thread, ranges, parts)
    else {
      yield* this.#invalidate(thread, ranges)
      // Parts of one buffer are unmapped one after the other, unless whole batches are at once.
      const further = firsts.length === 1 ? parts - 1 : 0
      for (let part = 0; part < further; part++) yield* this.#port.invalidate(thread, 1, nothing)
      yield* this.#free(thread, ranges, parts)
    }
    mapping.unmap.add(events.now - began)
  }

  *#invalidate(thread: Thread, ranges: readonly Deferred[]): Work {
    const { leafOnly } = this.#simulation.configuration.iommu
    const remapping = this.#remapping
    const runs = joined(ranges)
    this.#exit(thread)
    yield* this.#port.invalidate(thread, runs.length, () => {
      for (const { page, pages } of runs) {
        // IH says that no table has changed: where one went away, it must not be said.
        const leavesOnly = leafOnly && ranges.every(({ tables }) => tables.length === 0)
        remapping.invalidatePages(this.#space, page, pages, leavesOnly)
      }
    })
    for (const { tables } of ranges) remapping.release(tables)
  }

  *#defer(thread: Thread, ranges: readonly Deferred[], parts: number): Work {
    const { costs, events } = this.#simulation
    const queue = (this.#flushQueues[thread.processor.number] ??= { entries: [], since: events.now })
    if (queue.entries.length === 0) queue.since = events.now
    queue.entries.push(...ranges)
    const due = events.now - queue.since >= costs.flushPeriod
    if (queue.entries.length * parts < costs.flushQueueEntries && !due) return
    const entries = queue.entries.splice(0)
    this.#exit(thread)
    yield* this.#port.invalidate(thread, 1, () => this.#remapping.invalidateSpace(this.#space))
    for (const { tables } of entries) this.#remapping.release(tables)
    yield* this.#free(thread, entries, parts)
  }

  get #cached(): boolean {
    return this.#simulation.configuration.iommu.allocator === 'cached'
  }

  *#allocate(thread: Thread, pages: number): Work<number> {
    const page = this.#cached
      ? this.#cache.allocate(thread.processor.number, pages)
      : this.#tree.allocate(pages)
    yield* this.#payForAddress(thread)
    return page
  }

  *#free(thread: Thread, ranges: readonly Deferred[], parts: number): Work {
    for (const { page, pages } of ranges) {
      if (this.#cached) this.#cache.free(thread.processor.number, page, pages)
      else this.#tree.free(page)
      for (let part = 0; part < parts; part++) yield* this.#payForAddress(thread)
    }
    yield thread.spend()
  }

  /** The price of the last operation on addresses. */
  *#payForAddress(thread: Thread): Work {
    const { cycles } = this.#simulation
    if (this.#cached) thread.charge(this.#activity.address, 1, cycles('magazine'))
    if (!this.#cached || this.#cache.source !== 'magazine') yield* this.#visitTree(thread)
  }

  /** The price of the last operation on tree or depot, under the lock. */
  *#visitTree(thread: Thread): Work {
    const { cycles, configuration } = this.#simulation
    const inTree = configuration.iommu.allocator === 'tree' || this.#cache.source === 'tree'
    const visits = inTree ? this.#tree.visits : 0
    yield thread.spend()
    yield* this.#treeLock.acquire(thread, this.#activity.lock)
    thread.charge(this.#activity.address, 1, visits * cycles('treeStep') + cycles('treeUpdate'))
    yield thread.spend()
    this.#treeLock.release()
  }

  /** Under a virtual IOMMU each change of its tables and each invalidation exits. */
  #exit(thread: Thread): void {
    const { configuration, cycles } = this.#simulation
    if (!configuration.iommu.nested) return
    const nanoseconds = cycles('exitRoundTrip') + cycles('kernelHandler') + cycles('userSpaceRoundTrip')
    thread.charge(this.#activity.exits, 1, nanoseconds)
  }
}

const nothing = (): void => {}

/** Ranges with neighbours joined: each run is one descriptor. */
function joined(ranges: readonly Deferred[]): { page: number; pages: number }[] {
  const runs: { page: number; pages: number }[] = []
  for (const { page, pages } of [...ranges].sort((a, b) => a.page - b.page)) {
    const last = runs.at(-1)
    if (last !== undefined && last.page + last.pages === page) last.pages += pages
    else runs.push({ page, pages })
  }
  return runs
}
