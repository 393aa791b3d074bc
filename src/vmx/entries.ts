/** "VM Entries": VMLAUNCH and VMRESUME, once the instruction itself was in order. */

import { enterApicVirtualization } from './apic-virtualization.ts'
import type { Core } from './core.ts'
import { CONTROL_RULES } from './entry-controls.ts'
import { GUEST_RULES } from './entry-guest-state.ts'
import { HOST_RULES } from './entry-host-state.ts'
import { type EntryRule, firstBroken } from './entry-rule.ts'
import { arrived, deliverEvent, isSoftwareEvent } from './event-delivery.ts'
import { CR0_KEPT, failEntry } from './exits.ts'
import { ENTRY_CONTROLS, PRIMARY, SECONDARY } from './formats/controls.ts'
import {
  EVENT_TYPE,
  eventTypeOf,
  eventVectorOf,
  INTERRUPTIBILITY,
  INTERRUPTION_DELIVERS_ERROR_CODE,
  INTERRUPTION_VALID,
} from './formats/events.ts'
import { EXIT_REASON } from './formats/exit-reasons.ts'
import { INSTRUCTION_ERROR } from './formats/instruction-errors.ts'
import { CR0, EFER, RFLAGS } from './formats/msrs.ts'
import { setPerfGlobalCtrl } from './msr-access.ts'
import { loadMsrArea } from './msr-areas.ts'
import { loadPdptes, PDPTE_WORDS, usesPdptes } from './pdptes.ts'
import { startPreemptionTimer } from './preemption-timer.ts'
import { REGISTER } from './registers.ts'
import { COPIED, GUEST_STATE, GUEST_STATE_WORDS, HEADER, LAUNCH_STATE, slot } from './vmcs-layout.ts'

const ENTRY_FIELD = slot('entryControls')
const INFORMATION = slot('entryInterruptionInformation')
const ERROR_CODE = slot('entryExceptionErrorCode')
const INSTRUCTION_LENGTH = slot('entryInstructionLength')
const PERF_GLOBAL_CTRL = slot('guestPerfGlobalCtrl')
const MSR_LOAD_ADDRESS = slot('entryMsrLoadAddress')
const MSR_LOAD_COUNT = slot('entryMsrLoadCount')

/** Flags that an interrupt gate clears. */
const CLEARED_BY_GATE = RFLAGS.IF | RFLAGS.TF | RFLAGS.RF | RFLAGS.NT | RFLAGS.VM

/**
 * Enters the guest of the current VMCS. Returns 0, or the VM-instruction error number. A late failure returns 0 too: it
 * has left through a VM exit by then.
 */
export function enterGuest(core: Core): number {
  if (firstBroken(CONTROL_RULES, core) !== undefined) return INSTRUCTION_ERROR.entryInvalidControls
  if (firstBroken(HOST_RULES, core) !== undefined) return INSTRUCTION_ERROR.entryInvalidHostState
  const nmiBlocked = (core.registers[REGISTER.interruptibility]! & INTERRUPTIBILITY.blockingByNmi) !== 0
  const broken = firstBroken(GUEST_RULES, core)
  if (broken !== undefined) {
    failEntry(core, EXIT_REASON.entryFailureGuestState, broken.qualification ?? 0, nmiBlocked)
    return 0
  }
  loadGuest(core)
  const failedMsr = loadMsrArea(core, MSR_LOAD_ADDRESS, MSR_LOAD_COUNT)
  if (failedMsr !== 0) {
    failEntry(core, EXIT_REASON.entryFailureMsrLoading, failedMsr, nmiBlocked)
    return 0
  }
  core.vmcs[HEADER.launchState] = LAUNCH_STATE.launched
  core.nonRoot = true
  core.monitorArmed = false
  core.trapPending = false
  if ((core.secondaryControls & SECONDARY.enableVpid) === 0) core.linear.invalidate(0, -1, false)
  startPreemptionTimer(core)
  enterApicVirtualization(core)
  const information = core.vmcs[INFORMATION]! | 0
  trace(core, information)
  if ((information & INTERRUPTION_VALID) !== 0) inject(core, information)
  return 0
}

/** "Loading Guest State". */
function loadGuest(core: Core): void {
  const { vmcs, registers } = core
  const controls = vmcs[ENTRY_FIELD]!
  const keptCr0 = registers[REGISTER.cr0]! & CR0_KEPT
  for (let i = COPIED; i < GUEST_STATE_WORDS; i++) registers[i] = vmcs[GUEST_STATE + i]!
  registers[REGISTER.cr0] = keptCr0 | (registers[REGISTER.cr0]! & ~CR0_KEPT)
  if ((controls & ENTRY_CONTROLS.loadDebugControls) !== 0) {
    registers[REGISTER.dr7] = (vmcs[GUEST_STATE + REGISTER.dr7]! & 0xffff_2fff) | 0x400
    registers[REGISTER.debugctl] = vmcs[GUEST_STATE + REGISTER.debugctl]!
  }
  if ((controls & ENTRY_CONTROLS.loadPerfGlobalCtrl) !== 0) {
    setPerfGlobalCtrl(core, vmcs[PERF_GLOBAL_CTRL]!, vmcs[PERF_GLOBAL_CTRL + 1]!)
  }
  if ((controls & ENTRY_CONTROLS.loadPat) !== 0) {
    registers[REGISTER.pat] = vmcs[GUEST_STATE + REGISTER.pat]!
    registers[REGISTER.pat + 1] = vmcs[GUEST_STATE + REGISTER.pat + 1]!
  }
  if ((controls & ENTRY_CONTROLS.loadEfer) !== 0) {
    registers[REGISTER.efer] = vmcs[GUEST_STATE + REGISTER.efer]!
  } else {
    const longMode = (controls & ENTRY_CONTROLS.ia32eModeGuest) !== 0
    const paging = (registers[REGISTER.cr0]! & CR0.PG) !== 0
    const changed = paging ? EFER.LMA | EFER.LME : EFER.LMA
    registers[REGISTER.efer] = (registers[REGISTER.efer]! & ~changed) | (longMode ? changed : 0)
  }
  if (!usesPdptes(core)) return
  if ((core.secondaryControls & SECONDARY.enableEpt) === 0) loadPdptes(core)
  else {
    for (let i = 0; i < PDPTE_WORDS; i++) {
      registers[REGISTER.pdpte0 + i] = vmcs[GUEST_STATE + REGISTER.pdpte0 + i]!
    }
  }
}

/**
 * "Event Injection". With events by the program, the guest's handler is whatever it does next: gates are interrupt gates,
 * and the frame is the program's own, so delivery touches flags and blocking, and no memory.
 */
function inject(core: Core, information: number): void {
  const { registers, vmcs, result } = core
  const type = eventTypeOf(information)
  const vector = eventVectorOf(information)
  if (type === EVENT_TYPE.other) {
    core.trapPending = true
    return
  }
  result.vector = vector
  if (core.eventsThroughIdt) {
    const hasError = (information & INTERRUPTION_DELIVERS_ERROR_CODE) !== 0
    const length = isSoftwareEvent(type) ? vmcs[INSTRUCTION_LENGTH]! : 0
    if (!deliverEvent(core, type, vector, hasError ? vmcs[ERROR_CODE]! & 0xffff : -1, length)) return
  } else {
    registers[REGISTER.rflags]! &= ~CLEARED_BY_GATE
    arrived(core, type)
  }
  if (core.guestHas(PRIMARY.monitorTrapFlag)) core.trapPending = true
}

/** Every rule that the current VMCS breaks, in the order of the checks: for display. */
export const brokenRules = (core: Core): EntryRule[] =>
  [...CONTROL_RULES, ...HOST_RULES, ...GUEST_RULES].filter(rule => !rule.holds(core))

function trace(core: Core, information: number): void {
  const { trace } = core.engine
  if (!trace.enabled) return
  const vector = eventVectorOf(information)
  const injecting = (information & INTERRUPTION_VALID) !== 0
  trace.emit(
    'vmEntry',
    `processor ${core.number}: VM entry${injecting ? `, injecting vector ${vector}` : ''}`,
    { processor: core.number, ...(injecting && { vector, type: eventTypeOf(information) }) },
  )
}
