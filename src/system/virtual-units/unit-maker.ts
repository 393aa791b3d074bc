/**
 * The register model that the hypervisor emulates remapping units with: a `RemappingUnit` of its own for each virtual
 * machine that has one. It stands on guest memory, is wired to no port and translates for no device of the machine: what
 * it is to the guest, the hypervisor makes of it with the tables of the units that are.
 */
import { pageOf, parseAddress64, parsePhysical } from '../../core/index.ts'
import type { Engine } from '../../engine/index.ts'
import type {
  UnitEntry,
  UnitModel,
  UnitModelEnvironment,
  UnitModelMaker,
  UnitModelOptions,
  UnitRequest,
} from '../../hypervisor/index.ts'
import { InterruptMessage } from '../../interrupts/index.ts'
import type { PhysicalMemory } from '../../memory/index.ts'
import { ADDRESS_TYPE, InterruptOutcome } from '../../pcie/index.ts'
import { GSTS } from '../../vtd/formats/index.ts'
import {
  capabilitiesFromWords,
  type FaultedRequest,
  RemappingUnit,
  TableJudge,
  tableEntries,
} from '../../vtd/index.ts'
import { GuestMemoryView } from './guest-memory-view.ts'

/** Fields of entries that lead to tables which software writes; first-stage tables are walked in place. */
const POINTERS = ['CTP', 'LCTP', 'UCTP', 'PASIDDIRPTR', 'SMPTBLPTR', 'SSPTPTR', 'ADDR'] as const

const NOBODY_ACCEPTS = -1

/** @param memory of the host: guests' pages are among it. */
export const unitMaker =
  (memory: PhysicalMemory, engine: Engine): UnitModelMaker =>
  (options, environment) =>
    new EmulatedUnit(options, environment, memory, engine)

class EmulatedUnit implements UnitModel {
  readonly #unit: RemappingUnit
  readonly #memory: GuestMemoryView
  readonly #width: number
  readonly #message = new InterruptMessage()
  readonly #outcome = new InterruptOutcome()
  #judge: TableJudge | undefined

  constructor(
    { id, identity, hostAddressWidth }: UnitModelOptions,
    environment: UnitModelEnvironment,
    memory: PhysicalMemory,
    engine: Engine,
  ) {
    this.#memory = new GuestMemoryView(environment.memory, memory)
    this.#width = hostAddressWidth
    const deliver = (message: InterruptMessage): number => {
      environment.send(message)
      return NOBODY_ACCEPTS
    }
    this.#unit = new RemappingUnit(
      { id, index: NOBODY_ACCEPTS, hostAddressWidth, capabilities: capabilitiesFromWords(identity) },
      { memory: this.#memory, interrupts: { deliver }, engine, listener: environment.listener },
    )
  }

  get registerSize(): number {
    return this.#unit.registerSize
  }

  get translates(): boolean {
    return (this.#unit.readDword(GSTS.offset) & GSTS.f.TES.mask) !== 0
  }

  get remapsInterrupts(): boolean {
    return (this.#unit.readDword(GSTS.offset) & GSTS.f.IRES.mask) !== 0
  }

  readDword(offset: number): number {
    return this.#unit.readDword(offset)
  }

  writeDword(offset: number, value: number, lanes: number): void {
    this.#judge = undefined
    this.#unit.writeDword(offset, value, lanes)
  }

  look(): ReturnType<UnitModel['look']> {
    const tables = this.#tables()
    return (sourceId, page) => tables.blockAt(sourceId, page)
  }

  entryOf(sourceId: number): UnitEntry {
    const tables = this.#tables()
    const table = tables.firstStageOf(sourceId)
    if (table !== undefined) return { kind: 'firstStage', ...table }
    const { frame, pages } = tables.blockAt(sourceId, 0)
    return { kind: frame === 0 && pages === Number.POSITIVE_INFINITY ? 'unchanged' : 'blocked' }
  }

  tablesOf(sourceId: number): number[] {
    if (!this.translates) return []
    const pages: number[] = []
    const query = { ...this.#unit.rootTable, sourceId, pasid: undefined, fromPage: 0 }
    for (const { table, address, present, level, fields } of tableEntries(this.#memory, query)) {
      if (table === 'firstStage') continue
      pages.push(pageOf(parsePhysical(address)))
      // Tables without a present entry are known from what leads to them.
      const leads = present && (level === undefined || (level > 1 && fields['PS'] !== 1))
      for (const name of leads ? POINTERS : []) {
        const pointer = fields[name]
        if (pointer !== undefined) pages.push(parseAddress64(String(pointer)).page)
      }
    }
    return pages
  }

  judge(request: UnitRequest): ReturnType<UnitModel['judge']> {
    const asked = faulted(request)
    const { reason, recorded, frame } = this.#tables().judge(asked)
    if (recorded) this.#unit.recordFault(reason, asked)
    return { frame, reason, recorded }
  }

  recordFault(reason: number, request: UnitRequest): void {
    this.#unit.recordFault(reason, faulted(request))
  }

  /** Reads tables as they stand whenever it is asked, by registers as they are until the next write. */
  #tables(): TableJudge {
    this.#judge ??= new TableJudge(this.#unit, this.#memory, this.#width)
    return this.#judge
  }

  remap(sourceId: number, address: number, data: number): InterruptMessage | undefined {
    const message = this.#message
    const reason = this.#unit.remapInterrupt(sourceId, address, 0, data, message, this.#outcome)
    return reason === 0 ? message : undefined
  }

  registers(): ReturnType<UnitModel['registers']> {
    return this.#unit.registers()
  }

  faultRecords(): ReturnType<UnitModel['faultRecords']> {
    return this.#unit.faultRecords()
  }

  save(): ReturnType<UnitModel['save']> {
    return this.#unit.save()
  }

  load(saved: ReturnType<UnitModel['save']>): void {
    this.#judge = undefined
    this.#unit.load(saved)
  }
}

const faulted = (request: UnitRequest): FaultedRequest => ({
  ...request,
  addressType: ADDRESS_TYPE.untranslated,
  pageRequest: false,
})
