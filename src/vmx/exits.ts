/** "VM Exits": recording why, saving the guest, loading the host. */
import { hex, hex64 } from '../core/index.ts'
import type { Core } from './core.ts'
import type { ExitInformation } from './exit-information.ts'
import { ENTRY_CONTROLS, EXIT_CONTROLS, PIN_BASED, SECONDARY } from './formats/controls.ts'
import { ACTIVITY, INTERRUPTIBILITY, INTERRUPTION_VALID } from './formats/events.ts'
import { ENTRY_FAILURE, exitReasonName } from './formats/exit-reasons.ts'
import { CR0, CR4, EFER, RFLAGS } from './formats/msrs.ts'
import { setPerfGlobalCtrl } from './msr-access.ts'
import { loadMsrArea, storeMsrArea } from './msr-areas.ts'
import { loadPdptes, PDPTE_WORDS, usesPdptes } from './pdptes.ts'
import { preemptionTimerLeft } from './preemption-timer.ts'
import { loadFlatSegments, REGISTER, SEGMENTS } from './registers.ts'
import { COPIED, GUEST_STATE, GUEST_STATE_WORDS, HEADER, slot } from './vmcs-layout.ts'

const REASON = slot('exitReason')
const QUALIFICATION = slot('exitQualification')
const INTERRUPTION = slot('exitInterruptionInformation')
const INTERRUPTION_ERROR = slot('exitInterruptionErrorCode')
const IDT_VECTORING = slot('idtVectoringInformation')
const IDT_VECTORING_ERROR = slot('idtVectoringErrorCode')
const INSTRUCTION_LENGTH = slot('exitInstructionLength')
const INSTRUCTION_INFORMATION = slot('exitInstructionInformation')
const GUEST_PHYSICAL = slot('guestPhysicalAddress')
const GUEST_LINEAR = slot('guestLinearAddress')
const ENTRY_INTERRUPTION = slot('entryInterruptionInformation')
const ENTRY_FIELD = slot('entryControls')
const EXIT_FIELD = slot('exitControls')
const HOST_CR0 = slot('hostCr0')
const HOST_CR4 = slot('hostCr4')
const HOST_PAT = slot('hostPat')
const HOST_EFER = slot('hostEfer')
const HOST_PERF_GLOBAL_CTRL = slot('hostPerfGlobalCtrl')
const TIMER_VALUE = slot('preemptionTimerValue')
const HOST_SYSENTER_CS = slot('hostSysenterCs')

const STORE_ADDRESS = slot('exitMsrStoreAddress')
const STORE_COUNT = slot('exitMsrStoreCount')
const LOAD_ADDRESS = slot('exitMsrLoadAddress')
const LOAD_COUNT = slot('exitMsrLoadCount')

/** 64-bit registers that come from the host-state area: [register, field]. */
const HOST_WIDE: readonly (readonly [number, number])[] = [
  [REGISTER.cr3, slot('hostCr3')],
  [REGISTER.rsp, slot('hostRsp')],
  [REGISTER.rip, slot('hostRip')],
  [REGISTER.fsBase, slot('hostFsBase')],
  [REGISTER.gsBase, slot('hostGsBase')],
  [REGISTER.trBase, slot('hostTrBase')],
  [REGISTER.gdtrBase, slot('hostGdtrBase')],
  [REGISTER.idtrBase, slot('hostIdtrBase')],
  [REGISTER.sysenterEsp, slot('hostSysenterEsp')],
  [REGISTER.sysenterEip, slot('hostSysenterEip')],
]
const HOST_SELECTORS: readonly (readonly [number, number])[] = (
  ['Es', 'Cs', 'Ss', 'Ds', 'Fs', 'Gs', 'Tr'] as const
).map(name => [SEGMENTS.find(segment => segment.name === name)!.selector, slot(`host${name}Selector`)])

/** 64-bit registers that an exit saves only if its control says so: [control, register]. */
const SAVED_ON_REQUEST: readonly (readonly [number, number])[] = [
  [EXIT_CONTROLS.saveDebugControls, REGISTER.dr7],
  [EXIT_CONTROLS.saveDebugControls, REGISTER.debugctl],
  [EXIT_CONTROLS.savePat, REGISTER.pat],
  [EXIT_CONTROLS.saveEfer, REGISTER.efer],
]

/** CR0 bits that VM entries and exits leave alone: ET, 15:6, 17, 28:19, NW and CD. */
export const CR0_KEPT = (CR0.ET | CR0.NW | CR0.CD | 0x1ffa_ffc0) >>> 0

/** VMX-abort indicators. */
const ABORT = { savingGuestMsrs: 1, hostPdptes: 2, loadingHostMsrs: 4, longModeGuest: 6 } as const

/** Leaves the guest for the host, with what `core.exit` holds. `nmi`: an NMI was the cause, so further ones are blocked. */
export function vmExit(core: Core, reason: number, nmi = false): void {
  const { vmcs, exit: information } = core
  vmcs[REASON] = reason
  vmcs[QUALIFICATION] = information.qualification[0]!
  vmcs[QUALIFICATION + 1] = information.qualification[1]!
  vmcs[INTERRUPTION] = information.interruption
  vmcs[INTERRUPTION_ERROR] = information.errorCode
  vmcs[IDT_VECTORING] = information.vectoring
  vmcs[IDT_VECTORING_ERROR] = information.vectoringErrorCode
  vmcs[INSTRUCTION_LENGTH] = information.instructionLength
  vmcs[INSTRUCTION_INFORMATION] = information.instructionInformation
  if (information.hasAddress) {
    vmcs[GUEST_PHYSICAL] = information.address[0]!
    vmcs[GUEST_PHYSICAL + 1] = information.address[1]!
  }
  if (information.hasLinear) {
    vmcs[GUEST_LINEAR] = information.linear[0]!
    vmcs[GUEST_LINEAR + 1] = information.linear[1]!
  }
  vmcs[ENTRY_INTERRUPTION]! &= ~INTERRUPTION_VALID
  saveGuest(core, information)
  information.clear()
  core.result.outcome = 'vmExit'
  // Without virtual NMIs, what the guest's state calls blocking by NMI is the processor's own, which an exit leaves.
  const blocked = (core.registers[REGISTER.interruptibility]! & INTERRUPTIBILITY.blockingByNmi) !== 0
  const kept = blocked && (core.pinControls & PIN_BASED.virtualNmis) === 0
  if (storeMsrArea(core, STORE_ADDRESS, STORE_COUNT)) loadHost(core, nmi || kept)
  else abort(core, ABORT.savingGuestMsrs)
  trace(core, reason)
}

/** "VM-Entry Failures During or After Loading Guest State": of the exit information only reason and qualification. */
export function failEntry(core: Core, basicReason: number, qualification: number, nmiBlocked: boolean): void {
  const { vmcs } = core
  const reason = (ENTRY_FAILURE | basicReason) >>> 0
  vmcs[REASON] = reason
  vmcs[QUALIFICATION] = qualification
  vmcs[QUALIFICATION + 1] = 0
  core.result.outcome = 'vmExit'
  loadHost(core, nmiBlocked)
  trace(core, reason)
}

/** "Saving Guest State". */
function saveGuest(core: Core, information: ExitInformation): void {
  const { vmcs, registers } = core
  if (information.resume) registers[REGISTER.rflags]! |= RFLAGS.RF
  // Between two operations RF stays what it was: a fault's handler may just have returned.
  else if (!information.keepsPendingDebug) registers[REGISTER.rflags]! &= ~RFLAGS.RF
  const byMovSs = (registers[REGISTER.interruptibility]! & INTERRUPTIBILITY.blockingByMovSs) !== 0
  if (!byMovSs && !information.keepsPendingDebug) {
    registers[REGISTER.pendingDebug] = 0
    registers[REGISTER.pendingDebug + 1] = 0
  }
  for (let i = COPIED; i < GUEST_STATE_WORDS; i++) vmcs[GUEST_STATE + i] = registers[i]!
  const controls = vmcs[EXIT_FIELD]!
  for (let i = 0; i < SAVED_ON_REQUEST.length; i++) {
    const row = SAVED_ON_REQUEST[i]!
    const control = row[0]
    const register = row[1]
    if ((controls & control) === 0) continue
    vmcs[GUEST_STATE + register] = registers[register]!
    vmcs[GUEST_STATE + register + 1] = registers[register + 1]!
  }
  if ((controls & EXIT_CONTROLS.savePreemptionTimer) !== 0) vmcs[TIMER_VALUE] = preemptionTimerLeft(core)
  if (usesPdptes(core) && (core.secondaryControls & SECONDARY.enableEpt) !== 0) {
    for (let i = 0; i < PDPTE_WORDS; i++) {
      vmcs[GUEST_STATE + REGISTER.pdpte0 + i] = registers[REGISTER.pdpte0 + i]!
    }
  }
  if (core.ia32eMode) vmcs[ENTRY_FIELD]! |= ENTRY_CONTROLS.ia32eModeGuest
  else vmcs[ENTRY_FIELD]! &= ~ENTRY_CONTROLS.ia32eModeGuest
}

/** "Loading Host State". */
function loadHost(core: Core, nmiBlocked: boolean): void {
  const { vmcs, registers } = core
  const controls = vmcs[EXIT_FIELD]!
  const long = (controls & EXIT_CONTROLS.hostAddressSpaceSize) !== 0
  if (long === false && core.ia32eMode) {
    // The controls were changed behind the processor's back: a guest in IA-32e mode cannot leave to a 32-bit host.
    abort(core, ABORT.longModeGuest)
    return
  }
  registers[REGISTER.cr0] = (registers[REGISTER.cr0]! & CR0_KEPT) | (vmcs[HOST_CR0]! & ~CR0_KEPT)
  registers[REGISTER.cr4] = long ? vmcs[HOST_CR4]! | CR4.PAE : vmcs[HOST_CR4]! & ~CR4.PCIDE
  for (let i = 0; i < HOST_WIDE.length; i++) {
    const register = HOST_WIDE[i]![0]
    const field = HOST_WIDE[i]![1]
    registers[register] = vmcs[field]!
    registers[register + 1] = vmcs[field + 1]!
  }
  registers[REGISTER.sysenterCs] = vmcs[HOST_SYSENTER_CS]!
  registers[REGISTER.dr7] = 0x400
  registers[REGISTER.dr7 + 1] = 0
  registers[REGISTER.debugctl] = 0
  registers[REGISTER.debugctl + 1] = 0
  if ((controls & EXIT_CONTROLS.loadPat) !== 0) {
    registers[REGISTER.pat] = vmcs[HOST_PAT]!
    registers[REGISTER.pat + 1] = vmcs[HOST_PAT + 1]!
  }
  if ((controls & EXIT_CONTROLS.loadPerfGlobalCtrl) !== 0) {
    setPerfGlobalCtrl(core, vmcs[HOST_PERF_GLOBAL_CTRL]!, vmcs[HOST_PERF_GLOBAL_CTRL + 1]!)
  }
  if ((controls & EXIT_CONTROLS.loadEfer) !== 0) registers[REGISTER.efer] = vmcs[HOST_EFER]!
  if (long) registers[REGISTER.efer]! |= EFER.LMA | EFER.LME
  else registers[REGISTER.efer]! &= ~(EFER.LMA | EFER.LME)
  for (let i = 0; i < HOST_SELECTORS.length; i++) {
    registers[HOST_SELECTORS[i]![0]] = vmcs[HOST_SELECTORS[i]![1]]!
  }
  loadFlatSegments(registers, long)
  registers[REGISTER.gdtrLimit] = 0xffff
  registers[REGISTER.idtrLimit] = 0xffff
  registers[REGISTER.rflags] = RFLAGS.fixed1
  registers[REGISTER.rflags + 1] = 0
  registers[REGISTER.activity] = ACTIVITY.active
  registers[REGISTER.interruptibility] = nmiBlocked ? INTERRUPTIBILITY.blockingByNmi : 0
  registers[REGISTER.pendingDebug] = 0
  registers[REGISTER.pendingDebug + 1] = 0
  if ((core.secondaryControls & SECONDARY.enableVpid) === 0) core.linear.invalidate(0, -1, false)
  core.nonRoot = false
  core.monitorArmed = false
  core.trapPending = false
  core.timerRuns = false
  if (usesPdptes(core) && !loadPdptes(core)) abort(core, ABORT.hostPdptes)
  else if (loadMsrArea(core, LOAD_ADDRESS, LOAD_COUNT) !== 0) abort(core, ABORT.loadingHostMsrs)
}

/** "VMX Aborts": the processor shuts down; the indicator in the VMCS region says why. */
function abort(core: Core, indicator: number): void {
  core.vmcs[HEADER.abort] = indicator
  core.nonRoot = false
  core.shutdown = true
  core.result.outcome = 'shutdown'
}

function trace(core: Core, reason: number): void {
  const { trace } = core.engine
  if (!trace.enabled) return
  const { vmcs } = core
  const name = exitReasonName(reason) ?? 'unassigned'
  const failed = reason >= ENTRY_FAILURE
  trace.emit('vmExit', `processor ${core.number}: ${failed ? 'VM entry failed' : 'VM exit'}, ${name}`, {
    processor: core.number,
    reason: hex(reason),
    name,
    qualification: hex64(vmcs[QUALIFICATION]!, vmcs[QUALIFICATION + 1]!),
    vmcs: hex(core.currentPointer),
  })
}
