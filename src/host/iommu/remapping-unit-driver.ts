/** The driver's side of one remapping unit: tables, invalidation, domain ids, and switching translation on. */
import { assert, type DomainId, domainId, NorthbridgeError, type RequesterId } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import { ADDRESS_WIDTHS, GSTS, RTADDR, TRANSLATION_TABLE_MODE } from '../../vtd/formats/index.ts'
import { NumberPool } from '../number-pool.ts'
import type { TableMemory } from '../table-memory.ts'
import type { BlockedRequest } from '../types.ts'
import { ContextTables, type RequesterTables, type SavedRequesterTables } from './context-tables.ts'
import type { TableShape, TranslatingUnit, TranslationDomain } from './domain.ts'
import type { EntryFormat } from './entry-format.ts'
import { FaultLog, type SavedFault } from './fault-log.ts'
import { InterruptTable, type SavedInterruptTable } from './interrupt-table.ts'
import {
  type DeviceTlb,
  type Invalidation,
  type PageGroupResponse,
  pageGroupResponse,
} from './invalidation.ts'
import { InvalidationQueue, type QueueEnvironment, type SavedQueue } from './invalidation-queue.ts'
import type { DomainUse, UnitMode } from './modes.ts'
import { PageRequestQueue, type SavedPageRequests } from './page-request-queue.ts'
import { RegisterInvalidation } from './register-invalidation.ts'
import { REQUESTER_PASID, ScalableTables } from './scalable-tables.ts'
import type { UnitRegisters } from './unit-registers.ts'

export interface UnitDriverOptions {
  readonly memory: TableMemory
  readonly environment: QueueEnvironment
  readonly name: string
  /** Position in the DMAR table. */
  readonly index: number
  readonly segment: number
  readonly registers: UnitRegisters
  readonly mode: UnitMode
  /** A state to go on from: the tables are in memory, the registers hold what they did. */
  readonly saved?: SavedUnit | undefined
}

export type SavedUnit = {
  readonly version: 1
  readonly name: string
  readonly queue: SavedQueue | null
  readonly domainIds: readonly number[]
  readonly requesters: SavedRequesterTables | null
  readonly interrupts: SavedInterruptTable | null
  readonly faults: readonly SavedFault[]
  readonly pageRequests: SavedPageRequests | null
}

/** A requester as its entries describe it. */
export interface Requester {
  readonly rid: RequesterId
  /** Present if it may use its device-TLB. */
  readonly deviceTlb?: DeviceTlb | undefined
  readonly pageRequests?: boolean
}

export class RemappingUnitDriver implements TranslatingUnit {
  readonly name: string
  readonly index: number
  readonly registers: UnitRegisters
  readonly faults: FaultLog
  /** Told of each request that the unit blocked, once its record is read. */
  onFault: ((request: BlockedRequest) => void) | undefined
  /** Page requests of devices, once there is a queue for them. */
  readonly pageRequests: PageRequestQueue | undefined
  readonly #memory: TableMemory
  readonly #mode: UnitMode
  readonly #queue: InvalidationQueue | RegisterInvalidation
  #requesters: RequesterTables | undefined
  #interrupts: InterruptTable | undefined
  /** 0 is kept free: a unit in caching mode tags what is not present with it. */
  readonly #domainIds: NumberPool

  constructor(options: UnitDriverOptions) {
    const { memory, environment, name, index, segment, registers, mode, saved } = options
    const { ecap } = registers
    this.name = name
    this.index = index
    this.registers = registers
    this.faults = new FaultLog(name, segment)
    this.#memory = memory
    this.#mode = mode
    this.#domainIds = new NumberPool(1, this.#domainIdLimit)
    this.#queue = ecap.QI
      ? new InvalidationQueue(memory, registers, mode.scalable, environment, saved?.queue ?? undefined)
      : new RegisterInvalidation(registers)
    this.pageRequests =
      mode.scalable && ecap.DT && ecap.PRS ? new PageRequestQueue(memory, registers) : undefined
    if (saved !== undefined) this.#restore(saved)
  }

  #restore({ domainIds, requesters, interrupts, faults, pageRequests }: SavedUnit): void {
    this.#domainIds.load(domainIds)
    if (requesters !== null) this.#requesters = this.#tables(requesters)
    if (interrupts !== null) this.#interrupts = this.#interruptTable(interrupts.extended, interrupts)
    this.faults.load(faults)
    if (pageRequests !== null) this.pageRequests?.load(pageRequests)
  }

  #tables(saved?: SavedRequesterTables): RequesterTables {
    return this.scalable
      ? new ScalableTables(this.#memory, this.registers.ecap.SMPWCS === 1, saved)
      : new ContextTables(this.#memory, saved)
  }

  #interruptTable(extended: boolean, saved?: SavedInterruptTable): InterruptTable {
    const posts = this.registers.cap.PI === 1
    return new InterruptTable(this.#memory, extended, posts, requests => this.invalidate(requests), saved)
  }

  // What the unit can do.

  /** Levels of tables that the unit walks, fewest first. */
  get tableLevels(): readonly number[] {
    return ADDRESS_WIDTHS.flatMap((width, n) =>
      width !== undefined && this.registers.cap.SAGAW & (1 << n) ? [width.levels] : [],
    )
  }

  get scalable(): boolean {
    return this.#mode.scalable
  }

  prefersFirstStage(use: DomainUse): boolean {
    return this.#mode.firstStage(use)
  }

  /**
   * Tables for kernel and guests: the largest leaves, and the most levels up to four; five for the first stage where
   * input addresses have 57 bits.
   */
  shape(format: EntryFormat): Omit<TableShape, 'format'> {
    const levels = this.tableLevels
    const { SSLPS, FS1GP, FS5LP, MGAW } = this.registers.cap
    if (format.stage === 'first')
      return { levels: FS5LP && MGAW + 1 >= FIVE_LEVEL_WIDTH ? 5 : 4, largestLeaf: FS1GP ? 3 : 2 }
    return {
      levels: levels.filter(n => n <= 4).at(-1) ?? levels[0]!,
      largestLeaf: SSLPS & 2 ? 3 : SSLPS & 1 ? 2 : 1,
    }
  }

  /** "Device-TLB": whether requesters may keep translations of their own in tables (or without them, in this mode). */
  canUseDeviceTlbs(domain: TranslationDomain): boolean {
    const { DT, QI } = this.registers.ecap
    return DT === 1 && QI === 1 && (this.scalable || domain.table !== undefined)
  }

  /** "Second-Stage Accessed/Dirty Support" */
  get canTrackDirty(): boolean {
    const { SSADS, SMPWCS } = this.registers.ecap
    return this.scalable && SSADS === 1 && SMPWCS === 1
  }

  /** "Nested Translation", with flags that walks of tables in a guest's memory set. */
  get canNest(): boolean {
    const { NEST, SMPWCS } = this.registers.ecap
    return this.scalable && NEST === 1 && SMPWCS === 1
  }

  get firstStageLevels(): number {
    return this.registers.cap.FS5LP ? 5 : 4
  }

  get canPassThrough(): boolean {
    return this.registers.ecap.PT === 1
  }

  get canRemapInterrupts(): boolean {
    return this.registers.ecap.IR === 1 && this.registers.ecap.QI === 1
  }

  get canUseX2apic(): boolean {
    return this.registers.ecap.EIM === 1
  }

  get cachesNotPresent(): boolean {
    return this.registers.cap.CM === 1
  }

  /** Largest exponent of a page-selective invalidation; -1 if only whole domains can be invalidated. */
  get largestAddressMask(): number {
    return this.registers.cap.PSI ? this.registers.cap.MAMV : -1
  }

  /** Whether it has a root table, so that requesters can join domains. */
  get remapsDma(): boolean {
    return this.#requesters !== undefined
  }

  /** The table of interrupts, once they are remapped. */
  get interrupts(): InterruptTable | undefined {
    return this.#interrupts
  }

  get #domainIdLimit(): number {
    return 2 ** (4 + 2 * this.registers.cap.ND)
  }

  // Bringing it up, in the order that the specification asks for.

  *start(): Software {
    const { QIES } = GSTS.f
    if (this.#queue instanceof InvalidationQueue && !this.registers.field(GSTS, QIES))
      yield* this.#queue.enable()
  }

  /** Interrupt remapping: table, SIRTP, interrupt entry cache, compatibility format off, IRE. */
  *remapInterrupts(extended: boolean): Software {
    assert(this.canRemapInterrupts, 'only a unit with ECAP.IR remaps interrupts')
    const table = this.#interruptTable(extended)
    yield* table.enable(this.registers)
    this.#interrupts = table
  }

  /** Root table, SRTP, caches. Requesters may join domains from then on; DMA passes until {@link translate}. */
  *installRootTable(): Software {
    const { scalable } = this
    const requesters = this.#tables()
    const mode = scalable ? TRANSLATION_TABLE_MODE.scalable : TRANSLATION_TABLE_MODE.legacy
    this.registers.writePage(RTADDR, requesters.root, mode << RTADDR.f.TTM.shift)
    yield* this.registers.command('SRTP')
    yield* this.invalidate([
      { cache: 'context', scope: 'global' },
      ...(scalable ? [{ cache: 'pasid', scope: 'global' } as const] : []),
      { cache: 'iotlb', scope: 'global' },
    ])
    this.#requesters = requesters
  }

  *translate(): Software {
    yield* this.flushWriteBuffer()
    yield* this.registers.command('TE')
  }

  // Domains.

  /** Throws `outOfResources` if all ids that CAP.ND allows are in use. */
  takeDomainId(): DomainId {
    this.checkDomainIds(1)
    return domainId(this.#domainIds.take()!)
  }

  /** Throws `outOfResources` unless so many more domains can be told apart. */
  checkDomainIds(count: number): void {
    const free = this.#domainIdLimit - 1 - this.#domainIds.used
    if (count <= free) return
    throw new NorthbridgeError(
      'outOfResources',
      `${this.name} has ${this.#domainIdLimit} domain ids (CAP.ND), of which ${free} are free, not ${count}`,
      { errno: 'ENOSPC' },
    )
  }

  giveDomainId(id: DomainId): void {
    this.#domainIds.release(id)
  }

  /** Pages for tables that {@link prepare} would have to take. */
  missingTables(rids: readonly RequesterId[]): number {
    return this.#requesters!.missing(rids)
  }

  /** Makes tables for these requesters. Throws `outOfMemory`, with nothing changed. */
  prepare(rids: readonly RequesterId[]): void {
    this.#requesters!.prepare(rids)
  }

  /** Points requesters, prepared and without a present entry, at a domain. Throws `outOfResources`. */
  *join(requesters: readonly Requester[], domain: TranslationDomain): Software {
    const id = domain.join(this, requesters.length)
    this.#point(requesters, domain, id)
    for (const { deviceTlb } of requesters) if (deviceTlb !== undefined) domain.addDeviceTlb(this, deviceTlb)
    if (this.cachesNotPresent) {
      yield* this.invalidate([
        ...requesters.map(({ rid }) => ({ cache: 'context', scope: 'device', domain: 0, rid }) as const),
        ...(this.scalable ? [{ cache: 'pasid', scope: 'global' } as const] : []),
        { cache: 'iotlb', scope: 'domain', domain: id },
      ])
    }
    yield* this.flushWriteBuffer()
  }

  /** Writes the entries of requesters of a domain anew, after what they say has changed. */
  *update(requesters: readonly Requester[], domain: TranslationDomain): Software {
    const id = domain.idIn(this)
    assert(id !== undefined, 'requesters of a domain of this unit are updated')
    this.#point(requesters, domain, id)
    yield* this.flushWriteBuffer()
    yield* this.invalidate([
      ...this.#entriesOf(
        requesters.map(({ rid }) => rid),
        id,
      ),
      ...domain.forgetAll(this),
    ])
  }

  /**
   * Takes requesters, whose device-TLBs are disabled, out of their domain; their DMA faults from then on. Returns when
   * no cache knows better.
   */
  *leave(rids: readonly RequesterId[], domain: TranslationDomain): Software {
    const id = domain.idIn(this)
    assert(id !== undefined, 'requesters leave a domain of this unit')
    for (const rid of rids) this.#requesters!.clear(rid)
    yield* this.flushWriteBuffer()
    yield* this.invalidate([...this.#entriesOf(rids, id), { cache: 'iotlb', scope: 'domain', domain: id }])
    for (const rid of rids) this.#requesters!.release(rid)
    domain.leave(this, rids.length)
  }

  /** Answers groups of page requests. */
  *respond(responses: readonly PageGroupResponse[]): Software {
    assert(this.#queue instanceof InvalidationQueue, 'page requests need queued invalidation')
    yield* this.#queue.submit(responses.map(pageGroupResponse))
  }

  #point(requesters: readonly Requester[], domain: TranslationDomain, id: DomainId): void {
    const { table, trackDirty, guestTable } = domain
    for (const { rid, deviceTlb, pageRequests = false } of requesters) {
      this.#requesters!.point(rid, {
        domain: id,
        table: table?.root,
        levels: table?.levels ?? this.tableLevels.at(-1)!,
        stage: table?.format.stage ?? 'second',
        deviceTlb: deviceTlb !== undefined,
        pageRequests,
        trackDirty,
        guestTable,
      })
    }
  }

  /** Context entries, and below them the PASID table entries of this domain. */
  #entriesOf(rids: readonly RequesterId[], domain: DomainId): Invalidation[] {
    return [
      ...rids.map(rid => ({ cache: 'context', scope: 'device', domain, rid }) as const),
      ...(this.scalable ? [{ cache: 'pasid', scope: 'pasid', domain, pasid: REQUESTER_PASID } as const] : []),
    ]
  }

  *invalidate(requests: readonly Invalidation[]): Software {
    yield* this.#queue.invalidate(requests)
  }

  /** "Write Buffer Flushing", for units that need it (CAP.RWBF). */
  *flushWriteBuffer(): Software {
    if (this.registers.cap.RWBF) yield* this.registers.command('WBF')
  }

  save(): SavedUnit {
    return {
      version: 1,
      name: this.name,
      queue: this.#queue instanceof InvalidationQueue ? this.#queue.save() : null,
      domainIds: this.#domainIds.save(),
      requesters: this.#requesters?.save() ?? null,
      interrupts: this.#interrupts?.save() ?? null,
      faults: this.faults.save(),
      pageRequests: this.pageRequests?.save() ?? null,
    }
  }
}

/** Bits of an input address that five levels translate. */
const FIVE_LEVEL_WIDTH = 57
