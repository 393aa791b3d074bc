/** "VM Entries": VMLAUNCH and VMRESUME, once the instruction itself was in order. */

import type { Core } from './core.ts'
import { CONTROL_RULES } from './entry-controls.ts'
import { GUEST_RULES } from './entry-guest-state.ts'
import { HOST_RULES } from './entry-host-state.ts'
import { type EntryRule, firstBroken } from './entry-rule.ts'
import { CR0_KEPT, failEntry } from './exits.ts'
import { ENTRY_CONTROLS } from './formats/controls.ts'
import {
  ACTIVITY,
  EVENT_TYPE,
  eventTypeOf,
  eventVectorOf,
  INTERRUPTIBILITY,
  INTERRUPTION_VALID,
} from './formats/events.ts'
import { EXIT_REASON } from './formats/exit-reasons.ts'
import { INSTRUCTION_ERROR } from './formats/instruction-errors.ts'
import { CR0, EFER, RFLAGS } from './formats/msrs.ts'
import { loadMsrArea } from './msr-areas.ts'
import { REGISTER } from './registers.ts'
import { COPIED, GUEST_STATE, GUEST_STATE_WORDS, HEADER, LAUNCH_STATE, slot } from './vmcs-layout.ts'

const ENTRY_FIELD = slot('entryControls')
const INFORMATION = slot('entryInterruptionInformation')
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
  const information = core.vmcs[INFORMATION]! | 0
  if ((information & INTERRUPTION_VALID) !== 0) inject(core, information)
  trace(core, information)
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
  if ((controls & ENTRY_CONTROLS.loadPat) !== 0) {
    registers[REGISTER.pat] = vmcs[GUEST_STATE + REGISTER.pat]!
    registers[REGISTER.pat + 1] = vmcs[GUEST_STATE + REGISTER.pat + 1]!
  }
  if ((controls & ENTRY_CONTROLS.loadEfer) !== 0) {
    registers[REGISTER.efer] = vmcs[GUEST_STATE + REGISTER.efer]!
    return
  }
  const longMode = (controls & ENTRY_CONTROLS.ia32eModeGuest) !== 0
  const paging = (registers[REGISTER.cr0]! & CR0.PG) !== 0
  const changed = paging ? EFER.LMA | EFER.LME : EFER.LMA
  registers[REGISTER.efer] = (registers[REGISTER.efer]! & ~changed) | (longMode ? changed : 0)
}

/**
 * "Event Injection". The guest's handler is whatever the program does next: gates are interrupt gates, and the frame is
 * the program's own. So delivery touches flags and blocking, and no memory.
 */
function inject(core: Core, information: number): void {
  const { registers } = core
  registers[REGISTER.rflags]! &= ~CLEARED_BY_GATE
  registers[REGISTER.activity] = ACTIVITY.active
  registers[REGISTER.interruptibility]! &= ~(
    INTERRUPTIBILITY.blockingBySti | INTERRUPTIBILITY.blockingByMovSs
  )
  if (eventTypeOf(information) === EVENT_TYPE.nmi) {
    registers[REGISTER.interruptibility]! |= INTERRUPTIBILITY.blockingByNmi
  }
  core.result.vector = eventVectorOf(information)
}

/** Every rule that the current VMCS breaks, in the order of the checks: for display. */
export const brokenRules = (core: Core): EntryRule[] =>
  [...CONTROL_RULES, ...HOST_RULES, ...GUEST_RULES].filter(rule => !rule.holds(core))

function trace(core: Core, information: number): void {
  const { trace } = core.engine
  if (!trace.enabled) return
  const vector = core.result.vector
  const injecting = (information & INTERRUPTION_VALID) !== 0
  trace.emit(
    'vmEntry',
    `processor ${core.number}: VM entry${injecting ? `, injecting vector ${vector}` : ''}`,
    { processor: core.number, ...(injecting && { vector, type: eventTypeOf(information) }) },
  )
}
