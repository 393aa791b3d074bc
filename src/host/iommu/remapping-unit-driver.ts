/** The driver's side of one remapping unit: tables, invalidation, domain ids, and switching translation on. */
import { assert, type DomainId, domainId, NorthbridgeError, type RequesterId } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import type { MachinePort } from '../../platform/machine-port.ts'
import { ADDRESS_WIDTHS, GSTS, RTADDR } from '../../vtd/formats/index.ts'
import { NumberPool } from '../number-pool.ts'
import type { TableMemory } from '../table-memory.ts'
import { ContextTables } from './context-tables.ts'
import type { TableShape, TranslatingUnit, TranslationDomain } from './domain.ts'
import { FaultLog } from './fault-log.ts'
import { InterruptTable } from './interrupt-table.ts'
import type { Invalidation } from './invalidation.ts'
import { InvalidationQueue } from './invalidation-queue.ts'
import { RegisterInvalidation } from './register-invalidation.ts'
import { UnitRegisters } from './unit-registers.ts'

export class RemappingUnitDriver implements TranslatingUnit {
  readonly name: string
  readonly index: number
  readonly registers: UnitRegisters
  readonly faults: FaultLog
  readonly #memory: TableMemory
  readonly #queue: InvalidationQueue | RegisterInvalidation
  #contexts: ContextTables | undefined
  #interrupts: InterruptTable | undefined
  /** 0 is kept free: a unit in caching mode tags what is not present with it. */
  readonly #domainIds: NumberPool

  constructor(
    machine: MachinePort,
    memory: TableMemory,
    name: string,
    index: number,
    segment: number,
    base: number,
  ) {
    this.name = name
    this.index = index
    this.registers = new UnitRegisters(machine, base)
    this.faults = new FaultLog(name, segment)
    this.#memory = memory
    this.#domainIds = new NumberPool(1, this.#domainIdLimit)
    this.#queue = this.registers.ecap.QI
      ? new InvalidationQueue(memory, this.registers)
      : new RegisterInvalidation(this.registers)
  }

  // What the unit can do.

  /** Levels of tables that the unit walks, fewest first. */
  get tableLevels(): readonly number[] {
    return ADDRESS_WIDTHS.flatMap((width, n) =>
      width !== undefined && this.registers.cap.SAGAW & (1 << n) ? [width.levels] : [],
    )
  }

  /** Tables for kernel and guests: the most levels up to four, the largest leaves. */
  get shape(): TableShape {
    const levels = this.tableLevels
    const { SSLPS } = this.registers.cap
    return {
      levels: levels.filter(n => n <= 4).at(-1) ?? levels[0]!,
      largestLeaf: SSLPS & 2 ? 3 : SSLPS & 1 ? 2 : 1,
    }
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
    return this.#contexts !== undefined
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
    const table = new InterruptTable(this.#memory, extended, requests => this.invalidate(requests))
    yield* table.enable(this.registers)
    this.#interrupts = table
  }

  /** Root table, SRTP, caches. Requesters may join domains from then on; DMA passes until {@link translate}. */
  *installRootTable(): Software {
    const contexts = new ContextTables(this.#memory)
    this.registers.writePage(RTADDR, contexts.root)
    yield* this.registers.command('SRTP')
    yield* this.invalidate([
      { cache: 'context', scope: 'global' },
      { cache: 'iotlb', scope: 'global' },
    ])
    this.#contexts = contexts
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

  /** Context tables that {@link prepare} would have to make. */
  missingContextTables(rids: readonly RequesterId[]): number {
    return this.#contexts!.missing(rids).length
  }

  /** Makes context tables for these requesters. Throws `outOfMemory`, with nothing changed. */
  prepare(rids: readonly RequesterId[]): void {
    this.#contexts!.prepare(rids)
  }

  /** Points requesters, prepared and without a present entry, at a domain. Throws `outOfResources`. */
  *join(rids: readonly RequesterId[], domain: TranslationDomain): Software {
    const id = domain.join(this, rids.length)
    const levels = domain.table?.levels ?? this.tableLevels.at(-1)!
    for (const rid of rids) this.#contexts!.point(rid, { domain: id, table: domain.table?.root, levels })
    if (this.cachesNotPresent) {
      yield* this.invalidate([
        ...rids.map(rid => ({ cache: 'context', scope: 'device', domain: 0, rid }) as const),
        { cache: 'iotlb', scope: 'domain', domain: id },
      ])
    }
    yield* this.flushWriteBuffer()
  }

  /** Takes requesters out of their domain; their DMA faults from then on. Returns when no cache knows better. */
  *leave(rids: readonly RequesterId[], domain: TranslationDomain): Software {
    const id = domain.idIn(this)
    assert(id !== undefined, 'requesters leave a domain of this unit')
    for (const rid of rids) this.#contexts!.clear(rid)
    yield* this.flushWriteBuffer()
    yield* this.invalidate([
      ...rids.map(rid => ({ cache: 'context', scope: 'device', domain: id, rid }) as const),
      { cache: 'iotlb', scope: 'domain', domain: id },
    ])
    domain.leave(this, rids.length)
  }

  *invalidate(requests: readonly Invalidation[]): Software {
    yield* this.#queue.invalidate(requests)
  }

  /** "Write Buffer Flushing", for units that need it (CAP.RWBF). */
  *flushWriteBuffer(): Software {
    if (this.registers.cap.RWBF) yield* this.registers.command('WBF')
  }

  save(): {
    readonly name: string
    readonly domainIds: readonly number[]
    readonly interrupts: readonly number[]
  } {
    return {
      name: this.name,
      domainIds: this.#domainIds.save(),
      interrupts: this.#interrupts?.save() ?? [],
    }
  }
}
