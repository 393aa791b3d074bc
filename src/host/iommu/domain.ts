/** A translation domain: one set of tables, in use by requesters of one or more units, under an id in each. */
import { assert, type DomainId, domainId, hex, NorthbridgeError, type PageNumber } from '../../core/index.ts'
import { pause, type Software } from '../../engine/index.ts'
import type { TableMemory } from '../table-memory.ts'
import type { GuestTable } from '../types.ts'
import type { EntryFormat, Rights } from './entry-format.ts'
import { type Deferred, FlushQueue, type SavedDeferred } from './flush-queue.ts'
import { addressMaskFor, type DeviceTlb, type Invalidation } from './invalidation.ts'
import { PageTable, type SavedPageTable } from './page-table.ts'
import { alike, type Region, type WantedEntry, wantedEntry, writeWanted } from './region.ts'
import { REQUESTER_PASID } from './scalable-tables.ts'

/** Pages mapped between two pauses of a long mapping: those of the largest leaf, so that no slice cuts one. */
const SLICE = 2 ** 18

/** What a table must be like for every unit that is to walk it. */
export interface TableShape {
  readonly levels: number
  readonly largestLeaf: number
  readonly format: EntryFormat
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
  /** "Scalable Mode": requesters have PASIDs. */
  readonly scalable: boolean
  /** Throws `outOfResources`. */
  takeDomainId(): DomainId
  giveDomainId(id: DomainId): void
  invalidate(requests: readonly Invalidation[]): Software
  flushWriteBuffer(): Software
}

/** Requesters of one unit in a domain. */
interface Use {
  readonly id: DomainId
  requesters: number
  /** Those with device-TLBs, by requester id. */
  readonly devices: Map<number, DeviceTlb>
}

/** Asked for a page that a device wants and that is not mapped: maps it and returns true, or returns false. */
export type PageRequestHandler = (
  page: PageNumber,
  access: { readonly read: boolean; readonly write: boolean },
) => Software<boolean>

export type SavedDomain = {
  readonly number: number
  readonly table: SavedPageTable | null
  readonly units: readonly {
    /** Position in the DMAR table. */
    readonly unit: number
    readonly id: number
    readonly requesters: number
    /** In the order in which they are told what to forget. */
    readonly devices: readonly {
      readonly rid: number
      readonly physicalRid: number
      readonly queueDepth: number
    }[]
  }[]
  readonly regions: readonly {
    readonly page: PageNumber
    readonly hostPage: PageNumber
    readonly pages: number
    readonly read: boolean
    readonly write: boolean
    readonly references: number
  }[]
  readonly deferred: readonly SavedDeferred[]
  readonly trackDirty: boolean
  readonly guestTable: GuestTable | null
}

export class TranslationDomain {
  /** Names the domain in this kernel. */
  readonly number: number
  /** Absent if addresses pass unchanged. */
  readonly table: PageTable | undefined
  /** Whether units set dirty bits in the tables. */
  trackDirty = false
  /** First-stage table of a guest that is nested in the domain's own. */
  guestTable: GuestTable | undefined
  /** Called for each deferred range once nothing knows it any more: it may be used again. */
  onForgotten: ((range: Deferred) => void) | undefined
  readonly #units = new Map<TranslatingUnit, Use>()
  readonly #deferred = new FlushQueue()
  /** By first page. */
  readonly #regions = new Map<PageNumber, Region>()

  /** @param shape absent for a pass-through domain. Throws `outOfMemory`. */
  constructor(number: number, memory: TableMemory, shape?: TableShape | SavedPageTable) {
    this.number = number
    this.table =
      shape === undefined
        ? undefined
        : 'root' in shape
          ? PageTable.restore(memory, shape)
          : new PageTable(memory, shape.levels, shape.largestLeaf, shape.format)
  }

  /** Takes a domain over whose tables are in memory. */
  static restore(
    saved: SavedDomain,
    memory: TableMemory,
    units: readonly TranslatingUnit[],
  ): TranslationDomain {
    const { number, table } = saved
    const domain = new TranslationDomain(number, memory, table ?? undefined)
    domain.trackDirty = saved.trackDirty
    domain.guestTable = saved.guestTable ?? undefined
    for (const { unit, id, requesters, devices } of saved.units) {
      domain.#units.set(units[unit]!, {
        id: domainId(id),
        requesters,
        devices: new Map(devices.map(device => [device.rid, { ...device }])),
      })
    }
    for (const { page, hostPage, pages, read, write, references } of saved.regions)
      domain.#regions.set(page, { page, hostPage, pages, rights: { read, write }, references })
    domain.#deferred.load(saved.deferred)
    return domain
  }

  /** The domain's id in a unit, taken for `requesters` more context entries. Throws `outOfResources`. */
  join(unit: TranslatingUnit, requesters: number): DomainId {
    const use = this.#units.get(unit)
    if (use !== undefined) {
      use.requesters += requesters
      return use.id
    }
    const id = unit.takeDomainId()
    this.#units.set(unit, { id, requesters, devices: new Map() })
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

  /** A requester may keep translations of its own from now on: it is told what to forget, too. */
  addDeviceTlb(unit: TranslatingUnit, device: DeviceTlb): void {
    this.#units.get(unit)!.devices.set(device.rid, device)
  }

  removeDeviceTlb(unit: TranslatingUnit, rid: number): DeviceTlb | undefined {
    const devices = this.#units.get(unit)?.devices
    const device = devices?.get(rid)
    devices?.delete(rid)
    return device
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
      if (unit.cachesNotPresent) yield* unit.invalidate(this.#forget(unit, page, pages, false))
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
      yield* unit.invalidate(this.#forget(unit, page, pages, emptied.length === 0))
    }
    table.giveBack(emptied)
  }

  /**
   * Unmaps a range mapped once, and leaves it to a later flush that units forget it: devices may reach it until then.
   * {@link onForgotten} is called behind that flush; what was mapped, and its addresses, must not be used again before.
   */
  *unmapLater(page: PageNumber, pages: number): Software {
    const region = this.#regions.get(page)
    assert(region?.pages === pages && region.references === 1, 'a deferred range is mapped once, whole')
    this.#regions.delete(page)
    const tables = this.table!.unmap(page, pages, true)
    for (const unit of this.#inOrder()) yield* unit.flushWriteBuffer()
    if (this.#deferred.add({ page, pages, tables, hostPage: region.hostPage })) yield* this.flush()
  }

  /** One invalidation of the whole domain for everything that was deferred. */
  *flush(): Software {
    const waiting = this.#deferred.take()
    if (waiting.length === 0) return
    for (const unit of this.#inOrder()) yield* unit.invalidate(this.forgetAll(unit))
    for (const range of waiting) this.#finish(range)
  }

  #finish(range: Deferred): void {
    this.table!.giveBack(range.tables)
    this.onForgotten?.(range)
  }

  /** Unmaps whose invalidation is still to come. */
  get deferred(): number {
    return this.#deferred.length
  }

  /**
   * Which pages of a range devices have written since the last call (bit n of the bitmap: page n), or since tracking
   * began. Returns when no unit holds a translation that would let a further write pass unseen.
   */
  *takeDirty(page: PageNumber, pages: number): Software<Uint8Array> {
    const { table } = this
    assert(table !== undefined && this.trackDirty, 'dirty pages are read while they are tracked')
    const bitmap = new Uint8Array(Math.ceil(pages / 8))
    if (table.takeDirty(page, pages, bitmap)) {
      for (const unit of this.#inOrder()) {
        yield* unit.flushWriteBuffer()
        yield* unit.invalidate(this.#forget(unit, page, pages, true))
      }
    }
    return bitmap
  }

  /** Entries of the nested table have changed: nothing is cached any more of `pages` pages. */
  *forgetNested(page: PageNumber, pages: number): Software {
    for (const unit of this.#inOrder()) {
      const { id: domain, devices } = this.#units.get(unit)!
      const addressMask = addressMaskFor(page, pages)
      const run = 2 ** addressMask
      const selective = addressMask <= unit.largestAddressMask
      const first = Math.floor(page / run) * run
      const common = { cache: 'pasidIotlb', domain, pasid: REQUESTER_PASID } as const
      yield* unit.invalidate([
        selective
          ? { ...common, scope: 'pages', page: first, addressMask, leavesOnly: false }
          : { ...common, scope: 'pasid' },
        ...[...devices.values()].map(
          device =>
            ({
              cache: 'deviceTlb',
              device,
              page: first,
              addressMask: selective ? addressMask : undefined,
            }) as const,
        ),
      ])
    }
  }

  /** What belongs at a physical address; undefined if it is no entry of its tables. */
  wantedEntry(address: number): WantedEntry | undefined {
    return this.table && wantedEntry(this.table, this.#regions.values(), address)
  }

  /** Puts an entry right that something else has changed. False if it is no entry of its tables. */
  *mend(address: number): Software<boolean> {
    const wanted = this.wantedEntry(address)
    if (wanted === undefined) return false
    writeWanted(this.table!, address, wanted)
    for (const unit of this.#inOrder()) {
      yield* unit.flushWriteBuffer()
      yield* unit.invalidate(this.forgetAll(unit))
    }
    return true
  }

  /** Whether a range was mapped as one. */
  isMapped(page: PageNumber, pages: number): boolean {
    return this.#regions.get(page)?.pages === pages
  }

  /** Frees the tables of a domain that no requester uses. */
  destroy(): void {
    assert(this.#units.size === 0, 'a domain in use is not destroyed')
    for (const range of this.#deferred.take()) this.#finish(range)
    this.table?.destroy()
  }

  save(): SavedDomain {
    return {
      number: this.number,
      table: this.table?.save() ?? null,
      units: this.#inOrder().map(unit => {
        const { id, requesters, devices } = this.#units.get(unit)!
        return { unit: unit.index, id, requesters, devices: [...devices.values()].map(one => ({ ...one })) }
      }),
      regions: [...this.#regions.values()]
        .sort((a, b) => a.page - b.page)
        .map(({ rights, ...region }) => ({ ...region, read: rights.read, write: rights.write })),
      deferred: this.#deferred.save(),
      trackDirty: this.trackDirty,
      guestTable: this.guestTable === undefined ? null : { ...this.guestTable },
    }
  }

  #checkRange(table: PageTable, page: PageNumber, pages: number): void {
    if (page + pages > table.reach) {
      throw new NorthbridgeError(
        'invalidArgument',
        `the range from ${hex(page)}000 ends beyond the ${table.levels}-level tables of its remapping unit`,
      )
    }
    let lowest = Number.POSITIVE_INFINITY
    for (const region of this.#regions.values()) {
      if (region.page < page + pages && page < region.page + region.pages)
        lowest = Math.min(lowest, region.page)
    }
    if (lowest === Number.POSITIVE_INFINITY) return
    throw new NorthbridgeError(
      'invalidArgument',
      `I/O virtual address ${hex(lowest)}000 is mapped otherwise already`,
    )
  }

  /** Everything that a unit and its devices know of this domain's tables. */
  forgetAll(unit: TranslatingUnit): Invalidation[] {
    const { id, devices } = this.#units.get(unit)!
    return [
      { cache: 'iotlb', scope: 'domain', domain: id },
      ...[...devices.values()].map(
        device => ({ cache: 'deviceTlb', device, page: 0, addressMask: undefined }) as const,
      ),
    ]
  }

  /** A range, page-selective unless it is larger than the unit takes. Device-TLBs come behind the unit's own caches. */
  #forget(unit: TranslatingUnit, page: PageNumber, pages: number, leavesOnly: boolean): Invalidation[] {
    const { id: domain, devices } = this.#units.get(unit)!
    const addressMask = addressMaskFor(page, pages)
    if (addressMask > unit.largestAddressMask) return this.forgetAll(unit)
    const run = 2 ** addressMask
    const range = { domain, page: Math.floor(page / run) * run, addressMask, leavesOnly }
    return [
      // "IOTLB Invalidate" by pages reaches second-stage entries; those of the first stage belong to a PASID.
      unit.scalable && this.table?.format.stage === 'first'
        ? { cache: 'pasidIotlb', scope: 'pages', pasid: REQUESTER_PASID, ...range }
        : { cache: 'iotlb', scope: 'pages', ...range },
      ...[...devices.values()].map(
        device => ({ cache: 'deviceTlb', device, page: range.page, addressMask }) as const,
      ),
    ]
  }

  #inOrder(): TranslatingUnit[] {
    return [...this.#units.keys()].sort((a, b) => a.index - b.index)
  }
}
