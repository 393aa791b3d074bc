/** Exits of a virtual processor whose guest has VMX: of L1, which may ask for L2, and of L2, which may be L1's. */
import { assert, PAGE_SIZE, pageOf, type Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import { EXIT_CONTROLS, PIN_BASED, PRIMARY, SECONDARY } from '../../vmx/formats/controls.ts'
import {
  EPT_VIOLATION,
  EVENT_TYPE,
  INTERRUPTIBILITY,
  INTERRUPTION_VALID,
  interruptionInformation,
} from '../../vmx/formats/events.ts'
import { ENTRY_FAILURE, EXIT_REASON } from '../../vmx/formats/exit-reasons.ts'
import { INSTRUCTION_ERROR } from '../../vmx/formats/instruction-errors.ts'
import { MSR } from '../../vmx/formats/msrs.ts'
import type { Operation, OperationOf, Word64 } from '../../vmx/formats/operations.ts'
import { VMCS, type VmcsFieldName } from '../../vmx/formats/vmcs.ts'
import { CPUID_1_ECX } from '../cpuid.ts'
import { setWindow } from '../event-injection.ts'
import { type Answer, answerAtOnce, answerInTime, type ExitedVcpu, type VcpuBoard } from '../exit-handling.ts'
import { type Exit, readExit } from '../exit-record.ts'
import { guestResult } from '../types.ts'
import type { Vmcs } from '../vmcs.ts'
import { withinCapabilities } from './capabilities.ts'
import { checkControlsAndHost } from './entry-checks.ts'
import { walkGuestEpt } from './guest-ept.ts'
import { loadHostState } from './host-state.ts'
import { loadArea, storeArea, type VirtualMsrs } from './msr-areas.ts'
import { NestedCounters } from './nested-counters.ts'
import { isVmcsMsr } from './nested-msrs.ts'
import { isVmxOperation, type NestedVmx, type SavedNestedVmx } from './nested-vmx.ts'
import { belongsToL1 } from './routing.ts'
import { msrsOf } from './virtual-msrs.ts'
import { leaveAtOnce, merge, mergePinControls, saveGuest, secondaryControls } from './vmcs02.ts'
import type { Vmcs12 } from './vmcs12.ts'

const ACCESS_BITS = EPT_VIOLATION.read | EPT_VIOLATION.write | EPT_VIOLATION.fetch
const RIGHTS_SHIFT = 3
const RIGHTS_BITS = 7 << RIGHTS_SHIFT
const ABORT = { savingGuestMsrs: 1, loadingHostMsrs: 4 } as const
const EPT_VPID_CAP = { executeOnly: 1, gigabytePages: 1 << 17 } as const
/** Exit information that vmcs12 gets from vmcs02. */
const INFORMATION: readonly VmcsFieldName[] = [
  'exitQualification',
  'exitInterruptionInformation',
  'exitInterruptionErrorCode',
  'idtVectoringInformation',
  'idtVectoringErrorCode',
  'exitInstructionLength',
  'exitInstructionInformation',
  'guestLinearAddress',
  'guestPhysicalAddress',
]
type Overrides = Partial<Record<(typeof INFORMATION)[number], Word64>>

/** L1 runs now, and finds the exit in its VMCS. */
const TO_L1: Answer = { by: 'l1', result: guestResult('vmExit'), switched: true }

export type SavedNested = {
  readonly version: 2
  readonly leaving: boolean
  /** What {@link NestedVmx} is made from. */
  readonly vmx: SavedNestedVmx
  readonly counters: Saved
}

export class NestedExits {
  readonly vmx: NestedVmx
  readonly counters = new NestedCounters()
  readonly #vcpu: ExitedVcpu
  readonly #board: VcpuBoard
  readonly #msrs: VirtualMsrs
  /** L2 is to be left before its first instruction, for an interrupt of L1. */
  #leaving = false

  constructor(vmx: NestedVmx, vcpu: ExitedVcpu, board: VcpuBoard) {
    this.vmx = vmx
    this.#vcpu = vcpu
    this.#board = board
    this.#msrs = msrsOf(vmx, vcpu, board)
  }

  *handle(exit: Exit, operation: Operation | undefined): Software<Answer> {
    if (this.vmx.inL2) return yield* this.#fromL2(exit, operation)
    // An event may have come before the instruction, which then is not what exited.
    if (operation !== undefined && isVmxOperation(operation) && exit.reason === EXIT_REASON[operation.op]) {
      const entry = operation.op === 'vmlaunch' || operation.op === 'vmresume'
      return entry ? yield* this.#enterL2(operation) : this.vmx.instruction(operation)
    }
    return yield* this.#emulate(exit, operation)
  }

  /** What the hypervisor does for a guest, whichever of the two: as for any, with VMX on top. */
  *#emulate(exit: Exit, operation: Operation | undefined): Software<Answer> {
    const by = 'virtualMsr'
    if (operation?.op === 'rdmsr' && exit.reason === EXIT_REASON.rdmsr) {
      const value = this.#msrs.read(operation.msr)
      if (value !== undefined) return { by, result: guestResult('done', { low: value[0], high: value[1] }) }
    } else if (operation?.op === 'wrmsr' && exit.reason === EXIT_REASON.wrmsr) {
      const { msr, value } = operation
      const own = isVmcsMsr(msr) || msr === MSR.IA32_FEATURE_CONTROL
      if (own && this.#msrs.write(msr, value)) return { by, result: guestResult('done') }
    }
    const answer =
      answerAtOnce(exit, operation, this.#vcpu, this.#board) ??
      (yield* answerInTime(exit, operation, this.#vcpu, this.#board))
    if (operation?.op !== 'cpuid' || operation.leaf !== 1 || answer.result === undefined) return answer
    return { ...answer, result: { ...answer.result, ecx: (answer.result.ecx | CPUID_1_ECX.VMX) >>> 0 } }
  }

  // VM entries of L1.

  *#enterL2(operation: OperationOf<'vmlaunch' | 'vmresume'>): Software<Answer> {
    const { vmx } = this
    const refused = vmx.refusal(operation)
    if (refused !== undefined) return refused
    const vmcs12 = vmx.current
    if (vmcs12 === undefined) return vmx.instruction(operation)
    vmx.collect()
    const error = this.#entryError(vmcs12, operation.op === 'vmlaunch')
    if (error !== 0) return { by: 'nestedVmx', result: vmx.conclude(error) }
    if ((secondaryControls(vmcs12) & SECONDARY.enableVpid) !== 0) vmx.noteVpid(vmcs12)
    const { memory, vpid } = vmx
    const linkValid = vmx.isLinkValid(vmcs12)
    merge(vmcs12, vmx.vmcs01, vmx.vmcs02, { memory, eptRoot: vmx.eptRoot(vmcs12), vpid, linkValid })
    vmx.inL2 = true
    const failed = this.#loadMsrs(vmcs12)
    if (failed !== undefined) return failed
    this.#expectInterrupt(vmcs12)
    return yield* this.#launch(vmcs12)
  }

  /**
   * An interrupt waits for L1 as it enters L2: if L1 exits for interrupts L2 is left at once, by the VMX-preemption timer
   * of the processor (unless that of L1 has expired, which comes first); else when L2 may take it.
   */
  #expectInterrupt(vmcs12: Vmcs12): void {
    this.#leaving = false
    if (this.#vcpu.apic.deliverable < 0) return
    const { vmcs02 } = this.vmx
    if (!vmcs12.has('pinBasedControls', PIN_BASED.externalInterruptExiting)) {
      setWindow(vmcs02, true)
      return
    }
    const timer = vmcs12.has('pinBasedControls', PIN_BASED.activatePreemptionTimer)
    if (timer && vmcs12.read(VMCS.preemptionTimerValue) === 0) return
    leaveAtOnce(vmcs02)
    this.#leaving = true
  }

  #entryError(vmcs12: Vmcs12, launch: boolean): number {
    const { vmx } = this
    const blocking = vmx.vmcs01.read(VMCS.guestInterruptibilityState)
    if ((blocking & INTERRUPTIBILITY.blockingByMovSs) !== 0) return INSTRUCTION_ERROR.entryBlockedByMovSs
    if (launch && vmcs12.launched) return INSTRUCTION_ERROR.vmlaunchNonClear
    if (!launch && !vmcs12.launched) return INSTRUCTION_ERROR.vmresumeNonLaunched
    const shown = withinCapabilities(
      field => vmcs12.read(field),
      msr => vmx.capability(msr)!,
    )
    if (!shown) return INSTRUCTION_ERROR.entryInvalidControls
    return checkControlsAndHost(vmcs12, vmx.scratch, vmx.processor)
  }

  /**
   * "Loading MSRs", which comes after the checks of guest state: the processor is given an area that fails, so it tells
   * first whether the state is in order. Then L1's area is loaded here.
   */
  #loadMsrs(vmcs12: Vmcs12): Answer | undefined {
    const { vmcs02, processor, memory, scratch } = this.vmx
    if (vmcs12.read(VMCS.entryMsrLoadCount) === 0) return undefined
    // A VMCS begins with its revision identifier, which is no MSR.
    vmcs02.write(VMCS.entryMsrLoadCount, 1)
    vmcs02.write(VMCS.entryMsrLoadAddress, ...addressOf(scratch))
    const { outcome } = processor.port.execute({ op: vmcs02.entryOperation() })
    assert(outcome === 'vmExit', 'an area with a VMCS revision for an MSR fails')
    vmcs02.write(VMCS.entryMsrLoadCount, 0)
    if ((vmcs02.read(VMCS.exitReason) & 0xffff) !== EXIT_REASON.entryFailureMsrLoading)
      return this.#failEntry(vmcs12)
    const failed = loadArea('entryMsrLoad', vmcs12, memory, this.#msrs)
    if (failed === 0) return undefined
    return this.#failEntry(vmcs12, [(ENTRY_FAILURE | EXIT_REASON.entryFailureMsrLoading) >>> 0, failed])
  }

  /** The entry itself. */
  *#launch(vmcs12: Vmcs12): Software<Answer> {
    const { vmx } = this
    const { vmcs02 } = vmx
    const { outcome, vector, error } = vmx.processor.port.execute({ op: vmcs02.entryOperation() })
    assert(outcome === 'done' || outcome === 'vmExit', `vmcs02 is in order (${outcome}, error ${error})`)
    if (outcome === 'vmExit' && vmcs02.read(VMCS.exitReason) >= ENTRY_FAILURE) return this.#failEntry(vmcs12)
    vmcs02.noteLaunched()
    vmcs12.launched = true
    this.counters.entry()
    const entered: Answer = { by: 'nestedVmx', result: guestResult('done', { vector }), switched: true }
    if (outcome === 'done') return { ...entered, entered: true }
    // Delivery of the injected event met something.
    const answer = yield* this.#fromL2(readExit(vmcs02, vmcs02.read(VMCS.exitReason)), undefined)
    return answer.result === undefined ? entered : answer
  }

  /** "VM-Entry Failures During or After Loading Guest State", as L1 sees them. */
  #failEntry(vmcs12: Vmcs12, told?: readonly [reason: number, qualification: number]): Answer {
    const { vmx } = this
    const { vmcs02 } = vmx
    const reason = told?.[0] ?? vmcs02.read(VMCS.exitReason)
    vmcs12.write(VMCS.exitReason, reason)
    vmcs12.write(
      VMCS.exitQualification,
      ...(told ? ([told[1], 0] as const) : vmcs02.read64(VMCS.exitQualification)),
    )
    this.counters.reflected(reason & 0xffff)
    this.#returnToL1(vmcs12, vmx.vmcs01)
    return TO_L1
  }

  // VM exits of L2.

  *#fromL2(exit: Exit, operation: Operation | undefined): Software<Answer> {
    const { vmx } = this
    const vmcs12 = vmx.current
    assert(vmcs12 !== undefined, 'L2 runs with a vmcs12')
    const ept = exit.reason === EXIT_REASON.eptViolation
    if (ept) {
      const answer = this.#violation(exit, vmcs12)
      if (typeof answer !== 'number') return answer
      // L1 lets L2 reach an address of L1's where the machine has no memory: a device of the machine answers.
      const moved = { ...exit, guestPhysicalAddress: answer }
      return yield* this.#own(moved, operation && at(operation, answer), vmcs12)
    }
    if (this.#leaving && exit.reason === EXIT_REASON.preemptionTimerExpired) {
      this.#leaving = false
      mergePinControls(vmcs12, vmx.vmcs02)
      this.counters.handled(exit.reason)
      return { by: 'interruptOfL1' }
    }
    if (belongsToL1(exit, operation, vmcs12, vmx.memory)) return this.#reflect(exit.reason, vmcs12)
    return yield* this.#own(exit, operation, vmcs12)
  }

  *#own(exit: Exit, operation: Operation | undefined, vmcs12: Vmcs12): Software<Answer> {
    this.counters.handled(exit.reason)
    const answer = yield* this.#emulate(exit, operation)
    if (answer.exception === undefined) {
      if (answer.result === undefined) this.#injectAgain()
      else if (vmcs12.has('primaryProcessorBasedControls', PRIMARY.monitorTrapFlag)) this.#oweTrap()
      return answer
    }
    const { vector, error } = answer.exception
    if (!vmcs12.has('exceptionBitmap', (1 << vector) >>> 0)) return answer
    // The fault is L2's, and L1 asked for such faults.
    return this.#reflect(EXIT_REASON.exceptionOrNmi, vmcs12, {
      exitQualification: [0, 0],
      exitInterruptionInformation: [
        interruptionInformation(EVENT_TYPE.hardwareException, vector, error !== undefined),
        0,
      ],
      exitInterruptionErrorCode: [error ?? 0, 0],
    })
  }

  /** What EPT12 says of the address. A number: what it is for L1, where EPT01 maps nothing. */
  #violation(exit: Exit, vmcs12: Vmcs12): Answer | number {
    const { vmx } = this
    const address = exit.guestPhysicalAddress
    if ((secondaryControls(vmcs12) & SECONDARY.enableEpt) === 0) return address
    const page = pageOf(address)
    const wanted = exit.qualification & ACCESS_BITS
    const found = walkGuestEpt(vmx.memory, vmx.eptRoot12(vmcs12), page, wanted, {
      addressWidth: vmx.addressWidth,
      ...this.#eptFeatures(),
    })
    if (found.kind === 'misconfiguration') {
      return this.#reflect(EXIT_REASON.eptMisconfiguration, vmcs12, { exitQualification: [0, 0] })
    }
    if (found.kind === 'violation') {
      // What the shadow permitted is not what L1's own tables permit.
      const told = (exit.qualification & ~RIGHTS_BITS) | (found.rights << RIGHTS_SHIFT)
      return this.#reflect(exit.reason, vmcs12, { exitQualification: [told >>> 0, 0] })
    }
    if (!vmx.ept.add(page, found, wanted, vmx.processor)) {
      return found.page * PAGE_SIZE + (address % PAGE_SIZE)
    }
    this.counters.handled(exit.reason)
    this.#injectAgain()
    return { by: 'shadowEpt' }
  }

  #eptFeatures(): { executeOnly: boolean; gigabytePages: boolean } {
    const [low] = this.vmx.capability(MSR.IA32_VMX_EPT_VPID_CAP)!
    return {
      executeOnly: (low & EPT_VPID_CAP.executeOnly) !== 0,
      gigabytePages: (low & EPT_VPID_CAP.gigabytePages) !== 0,
    }
  }

  /** An exit that L1 does not learn of interrupted the delivery of an event: it is injected again. */
  #injectAgain(): void {
    const { vmcs02 } = this.vmx
    const vectoring = vmcs02.read(VMCS.idtVectoringInformation)
    if ((vectoring & INTERRUPTION_VALID) === 0) return
    vmcs02.write(VMCS.entryInterruptionInformation, vectoring)
    vmcs02.write(VMCS.entryExceptionErrorCode, vmcs02.read(VMCS.idtVectoringErrorCode))
    vmcs02.write(VMCS.entryInstructionLength, vmcs02.read(VMCS.exitInstructionLength))
  }

  /** "Monitor Trap Flag": L2 finished an operation here, after which L1 wants an exit. */
  #oweTrap(): void {
    this.vmx.vmcs02.write(VMCS.entryInterruptionInformation, interruptionInformation(EVENT_TYPE.other, 0))
  }

  /** The exit is L1's. */
  #reflect(reason: number, vmcs12: Vmcs12, overrides: Overrides = {}): Answer {
    const { vmx } = this
    const { vmcs02, memory } = vmx
    vmcs12.write(VMCS.exitReason, reason)
    for (const name of INFORMATION)
      vmcs12.write(VMCS[name], ...(overrides[name] ?? vmcs02.read64(VMCS[name])))
    const injected = vmcs12.read(VMCS.entryInterruptionInformation)
    vmcs12.write(VMCS.entryInterruptionInformation, injected & ~INTERRUPTION_VALID)
    saveGuest(vmcs12, vmcs02)
    this.counters.reflected(reason)
    if (storeArea(vmcs12, memory, this.#msrs)) this.#returnToL1(vmcs12, vmcs02)
    else this.#abort(vmcs12, ABORT.savingGuestMsrs)
    return TO_L1
  }

  #returnToL1(vmcs12: Vmcs12, left: Vmcs): void {
    const { vmx } = this
    loadHostState(vmcs12, vmx.vmcs01, left)
    vmx.shadow?.fill(vmcs12)
    vmx.inL2 = false
    if (loadArea('exitMsrLoad', vmcs12, vmx.memory, this.#msrs) !== 0)
      this.#abort(vmcs12, ABORT.loadingHostMsrs)
  }

  /** "VMX Aborts". */
  #abort(vmcs12: Vmcs12, indicator: number): void {
    vmcs12.abort = indicator
    this.vmx.inL2 = false
    this.vmx.shutdown = true
  }

  /** Interrupt-window exiting of L2: for an interrupt that waits here, or because L1 asks for it. */
  openWindow(window: boolean): void {
    const own = this.vmx.current?.has('primaryProcessorBasedControls', PRIMARY.interruptWindowExiting)
    setWindow(this.vmx.vmcs02, window || (own ?? false))
  }

  save(): SavedNested {
    return { version: 2, leaving: this.#leaving, vmx: this.vmx.save(), counters: this.counters.save() }
  }

  /** What its parts were not made with. */
  load({ leaving, counters }: SavedNested): void {
    this.#leaving = leaving
    this.counters.load(counters)
  }

  // Interrupts of L1.

  /** An interrupt waits for L1 while L2 would run: if it exits for them, L1 runs now. False: it is L2 that takes it. */
  interruptL1(vector: number, acknowledge: () => void): boolean {
    const vmcs12 = this.vmx.current
    if (!this.vmx.inL2 || vmcs12 === undefined) return false
    if (!vmcs12.has('pinBasedControls', PIN_BASED.externalInterruptExiting)) return false
    const acknowledged = vmcs12.has('exitControls', EXIT_CONTROLS.acknowledgeInterruptOnExit)
    if (acknowledged) acknowledge()
    // What was to be injected again waits for L1 to do so.
    const { vmcs02 } = this.vmx
    const pending = vmcs02.read(VMCS.entryInterruptionInformation)
    const waiting = (pending & INTERRUPTION_VALID) === 0 ? 0 : pending
    vmcs02.write(VMCS.entryInterruptionInformation, 0)
    this.#reflect(EXIT_REASON.externalInterrupt, vmcs12, {
      exitQualification: [0, 0],
      exitInterruptionInformation: [
        acknowledged ? interruptionInformation(EVENT_TYPE.externalInterrupt, vector) : 0,
        0,
      ],
      idtVectoringInformation: [waiting, 0],
    })
    return true
  }
}

/** An access as if to another address. */
const at = (operation: Operation, address: number): Operation =>
  operation.op === 'read' || operation.op === 'write' ? { ...operation, address } : operation

const addressOf = ({ page }: Vmcs): Word64 => {
  const address = page * PAGE_SIZE
  return [address >>> 0, Math.floor(address / 2 ** 32)]
}
