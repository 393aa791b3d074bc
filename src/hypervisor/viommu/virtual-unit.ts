/**
 * The remapping unit that a guest finds on its board. Every access to its registers exits; a register model answers it,
 * and what the guest said has changed is followed in the host's tables before the guest goes on. The functions behind it
 * are those that are assigned: their DMA never comes here, it passes or fails by the host's tables.
 */
import { hex, NorthbridgeError, opened, type PageNumber, pageOf, type Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import type { AssignedFunction, BlockedRequest } from '../../host/index.ts'
import { compatibilityAddress } from '../../interrupts/formats/message.ts'
import { FAULT } from '../../vtd/formats/fault-reasons.ts'
import { CAP } from '../../vtd/formats/index.ts'
import {
  VIRTUAL_UNIT_BASE,
  VIRTUAL_UNIT_CAPABILITIES,
  VIRTUAL_UNIT_VERSION,
  type VirtualUnitMode,
} from '../formats/virtual-unit.ts'
import type { MemoryDevice } from '../virtual-bus.ts'
import type { FunctionHost } from '../virtual-function.ts'
import type { BehindUnit } from './behind-unit.ts'
import { NestingFunction } from './nesting-function.ts'
import { RemappedMessages } from './remapped-messages.ts'
import { ShadowedFunction } from './shadowed-function.ts'
import { TableWatch } from './table-watch.ts'
import type { UnitIdentity, UnitMessage, UnitModel, UnitModelMaker, UnitRequest } from './unit-model.ts'
import type {
  SavedVirtualUnit,
  UnitBoard,
  UnitObserver,
  VirtualUnitOptions,
  VirtualUnitView,
} from './unit-types.ts'

/** Reasons that say that an address has bits above those that a fault record holds. */
const BEYOND_RECORD: ReadonlySet<number> = new Set([
  FAULT.addressBeyondWidth,
  FAULT.scalableAddressBeyondWidth,
  FAULT.notCanonical,
])
/** Pages below 2^57 bytes, an address that no table translates. */
const BEYOND_TABLES = 2 ** 45

/**
 * The page of a blocked request, of which the record of the host's unit has the lower bits only ("FI": those from MGAW on
 * are 0): its reason tells whether others were set.
 */
const wholePage = (page: PageNumber, reason: number): PageNumber =>
  BEYOND_RECORD.has(reason) ? page + BEYOND_TABLES : page

const HOST_ADDRESS_WIDTH = 46
const ALL_ONES = 0xffff_ffff

export class VirtualUnit implements MemoryDevice {
  readonly mode: VirtualUnitMode
  /** Inspection: whom to tell of what the unit does; it reuses what it tells. */
  observer: UnitObserver | undefined
  readonly #identity: UnitIdentity
  readonly #hostAddressWidth: number
  readonly #board: UnitBoard
  readonly #model: UnitModel
  readonly #functions: BehindUnit[] = []
  /** Of a unit without caching mode. */
  readonly #watch: TableWatch | undefined
  // What the guest's last command said, until the host's tables have followed.
  #entriesChanged = false
  #pagesChanged: { readonly page: PageNumber; readonly count: number }[] = []
  #counters = {
    registerReads: 0,
    registerWrites: 0,
    followed: 0,
    faults: 0,
    withheldFaults: 0,
    blockedInterrupts: 0,
  }

  /** Throws what a unit that cannot be throws. */
  constructor(
    options: VirtualUnitOptions,
    board: UnitBoard,
    make: UnitModelMaker,
    watched?: readonly PageNumber[],
  ) {
    this.mode = options.mode
    this.#identity = options.identity ?? {
      ...VIRTUAL_UNIT_CAPABILITIES[options.mode],
      version: VIRTUAL_UNIT_VERSION,
    }
    this.#hostAddressWidth = options.hostAddressWidth ?? HOST_ADDRESS_WIDTH
    this.#board = board
    if ((this.#identity.cap[0] & CAP.f.CM.mask) === 0) this.#watch = new TableWatch(board, watched)
    this.#model = make(
      {
        id: `unit of ${board.name}`,
        identity: this.#identity,
        hostAddressWidth: this.#hostAddressWidth,
      },
      {
        memory: board.memory,
        send: message => {
          this.observer?.event(message)
          this.#send(message)
        },
        listener: {
          entries: () => {
            this.#entriesChanged = true
          },
          pages: (page, count) => {
            this.#pagesChanged.push({ page, count })
          },
        },
      },
    )
  }

  /** @param find the handle of a function that the machine had */
  static restore(
    from: Saved,
    board: UnitBoard,
    make: UnitModelMaker,
    find: (address: string) => AssignedFunction,
  ): VirtualUnit {
    const saved = opened<SavedVirtualUnit>(from, 'a virtual remapping unit', 1)
    const unit = new VirtualUnit(saved, board, make, saved.watched)
    unit.#model.load(saved.model)
    unit.#counters = { ...saved.counters }
    for (const { address, sourceId, space } of saved.functions)
      unit.#functions.push(unit.#place(find(address), sourceId, space))
    return unit
  }

  #place(assigned: AssignedFunction, sourceId: number, saved?: Saved): BehindUnit {
    const Behind = this.mode === 'nested' ? NestingFunction : ShadowedFunction
    return new Behind(assigned, sourceId, this.#model, this.#board.memory, saved)
  }

  // The registers.

  claims(address: number): boolean {
    return address >= VIRTUAL_UNIT_BASE && address < VIRTUAL_UNIT_BASE + this.#model.registerSize
  }

  /** For exit records. */
  ownerAt(): string {
    return 'virtualUnit'
  }

  readMemory(address: number): number {
    this.#counters.registerReads++
    return this.#model.readDword(address - VIRTUAL_UNIT_BASE)
  }

  /** Returns when the host's tables say what the guest's do. */
  *writeMemory(address: number, value: number, lanes: number): Software {
    this.#counters.registerWrites++
    const before = this.#model.translates
    this.#model.writeDword(address - VIRTUAL_UNIT_BASE, value, lanes)
    if (this.#model.translates !== before) this.#entriesChanged = true
    yield* this.#follow()
  }

  *#follow(): Software {
    const pages = this.#pagesChanged
    if (!this.#entriesChanged && pages.length === 0) return
    const entries = this.#entriesChanged
    this.#entriesChanged = false
    this.#pagesChanged = []
    for (const fn of this.#functions) {
      if (entries) yield* this.#attempt(fn, fn.followEntries())
      else for (const { page, count } of pages) yield* this.#attempt(fn, fn.followPages(page, count))
    }
    this.#watchTables()
  }

  /** Without caching mode the guest may change a table without a word: the unit follows each store. */
  *stored(address: number): Software {
    if (this.#watch?.has(pageOf(address)) !== true) return
    this.#entriesChanged = true
    yield* this.#follow()
  }

  #watchTables(): void {
    if (this.#watch === undefined) return
    const pages = new Set<PageNumber>()
    for (const { sourceId } of this.#functions) {
      for (const page of this.#model.tablesOf(sourceId)) {
        if (this.#board.memory.hostPage(page, false) !== undefined) pages.add(page)
      }
    }
    this.#watch.watch(pages)
  }

  /** What the host cannot map stays unmapped: the function's DMA faults there. */
  *#attempt({ assigned }: BehindUnit, work: Software): Software {
    this.#counters.followed++
    try {
      yield* work
    } catch (error) {
      if (!(error instanceof NorthbridgeError)) throw error
      this.#board.report(`what its guest maps for ${assigned.function.address} is not mapped`, error)
    }
  }

  // The functions behind it.

  /** Puts a function behind the unit. Throws `functionNotAssignable`, `outOfMemory`, with nothing mapped. */
  *attach(assigned: AssignedFunction, sourceId: number): Software {
    const reason = this.mode === 'nested' ? assigned.whyNotNested : undefined
    if (reason !== undefined) {
      const { address } = assigned.function
      const message = `${address} cannot be behind a remapping unit whose guest’s tables are nested: ${reason}`
      throw new NorthbridgeError('functionNotAssignable', message, { function: address })
    }
    const fn = this.#place(assigned, sourceId)
    yield* fn.followEntries()
    this.#functions.push(fn)
    this.#watchTables()
  }

  /** Before a function is released. */
  detach(assigned: AssignedFunction): void {
    const found = this.#find(assigned)
    if (found === undefined) return
    found.forget()
    this.#functions.splice(this.#functions.indexOf(found), 1)
    this.#watchTables()
  }

  #find(assigned: AssignedFunction): BehindUnit | undefined {
    return this.#functions.find(fn => fn.assigned === assigned)
  }

  /** Requester id in the guest of a function, by its address on the host; undefined if it is not behind the unit. */
  sourceIdOf(address: string): number | undefined {
    return this.#functions.find(({ assigned }) => assigned.function.address === address)?.sourceId
  }

  /** What a function behind the unit has of its machine. */
  hostOf(assigned: AssignedFunction, machine: FunctionHost): FunctionHost {
    const found = this.#find(assigned)
    return found === undefined ? machine : new RemappedMessages(machine, this, found.sourceId)
  }

  /** The host's unit blocked a request, perhaps of a function behind this one. */
  blocked({ segment, requesterId, reason, ...request }: BlockedRequest): void {
    const fn = this.#functions.find(
      ({ assigned: { aliases, function: host } }) =>
        host.segment === segment && aliases.includes(requesterId),
    )
    if (fn !== undefined) this.#takeFault(fn, { ...request, sourceId: fn.sourceId }, reason)
  }

  /**
   * The guest learns what its own unit would have said: what its tables forbid is recorded there. Where they allow the
   * access, the host's unit knew older ones. What lies beyond guest memory is no fault of remapping: on silicon, too,
   * nobody answers there.
   */
  #takeFault(fn: BehindUnit, request: UnitRequest, reason: number): void {
    const recorded = this.#model.translates && this.#record(fn, request, reason)
    this.#counters[recorded ? 'faults' : 'withheldFaults']++
    const { name, trace } = this.#board
    const what = `${request.write ? 'a write' : 'a read'} of ${fn.assigned.function.address} at ${hex(request.page)}000`
    trace.emit(
      'vm',
      `${name}: ${what} was blocked, and ${recorded ? 'its unit says so' : 'it is not told'}`,
      {
        vm: name,
        function: fn.assigned.function.address,
        recorded,
      },
    )
  }

  #record(fn: BehindUnit, request: UnitRequest, reason: number): boolean {
    const { page, write } = request
    const asked = { ...request, page: wholePage(page, reason) }
    const { frame, recorded, reason: own } = this.#model.judge(asked)
    if (frame < 0) this.observer?.blocked(page, own)
    if (frame < 0) return recorded
    if (this.#board.memory.hostPage(frame, false) === undefined || fn.allows(page, write)) return false
    const stale = fn.staleReason(write, reason)
    this.observer?.blocked(page, stale)
    this.#model.recordFault(stale, request)
    return true
  }

  /** A message of a function behind the unit. False if it reaches nobody. */
  deliver(sourceId: number, address: number, data: number): boolean {
    const message = this.#model.remap(sourceId, address, data)
    if (message === undefined) this.#counters.blockedInterrupts++
    else this.observer?.remapped(message)
    return message !== undefined && this.#send(message)
  }

  /** Whether messages are remapped: then where they arrive may change without a word to the function. */
  get remapsInterrupts(): boolean {
    return this.#model.remapsInterrupts
  }

  #send({
    destination,
    logical,
    redirectionHint,
    deliveryMode,
    vector,
    levelTriggered,
  }: UnitMessage): boolean {
    // No virtual processor has an APIC id above 8 bits; all ones of x2APIC is everybody, as in 8 bits.
    if (destination > 0xff && destination !== ALL_ONES) return false
    const address = compatibilityAddress(destination & 0xff, logical, redirectionHint)
    return this.#board.deliver(address, vector | (deliveryMode << 8) | (levelTriggered ? 0x8000 : 0))
  }

  /** The state of the register model alone. */
  get modelState(): Saved {
    return this.#model.save()
  }

  /** Goes on from a state of the register model; the host's tables follow. */
  *reload(saved: Saved): Software {
    this.#model.load(saved)
    this.#entriesChanged = true
    yield* this.#follow()
  }

  view(): VirtualUnitView {
    return {
      mode: this.mode,
      base: VIRTUAL_UNIT_BASE,
      translates: this.#model.translates,
      remapsInterrupts: this.#model.remapsInterrupts,
      functions: this.#functions.map(({ assigned, sourceId, mappings, mappedPages }) => ({
        address: assigned.function.address,
        sourceId,
        mappings,
        pages: mappedPages,
      })),
      registers: this.#model.registers(),
      faultRecords: this.#model.faultRecords(),
      counters: { ...this.#counters },
    }
  }

  save(): SavedVirtualUnit {
    return {
      version: 1,
      mode: this.mode,
      identity: this.#identity,
      hostAddressWidth: this.#hostAddressWidth,
      reach: this.#board.memory.ranges.map(({ base, size }) => ({ base, size })),
      model: this.#model.save(),
      watched: this.#watch?.save() ?? [],
      functions: this.#functions.map(fn => ({
        address: fn.assigned.function.address,
        sourceId: fn.sourceId,
        space: fn.save(),
      })),
      counters: { ...this.#counters },
    }
  }
}
