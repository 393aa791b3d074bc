/**
 * The state of one logical processor, shared by the files that each give it one part of its behaviour. Nothing outside
 * this room sees it.
 */
import { pageOf, Random, type Saved } from '../core/index.ts'
import type { Engine } from '../engine/index.ts'
import type { LocalApic } from '../interrupts/index.ts'
import type { PhysicalMemory, SystemAddressMap } from '../memory/index.ts'
import { NestedPageTables } from './amd-v/nested-page-tables.ts'
import { SvmState } from './amd-v/svm-state.ts'
import { capabilityMsrs, type ProcessorCapabilities } from './capabilities.ts'
import { ExitInformation } from './exit-information.ts'
import { ExtendedPageTables } from './extended-page-tables.ts'
import { PRIMARY } from './formats/controls.ts'
import { ACCESS_RIGHTS } from './formats/events.ts'
import { CR0, EFER } from './formats/msrs.ts'
import { LinearCache } from './linear-cache.ts'
import type { ModificationLog, ProcessorMemory } from './processor-memory.ts'
import { bootRegisters, REGISTER } from './registers.ts'
import { ResultRecord } from './result.ts'
import { VirtualApicState } from './virtual-apic-state.ts'
import { HIGHEST_FIELD_INDEX, slot } from './vmcs-layout.ts'
import { walkCounters } from './walk-counters.ts'

/** The I/O address space. `width` is 1, 2 or 4 bytes. */
export interface PortSpace {
  in(port: number, width: number): number
  out(port: number, width: number, value: number): void
}

/** No VMXON region, no current VMCS. */
export const NO_POINTER = -1
const NO_WORDS = new Uint32Array(1024)

const PIN_CONTROLS = slot('pinBasedControls')
const PRIMARY_CONTROLS = slot('primaryProcessorBasedControls')
const SECONDARY_CONTROLS = slot('secondaryProcessorBasedControls')
const TERTIARY_CONTROLS = slot('tertiaryProcessorBasedControls')

/** MSRs that are plain storage to this core: two words each in `storedMsrs`. */
const STORED_MSR_COUNT = 8

/** Moments of the time-stamp counter, in `Core.moments`: doubles, which fields of an object would box. */
export const MOMENT = { tscAdjust: 0, timerEnd: 1, lastPause: 2, loopStart: 3 } as const
/** Words of `Core.debug`: DR0 to DR3 and DR6, two words each; CR2. */
export const DEBUG = { dr0: 0, dr6: 8, cr2: 10 } as const
const DR6_RESET = 0xffff_0ff0

/** What a core is put together from; the last two are made for it. */
export interface CoreParts {
  readonly apic: LocalApic
  readonly map: SystemAddressMap
  readonly ports: PortSpace
  readonly engine: Engine
  readonly memoryAccess: (core: Core) => ProcessorMemory
  readonly modificationLog: (core: Core) => ModificationLog
}

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
  /** Debug registers and CR2, which VM entries and exits leave alone: see {@link DEBUG}. */
  readonly debug = new Uint32Array(12)
  readonly xcr0 = new Uint32Array(2)
  readonly moments = new Float64Array(4)
  /** See {@link WALKS}. */
  readonly walks = walkCounters()
  /** IA32_VMX_BASIC and the capability MSRs after it. */
  readonly capabilityWords: Uint32Array
  readonly linear = new LinearCache()
  readonly svm = new SvmState()
  readonly npt: NestedPageTables
  readonly access: ProcessorMemory
  readonly virtualApic = new VirtualApicState()
  /** What RDRAND and RDSEED draw from. */
  readonly random: Random
  featureControl = 0
  /** What the last MSR read yielded, low and high word. */
  readonly msrValue = new Uint32Array(2)

  vmxOn = false
  /** In VMX non-root operation. */
  nonRoot = false
  /** After a VMX abort or a triple fault outside a guest: until reset. */
  shutdown = false
  /** MONITOR armed the address-range monitor. */
  monitorArmed = false
  /** A monitor-trap-flag exit waits for the next boundary between operations. */
  trapPending = false
  /** The VMX-preemption timer counts: it has neither expired in this stay in the guest nor been off. */
  timerRuns = false
  /** Physical addresses, or {@link NO_POINTER}. */
  vmxonPointer = NO_POINTER
  currentPointer = NO_POINTER
  #vmcs: Uint32Array | undefined
  /** First value of bits 63:32 that lies beyond MAXPHYADDR. */
  readonly #highLimit: number

  constructor(options: { number: number; capabilities: ProcessorCapabilities }, parts: CoreParts) {
    this.number = options.number
    this.capabilities = options.capabilities
    this.#highLimit = 2 ** (options.capabilities.physicalAddressWidth - 32)
    this.apic = parts.apic
    this.map = parts.map
    this.memory = parts.map.memory
    this.ports = parts.ports
    this.engine = parts.engine
    this.ept = new ExtendedPageTables(
      this.memory,
      options.capabilities,
      parts.modificationLog(this),
      this.walks,
    )
    this.npt = new NestedPageTables(this.memory, this.walks)
    this.access = parts.memoryAccess(this)
    this.capabilityWords = capabilityMsrs(HIGHEST_FIELD_INDEX, options.capabilities)
    this.random = new Random(options.number)
    this.#resetPlain()
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

  get pinControls(): number {
    return this.vmcs[PIN_CONTROLS]! | 0
  }

  get primaryControls(): number {
    return this.vmcs[PRIMARY_CONTROLS]! | 0
  }

  /** Bits 31:0; 0 while they are not activated. */
  get tertiaryControls(): number {
    const { vmcs } = this
    const active = (vmcs[PRIMARY_CONTROLS]! & PRIMARY.activateTertiaryControls) !== 0
    return active ? vmcs[TERTIARY_CONTROLS]! | 0 : 0
  }

  /** Whether a guest runs under a primary, or a secondary, control. */
  guestHas(control: number): boolean {
    return this.nonRoot && (this.vmcs[PRIMARY_CONTROLS]! & control) !== 0
  }

  guestHasSecondary(control: number): boolean {
    return this.nonRoot && (this.secondaryControls & control) !== 0
  }

  get protectedMode(): boolean {
    return (this.registers[REGISTER.cr0]! & CR0.PE) !== 0
  }

  get paging(): boolean {
    return (this.registers[REGISTER.cr0]! & CR0.PG) !== 0
  }

  get ia32eMode(): boolean {
    return (this.registers[REGISTER.efer]! & EFER.LMA) !== 0
  }

  /** Whether an event of the running software goes through an IDT in memory. Root operation takes events as values. */
  get eventsThroughIdt(): boolean {
    const { eventDelivery } = this.capabilities
    return this.nonRoot ? eventDelivery !== 'program' : eventDelivery === 'idtAlways' && !this.vmxOn
  }

  /** IA-32e mode with CS.L. */
  get code64(): boolean {
    return this.ia32eMode && (this.registers[REGISTER.csAccessRights]! & ACCESS_RIGHTS.L) !== 0
  }

  /** The time-stamp counter of the processor itself: 1 GHz of virtual time. */
  get timeStampCounter(): number {
    return this.engine.now + this.moments[MOMENT.tscAdjust]!
  }

  get currentPrivilegeLevel(): number {
    return (this.registers[REGISTER.ssAccessRights]! & ACCESS_RIGHTS.DPL) >>> 5
  }

  /** Whether an address lies beyond MAXPHYADDR, by its bits 63:32. */
  beyondWidth(high: number): boolean {
    return high >>> 0 >= this.#highLimit
  }

  /** INIT: registers as after reset; MSRs, XCR0 and IA32_FEATURE_CONTROL stay. */
  initialize(): void {
    this.registers.set(bootRegisters())
    this.debug.fill(0)
    this.debug[DEBUG.dr6] = DR6_RESET
    this.monitorArmed = false
    this.linear.invalidateAll()
  }

  reset(): void {
    this.registers.set(bootRegisters())
    this.#resetPlain()
    this.featureControl = 0
    this.vmxOn = false
    this.nonRoot = false
    this.shutdown = false
    this.vmxonPointer = NO_POINTER
    this.setCurrentPointer(NO_POINTER)
    this.ept.invalidateAll()
    this.linear.invalidateAll()
    this.virtualApic.reset()
    this.svm.reset()
    this.npt.invalidate()
  }

  #resetPlain(): void {
    this.storedMsrs.fill(0)
    this.debug.fill(0)
    this.debug[DEBUG.dr6] = DR6_RESET
    this.xcr0.fill(0)
    this.xcr0[0] = 1
    this.moments.fill(0)
    this.monitorArmed = false
    this.trapPending = false
    this.timerRuns = false
  }

  save(): Saved {
    return {
      version: 2,
      registers: this.registers.slice(),
      storedMsrs: this.storedMsrs.slice(),
      featureControl: this.featureControl,
      vmxOn: this.vmxOn,
      nonRoot: this.nonRoot,
      shutdown: this.shutdown,
      vmxonPointer: this.vmxonPointer,
      currentPointer: this.currentPointer,
      debug: this.debug.slice(),
      xcr0: this.xcr0.slice(),
      moments: this.moments.slice(),
      monitorArmed: this.monitorArmed,
      trapPending: this.trapPending,
      timerRuns: this.timerRuns,
      random: [...this.random.save()],
      ept: this.ept.save(),
      linear: this.linear.save(),
      virtualApic: this.virtualApic.save(),
      svm: this.svm.save(),
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
      | 'debug'
      | 'xcr0'
      | 'moments'
      | 'monitorArmed'
      | 'trapPending'
      | 'timerRuns'
    > & { ept: Saved; linear: Saved; virtualApic: Saved; svm: Saved; random: readonly number[] }
    this.registers.set(state.registers)
    this.storedMsrs.set(state.storedMsrs)
    this.featureControl = state.featureControl
    this.vmxOn = state.vmxOn
    this.nonRoot = state.nonRoot
    this.shutdown = state.shutdown
    this.vmxonPointer = state.vmxonPointer
    this.setCurrentPointer(state.currentPointer)
    this.debug.set(state.debug)
    this.xcr0.set(state.xcr0)
    this.moments.set(state.moments)
    this.monitorArmed = state.monitorArmed
    this.trapPending = state.trapPending
    this.timerRuns = state.timerRuns
    this.random.load(state.random)
    this.ept.load(state.ept)
    this.linear.load(state.linear)
    this.virtualApic.load(state.virtualApic)
    this.svm.load(state.svm)
    this.npt.invalidate()
  }
}
