/**
 * The guest's driver of its remapping unit: one domain for each function, maps and unmaps in guest memory, and tells the
 * unit by queued invalidation. Legacy mode with second-stage tables; scalable mode with first-stage tables where the unit
 * has them.
 */
import { assert, NorthbridgeError, opened, PAGE_SIZE, type PageNumber, type Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import { compatibilityAddress } from '../../interrupts/formats/message.ts'
import {
  CONTEXT_CACHE_INVALIDATE,
  DESCRIPTOR_TYPE,
  FEADDR,
  FECTL,
  FEDATA,
  GRANULARITY,
  IOTLB_INVALIDATE,
  PASID_CACHE_GRANULARITY,
  PASID_CACHE_INVALIDATE,
  PASID_IOTLB_GRANULARITY,
  PASID_IOTLB_INVALIDATE,
  RTADDR,
  TRANSLATION_TABLE_MODE,
} from '../../vtd/formats/index.ts'
import type { GuestAccess } from '../guest-access.ts'
import { AddressWindow } from '../resources.ts'
import { FaultHandler, type GuestFault } from './fault-handler.ts'
import { type Descriptor, InvalidationRing } from './invalidation-ring.ts'
import { FIRST_STAGE, GuestPaging, type Rights, SECOND_STAGE } from './paging.ts'
import { RequesterTables } from './requester-tables.ts'
import { UnitAccess } from './unit-access.ts'

/** Guest memory for the tables of the unit: every machine has it, whatever its size. */
export const REMAPPING_MEMORY = { base: 0x1_0000, size: 0x8_0000 } as const
/** Of the fault event: above those that the kernel gives to devices. */
export const REMAPPING_FAULT_VECTOR = 0xf1

interface Domain {
  readonly slot: number
  readonly id: number
  readonly paging: GuestPaging
  /** Guest-physical addresses of its tables. */
  readonly pages: number[]
}

type SavedDriver = {
  readonly version: 1
  readonly memory: Saved
  readonly scalable: boolean
  readonly largestMask: number
  readonly faultRegisters: readonly [FRO: number, NFR: number]
  readonly root: number
  readonly contexts: number
  readonly ring: number
  readonly status: number
  readonly tail: number
  readonly faults: readonly GuestFault[]
  readonly domains: readonly {
    readonly slot: number
    readonly id: number
    readonly root: number
    readonly pages: readonly number[]
  }[]
}

export class RemappingDriver {
  readonly #access: GuestAccess
  readonly #unit: UnitAccess
  readonly #memory = new AddressWindow(REMAPPING_MEMORY)
  readonly #scalable: boolean
  readonly #largestMask: number
  readonly #faultRegisters: readonly [number, number]
  readonly #tables: RequesterTables
  readonly #ring: InvalidationRing
  readonly #ringAddress: number
  readonly #status: number
  readonly #handler: FaultHandler
  readonly #domains = new Map<number, Domain>()

  private constructor(access: GuestAccess, saved: Omit<SavedDriver, 'version'>) {
    const { scalable, root, contexts, ring, status, tail, faults } = saved
    const [FRO, NFR] = saved.faultRegisters
    this.#access = access
    this.#unit = new UnitAccess(access)
    this.#memory.load(saved.memory)
    this.#scalable = scalable
    this.#largestMask = saved.largestMask
    this.#faultRegisters = saved.faultRegisters
    this.#tables = new RequesterTables(access, root, contexts, scalable)
    this.#ring = new InvalidationRing(access, this.#unit, ring, status, scalable, tail)
    this.#ringAddress = ring
    this.#status = status
    this.#handler = new FaultHandler(this.#unit, { FRO, NFR }, faults)
    for (const { slot, id, root: top, pages } of saved.domains)
      this.#domains.set(slot, { slot, id, paging: this.#paging(top), pages: [...pages] })
  }

  /**
   * Brings the unit up: tables, queue, fault event, translation. From then on functions reach what is mapped for them and
   * nothing else. Throws `notFound` if the board has no unit, `unsupported` for one without queued invalidation.
   *
   * @param apicId takes the fault event
   */
  static *start(access: GuestAccess, apicId: number): Software<RemappingDriver> {
    const unit = new UnitAccess(access)
    const capabilities = yield* unit.capabilities()
    if (capabilities === undefined)
      throw new NorthbridgeError('notFound', 'the guest finds no remapping unit on its board')
    const { QI, SMTS, FSTS, SAGAW, CM, PSI, MAMV, FRO, NFR } = capabilities
    const scalable = SMTS === 1 && FSTS === 1
    if (!QI || (!scalable && (SAGAW & FOUR_LEVEL_WIDTH) === 0)) {
      throw new NorthbridgeError(
        'unsupported',
        'the guest’s driver takes queued invalidation and four-level tables',
      )
    }
    const memory = new AddressWindow(REMAPPING_MEMORY)
    const pages: number[] = []
    for (let i = 0; i < FIRST_PAGES; i++) {
      const page = memory.allocate(PAGE_SIZE)
      assert(page !== undefined, 'an empty window has room')
      yield* access.zero(page, PAGE_SIZE)
      pages.push(page)
    }
    const [root, contexts, ring, status] = pages as [number, number, number, number]
    const driver = new RemappingDriver(access, {
      memory: memory.save(),
      scalable,
      largestMask: PSI ? MAMV : -1,
      faultRegisters: [FRO, NFR],
      root,
      contexts,
      ring,
      status,
      tail: 0,
      faults: [],
      domains: [],
    })
    assert(CM === 1 || scalable, 'the driver tells the unit of what becomes present')
    yield* driver.#bringUp(apicId)
    return driver
  }

  *#bringUp(apicId: number): Software {
    const unit = this.#unit
    yield* this.#tables.start()
    yield* this.#ring.enable()
    yield* unit.write(FEDATA.offset, REMAPPING_FAULT_VECTOR)
    yield* unit.write(FEADDR.offset, compatibilityAddress(apicId))
    yield* unit.write(FECTL.offset, 0)
    const mode = this.#scalable ? TRANSLATION_TABLE_MODE.scalable : TRANSLATION_TABLE_MODE.legacy
    yield* unit.write64(RTADDR.offset, this.#tables.root | (mode << RTADDR.f.TTM.shift), 0)
    yield* unit.command('SRTP')
    yield* this.#submit([contextCache(GRANULARITY.global, 0, 0), ...this.#everything()])
    yield* unit.command('TE')
  }

  /** Translation off, and all tables given back. Functions reach guest memory as without a unit. */
  *stop(): Software {
    yield* this.#unit.command('TE', false)
    yield* this.#unit.write(FECTL.offset, FECTL.f.IM.mask)
    yield* this.#unit.command('QIE', false)
    this.#domains.clear()
    this.#memory.load([])
  }

  get scalable(): boolean {
    return this.#scalable
  }

  /** Faults that the guest was told of, oldest first. */
  get faults(): readonly GuestFault[] {
    return this.#handler.faults
  }

  /**
   * Maps guest pages for the function in a slot. Throws `invalidArgument` where something is mapped, `outOfMemory`.
   *
   * @param tell whether the unit is told: a driver that forgets it has made a mistake
   */
  *map(
    slot: number,
    page: PageNumber,
    frame: PageNumber,
    pages: number,
    rights: Rights,
    tell = true,
  ): Software {
    const domain = this.#domains.get(slot) ?? (yield* this.#found(slot))
    yield* domain.paging.map(page, frame, pages, rights, () => this.#take(domain.pages))
    if (tell) yield* this.#forget(domain, page, pages)
  }

  /** Takes a range back. Returns the number of leaves. */
  *unmap(slot: number, page: PageNumber, pages: number, tell = true): Software<number> {
    const domain = this.#domains.get(slot)
    if (domain === undefined) return 0
    const leaves = yield* domain.paging.unmap(page, pages)
    if (tell) yield* this.#forget(domain, page, pages)
    return leaves
  }

  /** The function has left its slot: its entry and its tables go. */
  *release(slot: number): Software {
    const domain = this.#domains.get(slot)
    if (domain === undefined) return
    yield* this.#tables.clear(slot << 3)
    yield* this.#submit([contextCache(GRANULARITY.device, domain.id, slot << 3), ...this.#everything()])
    this.#domains.delete(slot)
    for (const page of domain.pages) this.#memory.free(page)
  }

  /** The vector of the fault event has arrived. */
  *interrupt(): Software {
    yield* this.#handler.interrupt()
  }

  *#found(slot: number): Software<Domain> {
    const pages: number[] = []
    const root = yield* this.#take(pages)
    // Domain id 0 tags what is not present in caching mode.
    const domain: Domain = { slot, id: slot + 1, paging: this.#paging(root), pages }
    const devfn = slot << 3
    yield* this.#tables.point({ devfn, domainId: domain.id, root }, () => this.#take(pages))
    this.#domains.set(slot, domain)
    yield* this.#submit([contextCache(GRANULARITY.device, 0, devfn), ...this.#everything()])
    return domain
  }

  #paging(root: number): GuestPaging {
    return new GuestPaging(this.#access, root, this.#scalable ? FIRST_STAGE : SECOND_STAGE)
  }

  *#take(into: number[]): Software<number> {
    const page = this.#memory.allocate(PAGE_SIZE)
    if (page === undefined)
      throw new NorthbridgeError('outOfMemory', 'the guest has no page left for tables of its remapping unit')
    into.push(page)
    yield* this.#access.zero(page, PAGE_SIZE)
    return page
  }

  /** Descriptors for whatever entries there are. */
  #everything(): Descriptor[] {
    if (!this.#scalable) return [iotlb({ G: GRANULARITY.global })]
    return [
      {
        fields: PASID_CACHE_INVALIDATE,
        values: { TYPE: DESCRIPTOR_TYPE.pasidCache, G: PASID_CACHE_GRANULARITY.global },
      },
      iotlb({ G: GRANULARITY.global }),
    ]
  }

  *#forget({ id }: Domain, page: PageNumber, pages: number): Software {
    let mask = Math.ceil(Math.log2(pages))
    while (Math.floor(page / 2 ** mask) !== Math.floor((page + pages - 1) / 2 ** mask)) mask++
    const selective = mask <= this.#largestMask
    const first = Math.floor(page / 2 ** mask) * 2 ** mask
    if (this.#scalable) {
      const { pasid, page: byPage } = PASID_IOTLB_GRANULARITY
      const range = selective ? { G: byPage, AM: mask, ADDR: first } : { G: pasid }
      yield* this.#submit([
        {
          fields: PASID_IOTLB_INVALIDATE,
          values: { TYPE: DESCRIPTOR_TYPE.pasidIotlb, DID: id, PASID: 0, ...range },
        },
      ])
    } else {
      const range = selective ? { G: GRANULARITY.page, AM: mask, ADDR: first } : { G: GRANULARITY.domain }
      yield* this.#submit([iotlb({ DID: id, ...range })])
    }
  }

  *#submit(descriptors: readonly Descriptor[]): Software {
    const done = yield* this.#ring.submit(descriptors)
    assert(done, 'the driver’s descriptors are well formed')
  }

  save(): SavedDriver {
    return {
      version: 1,
      memory: this.#memory.save(),
      scalable: this.#scalable,
      largestMask: this.#largestMask,
      faultRegisters: this.#faultRegisters,
      root: this.#tables.root,
      contexts: this.#tables.contexts,
      ring: this.#ringAddress,
      status: this.#status,
      tail: this.#ring.tail,
      faults: this.#handler.faults,
      domains: [...this.#domains.values()].map(({ slot, id, paging, pages }) => ({
        slot,
        id,
        root: paging.root,
        pages: [...pages],
      })),
    }
  }

  /** The driver as it was: unit and tables are as it left them. */
  static restore(access: GuestAccess, saved: Saved): RemappingDriver {
    return new RemappingDriver(access, opened<SavedDriver>(saved, 'the remapping driver of a guest', 1))
  }
}

/** Root, contexts, queue and status. */
const FIRST_PAGES = 4
/** `CAP.SAGAW`: 48-bit addresses. */
const FOUR_LEVEL_WIDTH = 0b0100

const contextCache = (granularity: number, domainId: number, sourceId: number): Descriptor => ({
  fields: CONTEXT_CACHE_INVALIDATE,
  values: { TYPE: DESCRIPTOR_TYPE.contextCache, G: granularity, DID: domainId, SID: sourceId },
})

const iotlb = (values: Readonly<Record<string, number>>): Descriptor => ({
  fields: IOTLB_INVALIDATE,
  values: { TYPE: DESCRIPTOR_TYPE.iotlb, DW: 1, DR: 1, ...values },
})
