/**
 * A logical processor: an operation-level core with VMX and its local APIC.
 *
 * What a program sees of x86 here, and what not: no instruction bytes and no general registers, so RIP only counts. It
 * begins in 64-bit mode at CPL 0 with CR4.VMXE set. Accesses to memory are by physical address (guest-physical in a
 * guest), or by linear address through the paging that the control registers ask for. Events reach the program as values,
 * unless the processor's `eventDelivery` is `idt`: then those of a guest go through its IDT in memory. As values, host
 * interrupts come through trap gates (IF stays), injected events through interrupt gates (IF clears, IRET restores it).
 */

import { hex, hex64, type Saved } from '../core/index.ts'
import type { Engine } from '../engine/index.ts'
import { DELIVERY_MODE } from '../interrupts/formats/message.ts'
import { type ApicBus, LocalApic } from '../interrupts/index.ts'
import type { SystemAddressMap } from '../memory/index.ts'
import { intercepted, svmEventBefore } from './amd-v/intercepts.ts'
import { DEFAULT_CAPABILITIES, type ProcessorCapabilities } from './capabilities.ts'
import { Core, NO_POINTER, type PortSpace } from './core.ts'
import { brokenRules } from './entries.ts'
import { deliverEvent } from './event-delivery.ts'
import { run } from './execution.ts'
import { ACTIVITY, DEBUG_CONDITION, EVENT_TYPE, INTERRUPTIBILITY } from './formats/events.ts'
import { EXCEPTION, RFLAGS } from './formats/msrs.ts'
import type { Operation, OperationResult } from './formats/operations.ts'
import { VMCS, type VmcsFieldName, vmcsFieldWidth } from './formats/vmcs.ts'
import { debugTrap, eventBefore, guestTakesInterrupts, guestTakesNmis, initialized } from './guest-events.ts'
import { MemoryAccess } from './memory-access.ts'
import { PageModificationLog } from './page-modification-log.ts'
import { REGISTER } from './registers.ts'
import { EXISTING_FIELDS, slotOf } from './vmcs-layout.ts'
import { WALKS, type WalkCounts } from './walk-counters.ts'

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

const isWide = (name: VmcsFieldName): boolean =>
  vmcsFieldWidth(VMCS[name]) === 64 || vmcsFieldWidth(VMCS[name]) === 'natural'

export class LogicalProcessor {
  readonly number: number
  readonly apic: LocalApic
  readonly #core: Core

  constructor(options: LogicalProcessorOptions, environment: LogicalProcessorEnvironment) {
    this.number = options.number
    this.apic = new LocalApic(options.number, options.apicId, environment.bus, environment.engine)
    environment.bus.add(this.apic)
    this.#core = new Core(
      { number: options.number, capabilities: { ...DEFAULT_CAPABILITIES, ...options.capabilities } },
      {
        apic: this.apic,
        map: environment.map,
        ports: environment.ports,
        engine: environment.engine,
        memoryAccess: core => new MemoryAccess(core),
        modificationLog: core => new PageModificationLog(core),
      },
    )
  }

  /**
   * Executes one operation in the present mode. In a guest, an event that causes a VM exit comes first, and the
   * operation is not executed; nor is it while the processor sleeps (`halted`) or is shut down.
   */
  execute(operation: Operation): OperationResult {
    const core = this.#core
    const { result } = core
    result.clear()
    if (core.nonRoot ? eventBefore(core) : initialized(core)) return result
    if (core.svm.guest && (svmEventBefore(core) || intercepted(core, operation))) return result
    if (core.shutdown) result.outcome = 'shutdown'
    else if (core.registers[REGISTER.activity] !== ACTIVITY.active) result.outcome = 'halted'
    else if (core.nonRoot || !debugTrap(core)) run(core, operation)
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
    if (core.shutdown || !core.svm.globalInterrupts) return -1
    if (!nonRoot && initialized(core)) return -1
    const blocking = registers[REGISTER.interruptibility]!
    const nmi = apic.hasEvent(DELIVERY_MODE.nmi) && (blocking & blockingByNmi) === 0
    if (nmi && (!nonRoot || guestTakesNmis(core))) {
      apic.takeEvent(DELIVERY_MODE.nmi)
      registers[REGISTER.interruptibility] = (blocking & ~(blockingBySti | blockingByMovSs)) | blockingByNmi
      return this.#take(EXCEPTION.NMI)
    }
    const external = apic.hasEvent(DELIVERY_MODE.extInt)
    if ((apic.deliverable < 0 && !external) || (registers[REGISTER.rflags]! & RFLAGS.IF) === 0) return -1
    const blocked = (blocking & (blockingBySti | blockingByMovSs)) !== 0
    if (nonRoot && (!guestTakesInterrupts(core) || blocked)) return -1
    // "Priority Among Simultaneous Exceptions and Interrupts": the trap on the last operation comes first.
    const trapWaits = (registers[REGISTER.pendingDebug]! & DEBUG_CONDITION.BS) !== 0
    if ((blocked || trapWaits) && core.eventsThroughIdt) return -1
    registers[REGISTER.interruptibility] = blocking & ~(blockingBySti | blockingByMovSs)
    if (!external) return this.#take(apic.acknowledge())
    apic.takeEvent(DELIVERY_MODE.extInt)
    return this.#take(apic.externalVector)
  }

  #take(vector: number): number {
    const { registers, nonRoot } = this.#core
    registers[REGISTER.activity] = ACTIVITY.active
    if (!nonRoot && this.#core.eventsThroughIdt) {
      deliverEvent(this.#core, EVENT_TYPE.externalInterrupt, vector, -1, 0)
    } else if (nonRoot) registers[REGISTER.rflags]! &= ~RFLAGS.IF
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
    return isWide(name) ? hex64(core.vmcs[at]!, core.vmcs[at + 1]!) : hex(core.vmcs[at]!)
  }

  /** Every field of the current VMCS by name. */
  vmcsFields(): Record<string, string> {
    return Object.fromEntries(EXISTING_FIELDS.map(({ name }) => [name, this.vmcsField(name) ?? '']))
  }

  /** Every field of the VMCS at an address by name, as {@link vmcsFields} tells the current one. */
  vmcsFieldsAt(address: number): Record<string, string> {
    return this.#at(address, () => this.vmcsFields())
  }

  /** Which VM-entry rules the VMCS at an address would break with another value in a field. Nothing changes. */
  brokenEntryRulesWith(
    address: number,
    name: VmcsFieldName,
    low: number,
    high: number,
  ): { id: string; states: string }[] {
    return this.#at(address, () => {
      const { vmcs } = this.#core
      const at = slotOf(VMCS[name])
      const wide = isWide(name)
      const kept = [vmcs[at]!, vmcs[at + 1]!] as const
      vmcs[at] = low
      if (wide) vmcs[at + 1] = high
      const broken = this.brokenEntryRules()
      vmcs[at] = kept[0]
      vmcs[at + 1] = kept[1]
      return broken
    })
  }

  /** Looks at another VMCS as if it were current. */
  #at<Result>(address: number, look: () => Result): Result {
    const core = this.#core
    const current = core.currentPointer
    core.setCurrentPointer(address)
    const result = look()
    core.setCurrentPointer(current)
    return result
  }

  /** Which VM-entry rules the current VMCS breaks, in the order of the checks. */
  brokenEntryRules(): { id: string; states: string }[] {
    if (this.#core.currentPointer === NO_POINTER) return []
    return brokenRules(this.#core).map(({ id, states }) => ({ id, states }))
  }

  /** What page walks have cost so far. */
  walkCounts(): WalkCounts {
    const { walks } = this.#core
    return { misses: walks[WALKS.misses]!, paging: walks[WALKS.paging]!, nested: walks[WALKS.nested]! }
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
