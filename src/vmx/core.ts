/**
 * The state of one logical processor, shared by the files that each give it one part of its behaviour. Nothing outside
 * this room sees it.
 */
import { pageOf, type Saved } from '../core/index.ts'
import type { Engine } from '../engine/index.ts'
import type { LocalApic } from '../interrupts/index.ts'
import type { PhysicalMemory, SystemAddressMap } from '../memory/index.ts'
import type { ProcessorCapabilities } from './capabilities.ts'
import { ExitInformation } from './exit-information.ts'
import { ExtendedPageTables } from './extended-page-tables.ts'
import { PRIMARY } from './formats/controls.ts'
import { ACCESS_RIGHTS } from './formats/events.ts'
import { bootRegisters, REGISTER } from './registers.ts'
import { ResultRecord } from './result.ts'
import { slot } from './vmcs-layout.ts'

/** The I/O address space. `width` is 1, 2 or 4 bytes. */
export interface PortSpace {
  in(port: number, width: number): number
  out(port: number, width: number, value: number): void
}

/** No VMXON region, no current VMCS. */
export const NO_POINTER = -1
const NO_WORDS = new Uint32Array(1024)

const PRIMARY_CONTROLS = slot('primaryProcessorBasedControls')
const SECONDARY_CONTROLS = slot('secondaryProcessorBasedControls')

/** MSRs that are plain storage to this core: two words each in `storedMsrs`. */
const STORED_MSR_COUNT = 4

export class Core {
  readonly number: number
  readonly apic: LocalApic
  readonly map: SystemAddressMap
  readonly memory: PhysicalMemory
  readonly ports: PortSpace
  readonly engine: Engine
  readonly capabilities: ProcessorCapabilities
  readonly result = new ResultRecord()
  readonly exit = new ExitInformation()
  readonly ept: ExtendedPageTables

  /** Architectural registers of the present mode, in the layout of {@link REGISTER}. */
  readonly registers = bootRegisters()
  readonly storedMsrs = new Uint32Array(STORED_MSR_COUNT * 2)
  featureControl = 0
  /** What the last MSR read yielded, low and high word. */
  readonly msrValue = new Uint32Array(2)

  vmxOn = false
  /** In VMX non-root operation. */
  nonRoot = false
  /** After a VMX abort: until reset. */
  shutdown = false
  /** Physical addresses, or {@link NO_POINTER}. */
  vmxonPointer = NO_POINTER
  currentPointer = NO_POINTER
  #vmcs: Uint32Array | undefined
  /** First value of bits 63:32 that lies beyond MAXPHYADDR. */
  readonly #highLimit: number

  constructor(
    options: { number: number; capabilities: ProcessorCapabilities },
    parts: { apic: LocalApic; map: SystemAddressMap; ports: PortSpace; engine: Engine },
  ) {
    this.number = options.number
    this.capabilities = options.capabilities
    this.#highLimit = 2 ** (options.capabilities.physicalAddressWidth - 32)
    this.apic = parts.apic
    this.map = parts.map
    this.memory = parts.map.memory
    this.ports = parts.ports
    this.engine = parts.engine
    this.ept = new ExtendedPageTables(this.memory, options.capabilities.physicalAddressWidth)
  }

  /** The words of the current VMCS, in memory. Only while there is one. */
  get vmcs(): Uint32Array {
    this.#vmcs ??= this.memory.pageForWrite(pageOf(this.currentPointer))?.words ?? NO_WORDS
    return this.#vmcs
  }

  setCurrentPointer(pointer: number): void {
    this.currentPointer = pointer
    this.#vmcs = undefined
  }

  /** Secondary controls act as 0 while they are not activated. */
  get secondaryControls(): number {
    const { vmcs } = this
    const active = (vmcs[PRIMARY_CONTROLS]! & PRIMARY.activateSecondaryControls) !== 0
    return active ? vmcs[SECONDARY_CONTROLS]! | 0 : 0
  }

  get currentPrivilegeLevel(): number {
    return (this.registers[REGISTER.ssAccessRights]! & ACCESS_RIGHTS.DPL) >>> 5
  }

  /** Whether an address lies beyond MAXPHYADDR, by its bits 63:32. */
  beyondWidth(high: number): boolean {
    return high >>> 0 >= this.#highLimit
  }

  reset(): void {
    this.registers.set(bootRegisters())
    this.storedMsrs.fill(0)
    this.featureControl = 0
    this.vmxOn = false
    this.nonRoot = false
    this.shutdown = false
    this.vmxonPointer = NO_POINTER
    this.setCurrentPointer(NO_POINTER)
    this.ept.invalidateAll()
  }

  save(): Saved {
    return {
      version: 1,
      registers: this.registers.slice(),
      storedMsrs: this.storedMsrs.slice(),
      featureControl: this.featureControl,
      vmxOn: this.vmxOn,
      nonRoot: this.nonRoot,
      shutdown: this.shutdown,
      vmxonPointer: this.vmxonPointer,
      currentPointer: this.currentPointer,
      ept: this.ept.save(),
    }
  }

  load(saved: Saved): void {
    const state = saved as unknown as Pick<
      Core,
      | 'registers'
      | 'storedMsrs'
      | 'featureControl'
      | 'vmxOn'
      | 'nonRoot'
      | 'shutdown'
      | 'vmxonPointer'
      | 'currentPointer'
    > & { ept: Saved }
    this.registers.set(state.registers)
    this.storedMsrs.set(state.storedMsrs)
    this.featureControl = state.featureControl
    this.vmxOn = state.vmxOn
    this.nonRoot = state.nonRoot
    this.shutdown = state.shutdown
    this.vmxonPointer = state.vmxonPointer
    this.setCurrentPointer(state.currentPointer)
    this.ept.load(state.ept)
  }
}
