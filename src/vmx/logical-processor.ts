/**
 * A logical processor: an operation-level core with VMX and its local APIC.
 *
 * What a program sees of x86 here, and what not: 64-bit mode at CPL 0 with paging of the program itself off (linear
 * addresses are physical, or guest-physical ones); no instruction bytes, general registers, stack or IDT in memory, so
 * events reach the program as values, and RIP only counts. Host interrupts come through trap gates (IF stays), injected
 * events through interrupt gates (IF clears, IRET restores it). CR4.VMXE is set from the start.
 */
import { hex, hex64, type Saved } from '../core/index.ts'
import type { Engine } from '../engine/index.ts'
import { DELIVERY_MODE } from '../interrupts/formats/message.ts'
import { type ApicBus, LocalApic } from '../interrupts/index.ts'
import type { SystemAddressMap } from '../memory/index.ts'
import { DEFAULT_CAPABILITIES, type ProcessorCapabilities } from './capabilities.ts'
import { Core, NO_POINTER, type PortSpace } from './core.ts'
import { brokenRules } from './entries.ts'
import { Execution } from './execution.ts'
import { ACTIVITY, INTERRUPTIBILITY } from './formats/events.ts'
import { EXCEPTION, RFLAGS } from './formats/msrs.ts'
import type { Operation, OperationResult } from './formats/operations.ts'
import { VMCS, type VmcsFieldName } from './formats/vmcs.ts'
import { exitForEvent, guestTakesInterrupts, guestTakesNmis } from './guest-events.ts'
import { REGISTER } from './registers.ts'
import { EXISTING_FIELDS, slotOf } from './vmcs-layout.ts'

export interface LogicalProcessorOptions {
  /** Position among the platform's processors. */
  readonly number: number
  /** Initial x2APIC identifier, 32 bits. */
  readonly apicId: number
  readonly capabilities?: Partial<ProcessorCapabilities>
}

export interface LogicalProcessorEnvironment {
  readonly map: SystemAddressMap
  readonly bus: ApicBus
  readonly ports: PortSpace
  readonly engine: Engine
}

export interface ProcessorView {
  readonly mode: 'vmxOff' | 'root' | 'nonRoot'
  readonly activity: 'active' | 'halted' | 'shutdown'
  readonly interruptFlag: boolean
  readonly rip: string
  readonly rflags: string
  readonly vmxonPointer: string | null
  readonly currentVmcs: string | null
}

const { blockingBySti, blockingByMovSs, blockingByNmi } = INTERRUPTIBILITY

export class LogicalProcessor {
  readonly number: number
  readonly apic: LocalApic
  readonly #core: Core
  readonly #execution: Execution

  constructor(options: LogicalProcessorOptions, environment: LogicalProcessorEnvironment) {
    this.number = options.number
    this.apic = new LocalApic(options.number, options.apicId, environment.bus)
    environment.bus.add(this.apic)
    this.#core = new Core(
      { number: options.number, capabilities: { ...DEFAULT_CAPABILITIES, ...options.capabilities } },
      { apic: this.apic, map: environment.map, ports: environment.ports, engine: environment.engine },
    )
    this.#execution = new Execution(this.#core)
  }

  /**
   * Executes one operation in the present mode. In a guest, an event that causes a VM exit comes first, and the
   * operation is not executed; nor is it while the processor sleeps (`halted`) or is shut down.
   */
  execute(operation: Operation): OperationResult {
    const core = this.#core
    const { result } = core
    result.clear()
    if (core.nonRoot && exitForEvent(core)) return result
    if (core.shutdown) result.outcome = 'shutdown'
    else if (core.registers[REGISTER.activity] !== ACTIVITY.active) result.outcome = 'halted'
    else this.#execution.run(operation)
    return result
  }

  /**
   * Takes the event that software may be interrupted by now: the vector of an NMI, or of the highest-priority interrupt
   * of the local APIC, which goes into service; -1 if there is none. In a guest only what does not cause VM exits. The
   * call stands for an instruction boundary after the operation that follows an STI or MOV SS in root operation.
   */
  takeInterrupt(): number {
    const core = this.#core
    const { registers, apic, nonRoot } = core
    if (core.shutdown) return -1
    const blocking = registers[REGISTER.interruptibility]!
    const nmi = apic.hasEvent(DELIVERY_MODE.nmi) && (blocking & blockingByNmi) === 0
    if (nmi && (!nonRoot || guestTakesNmis(core))) {
      apic.takeEvent(DELIVERY_MODE.nmi)
      registers[REGISTER.interruptibility] = (blocking & ~(blockingBySti | blockingByMovSs)) | blockingByNmi
      return this.#take(EXCEPTION.NMI)
    }
    if (apic.deliverable < 0 || (registers[REGISTER.rflags]! & RFLAGS.IF) === 0) return -1
    if (nonRoot && (!guestTakesInterrupts(core) || (blocking & (blockingBySti | blockingByMovSs)) !== 0)) {
      return -1
    }
    registers[REGISTER.interruptibility] = blocking & ~(blockingBySti | blockingByMovSs)
    return this.#take(apic.acknowledge())
  }

  #take(vector: number): number {
    const { registers, nonRoot } = this.#core
    registers[REGISTER.activity] = ACTIVITY.active
    if (nonRoot) registers[REGISTER.rflags]! &= ~RFLAGS.IF
    return vector
  }

  reset(): void {
    this.apic.reset()
    this.#core.reset()
  }

  // Inspection.

  view(): ProcessorView {
    const core = this.#core
    const { registers } = core
    const pointer = (address: number): string | null => (address === NO_POINTER ? null : hex(address))
    return {
      mode: core.nonRoot ? 'nonRoot' : core.vmxOn ? 'root' : 'vmxOff',
      activity: core.shutdown ? 'shutdown' : registers[REGISTER.activity] === 0 ? 'active' : 'halted',
      interruptFlag: (registers[REGISTER.rflags]! & RFLAGS.IF) !== 0,
      rip: hex64(registers[REGISTER.rip]!, registers[REGISTER.rip + 1]!),
      rflags: hex64(registers[REGISTER.rflags]!, registers[REGISTER.rflags + 1]!),
      vmxonPointer: pointer(core.vmxonPointer),
      currentVmcs: pointer(core.currentPointer),
    }
  }

  /** A field of the current VMCS as `0x…`; `undefined` without a current VMCS or such a field. */
  vmcsField(name: VmcsFieldName): string | undefined {
    const core = this.#core
    const at = slotOf(VMCS[name])
    if (core.currentPointer === NO_POINTER || at === 0) return undefined
    const wide = EXISTING_FIELDS.some(
      ({ encoding, width }) => encoding === VMCS[name] && (width === 64 || width === 'natural'),
    )
    return wide ? hex64(core.vmcs[at]!, core.vmcs[at + 1]!) : hex(core.vmcs[at]!)
  }

  /** Every field of the current VMCS by name. */
  vmcsFields(): Record<string, string> {
    return Object.fromEntries(EXISTING_FIELDS.map(({ name }) => [name, this.vmcsField(name) ?? '']))
  }

  /** Which VM-entry rules the current VMCS breaks, in the order of the checks. */
  brokenEntryRules(): { id: string; states: string }[] {
    if (this.#core.currentPointer === NO_POINTER) return []
    return brokenRules(this.#core).map(({ id, states }) => ({ id, states }))
  }

  /** Guest-physical mappings in the EPT cache. */
  eptCache(): ReturnType<Core['ept']['cached']> {
    return this.#core.ept.cached()
  }

  save(): Saved {
    return { version: 1, apic: this.apic.save(), core: this.#core.save() }
  }

  load(saved: Saved): void {
    const state = saved as { apic: Saved; core: Saved }
    this.apic.load(state.apic)
    this.#core.load(state.core)
  }
}
