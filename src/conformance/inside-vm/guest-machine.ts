/**
 * The machine of a program inside a virtual machine: its unit is the guest's own, its registers are reached by loads and
 * stores of the guest, its memory is the guest's, and its functions are assigned ones, whose requests pass or fail by what
 * the host has made of the guest's tables.
 */
import { NorthbridgeError, type PageNumber, pageOf, parsePhysical } from '../../core/index.ts'
import type { UnitMessage, VirtualUnit } from '../../hypervisor/index.ts'
import { InterruptMessage } from '../../interrupts/index.ts'
import { MSI_X_ENTRY } from '../../pcie/formats/index.ts'
import type { Operation } from '../../vmx/formats/operations.ts'
import { capabilitiesFromWords } from '../../vtd/index.ts'
import { UnitState } from '../carry-on.ts'
import { faultRecordOffset, faultState } from '../fault-state.ts'
import type { Observation, SeenInterrupt, SeenPart } from '../observation.ts'
import type { ActingStep, ReplayMachine } from '../replay-machine.ts'
import { seenParts, transferBytes } from '../transfer.ts'
import { RAM, seenInterrupt } from '../vector-machine.ts'
import type { StepOf, VectorFunction, VectorProgram } from '../vtd-vectors.ts'
import { GuestWatch } from './guest-watch.ts'
import type { Laboratory } from './laboratory.ts'

const VM = 'vm'
/** Guest memory up to the hole, and a GiB behind it: what programs know of it is less. */
const MEMORY_MIB = 4096
/** Guest pages below hold the guest kernel's own data. */
const FIRST_PAGE = 0x200

const halves = (value: bigint): [number, number] => [Number(value & 0xffff_ffffn), Number(value >> 32n)]

interface Attached {
  readonly described: VectorFunction
  /** On the host. */
  readonly address: string
  /** Guest-physical address of its MSI-X table. */
  readonly table: number
}

export class GuestMachine implements ReplayMachine {
  readonly memory: GuestWatch
  readonly state: UnitState
  readonly cachingMode: boolean
  readonly recordAt: number
  readonly guestAddressWidth: number
  readonly #laboratory: Laboratory
  readonly #unit: VirtualUnit
  readonly #base: number
  readonly #functions = new Map<string, Attached>()
  /** Guest page of each host page, as runs. */
  readonly #runs: readonly {
    readonly guestPage: PageNumber
    readonly hostPage: PageNumber
    readonly pages: number
  }[]
  // What the unit did in the present step.
  readonly #reasons = new Map<PageNumber, number>()
  #events: InterruptMessage[] = []
  #remapped: InterruptMessage | undefined

  /** Throws what a unit that cannot be throws. */
  constructor(laboratory: Laboratory, { unit, functions }: VectorProgram) {
    this.#laboratory = laboratory
    this.#base = parsePhysical(unit.base)
    const identity = {
      cap: halves(BigInt(unit.cap)),
      ecap: halves(BigInt(unit.ecap)),
      version: Number(unit.version),
    }
    const capabilities = capabilitiesFromWords(identity)
    this.cachingMode = capabilities.CM !== 0
    this.guestAddressWidth = capabilities.MGAW + 1
    const { hypervisor } = laboratory.platform
    const mode = capabilities.FSTS === 1 ? 'nested' : 'shadow'
    const viommu = { mode, identity, hostAddressWidth: unit.haw, reach: RAM } as const
    laboratory.run(hypervisor.createVm({ name: VM, vcpus: 1, memoryMiB: MEMORY_MIB, viommu }))
    this.#runs = hypervisor.hostMemoryOf(VM)
    this.#unit = hypervisor.remappingUnit(VM)
    this.#unit.observer = {
      blocked: (page, reason) => this.#reasons.set(page % RECORDED_PAGES, reason),
      event: message => this.#events.push(copyOf(message)),
      remapped: message => {
        this.#remapped = copyOf(message)
      },
    }
    for (const [i, described] of functions.entries()) this.#attach(described, laboratory.functions[i])
    this.memory = new GuestWatch({
      ranges: RAM,
      store: (address, bytes) => this.#store(address, bytes),
      load: (address, length) => hypervisor.readGuest(VM, address, length),
      written: () => this.#written(),
    })
    this.memory.accept()
    this.recordAt = faultRecordOffset(this)
    const unitState = this.#unit
    this.state = new UnitState({
      save: () => unitState.modelState,
      load: saved => laboratory.run(unitState.reload(saved)),
    })
  }

  /** The virtual machine goes, and everything with it. */
  end(): void {
    this.#laboratory.run(this.#laboratory.platform.hypervisor.deleteVm(VM))
  }

  #attach(described: VectorFunction, address: string | undefined): void {
    if (address === undefined) throw new NorthbridgeError('unsupported', 'the program has too many functions')
    const { platform } = this.#laboratory
    const device = this.#laboratory.run(
      platform.hypervisor.attach(VM, address, { requesterId: described.sourceId }),
    )
    const { tableBar, tableOffset } = platform.host.assignedFunction(address).msix!
    const bar = device.bars.find(({ index }) => index === tableBar)!
    this.#functions.set(described.name, { described, address, table: bar.guestAddress! + tableOffset })
  }

  describedFunction(name: string): VectorFunction {
    return this.#function(name).described
  }

  #function(name: string): Attached {
    const found = this.#functions.get(name)
    if (found === undefined)
      throw new NorthbridgeError('notFound', `the program declares no function ${name}`)
    return found
  }

  // What the guest's processor does.

  #execute(operations: readonly Operation[]) {
    return this.#laboratory.run(this.#laboratory.platform.hypervisor.runVcpu(VM, 0, operations)).results
  }

  #store(address: number, bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const operations: Operation[] = []
    let at = 0
    for (; at + 8 <= bytes.length; at += 8) {
      const value = [view.getUint32(at, true), view.getUint32(at + 4, true)] as const
      operations.push({ op: 'write', address: address + at, width: 8, value })
    }
    for (; at < bytes.length; at++)
      operations.push({ op: 'write', address: address + at, width: 1, value: [bytes[at]!, 0] })
    for (let first = 0; first < operations.length; first += MOST_OPERATIONS)
      this.#execute(operations.slice(first, first + MOST_OPERATIONS))
  }

  readRegister(offset: number, width: 32 | 64): bigint {
    const [result] = this.#execute([
      { op: 'read', address: this.#base + offset, width: width === 64 ? 8 : 4 },
    ])
    return BigInt(result!.low) | (BigInt(width === 64 ? result!.high : 0) << 32n)
  }

  #writeRegister(offset: number, width: 32 | 64, value: bigint): void {
    const operation = { op: 'write', address: this.#base + offset, width: width === 64 ? 8 : 4 } as const
    this.#execute([{ ...operation, value: halves(value) }])
  }

  observe(step: ActingStep): Observation {
    const before = faultState(this, this.recordAt)
    this.#reasons.clear()
    this.#events = []
    this.#remapped = undefined
    let parts: readonly SeenPart[] = []
    let interrupt: SeenInterrupt | undefined
    if (step.op === 'reg.write') this.#writeRegister(Number(step.offset), step.width, BigInt(step.value))
    else if (step.op === 'dma') parts = this.#transfer(step)
    else interrupt = this.#message(step)
    const events = this.#events
    const changes = this.memory.changes()
    return { parts, interrupt, changes, before, after: faultState(this, this.recordAt), events }
  }

  #transfer(step: StepOf<'dma'>): SeenPart[] {
    const { address } = this.#function(step.fn)
    const bytes = transferBytes(step)
    const from = BigInt(step.addr)
    const { platform } = this.#laboratory
    const report = this.#laboratory.run(
      platform.dma(address, step.dir === 'write', Number(from >> 12n), Number(from & 0xfffn), bytes),
    )
    return seenParts(step, bytes, report.parts, {
      page: ({ physicalPage }) => this.#guestPage(physicalPage),
      reason: ({ page }) => this.#reasons.get(page % RECORDED_PAGES) ?? 0,
    })
  }

  /** The guest writes address and data into the function's MSI-X table, and the function signals. */
  #message({ fn, addr, data }: StepOf<'msi'>): SeenInterrupt | undefined {
    const { address, table } = this.#function(fn)
    const [low, high] = halves(BigInt(addr))
    const entry = (offset: number, value: number): Operation => ({
      op: 'write',
      address: table + offset,
      width: 4,
      value: [value, 0],
    })
    this.#execute([
      entry(MSI_X_ENTRY.ADDRESS, low),
      entry(MSI_X_ENTRY.ADDRESS_UPPER, high),
      entry(MSI_X_ENTRY.DATA, Number(data)),
      entry(MSI_X_ENTRY.CONTROL, 0),
    ])
    this.#laboratory.run(this.#laboratory.platform.fire(address, 0))
    return this.#remapped && seenInterrupt(this.#remapped)
  }

  #guestPage(hostPage: PageNumber): PageNumber {
    const run = this.#runs.find(({ hostPage: first, pages }) => hostPage >= first && hostPage < first + pages)
    return run === undefined ? -1 : hostPage - run.hostPage + run.guestPage
  }

  *#written(): Generator<readonly [PageNumber, Uint8Array]> {
    const ends = RAM.map(({ base, size }) => [pageOf(base), pageOf(base + size)] as const)
    for (const [hostPage, { bytes }] of this.#laboratory.platform.hardware.memory.made()) {
      const page = this.#guestPage(hostPage)
      if (page >= FIRST_PAGE && ends.some(([first, end]) => page >= first && page < end)) yield [page, bytes]
    }
  }
}

/** A fault record of the host's unit holds 48 bits of address. */
const RECORDED_PAGES = 2 ** 36

/** Operations of one run. */
const MOST_OPERATIONS = 256

const copyOf = (message: UnitMessage): InterruptMessage => Object.assign(new InterruptMessage(), message)
