/**
 * "vmcs02": the VMCS with which the processor really runs L2. Guest state and events are those of vmcs12; host state is
 * the hypervisor's; controls ask for the exits that either wants.
 */
import type { PageNumber } from '../../core/index.ts'
import { ENTRY_CONTROLS, EXIT_CONTROLS, PIN_BASED, PRIMARY, SECONDARY } from '../../vmx/formats/controls.ts'
import { CR0, CR4, EFER, MSR } from '../../vmx/formats/msrs.ts'
import type { Word64 } from '../../vmx/formats/operations.ts'
import { NO_VMCS, VMCS, type VmcsFieldName } from '../../vmx/formats/vmcs.ts'
import type { HostProcessor } from '../host-processor.ts'
import { eptPointer, type Vmcs } from '../vmcs.ts'
import type { GuestWords } from './guest-words.ts'
import { FIELDS, type Vmcs12 } from './vmcs12.ts'

/** Controls fields that pass as they are. */
const PASSED: readonly VmcsFieldName[] = [
  'exceptionBitmap',
  'pageFaultErrorCodeMask',
  'pageFaultErrorCodeMatch',
  'cr3TargetCount',
  'cr3TargetValue0',
  'cr3TargetValue1',
  'cr3TargetValue2',
  'cr3TargetValue3',
  'cr0GuestHostMask',
  'cr4GuestHostMask',
  'cr0ReadShadow',
  'cr4ReadShadow',
  'pleGap',
  'pleWindow',
  'xssExitingBitmap',
  'entryInterruptionInformation',
  'entryExceptionErrorCode',
  'entryInstructionLength',
]
const PDPTES = ['guestPdpte0', 'guestPdpte1', 'guestPdpte2', 'guestPdpte3'] as const
/** Guest state that passes only under conditions. */
const CONDITIONAL: readonly VmcsFieldName[] = [
  'vmcsLinkPointer',
  'guestPat',
  'guestEfer',
  'guestDr7',
  'guestDebugctl',
  'guestActivityState',
  'preemptionTimerValue',
  ...PDPTES,
]
const GUEST_STATE = FIELDS.filter(({ type, name }) => type === 'guestState' && !CONDITIONAL.includes(name))
/** Neither a VMCS nor "none": the entry check of the link pointer fails on it. */
const BAD_LINK: Word64 = [1, 0]
/** Not an activity state. */
const BAD_ACTIVITY = 4

const SAVED_ALWAYS =
  EXIT_CONTROLS.saveDebugControls |
  EXIT_CONTROLS.savePat |
  EXIT_CONTROLS.loadPat |
  EXIT_CONTROLS.saveEfer |
  EXIT_CONTROLS.loadEfer
const LOADED_ALWAYS = ENTRY_CONTROLS.loadDebugControls | ENTRY_CONTROLS.loadPat | ENTRY_CONTROLS.loadEfer

/**
 * Gives a VMCS its guest's own PAT, EFER and debug registers, and the processor's back to the host at VM exits: another
 * guest's, or L1's of L2, must not be seen.
 */
export function separateRegisters(vmcs: Vmcs, processor: HostProcessor): void {
  for (const [control, msr] of [
    ['Pat', MSR.IA32_PAT],
    ['Efer', MSR.IA32_EFER],
  ] as const) {
    const value = processor.readMsr(msr)
    vmcs.write(VMCS[`host${control}`], ...value)
    vmcs.write(VMCS[`guest${control}`], ...value)
  }
  vmcs.write(VMCS.exitControls, vmcs.read(VMCS.exitControls) | SAVED_ALWAYS)
  vmcs.write(VMCS.entryControls, vmcs.read(VMCS.entryControls) | LOADED_ALWAYS)
}

/** What the merge takes beside the VMCSs. */
export interface MergeContext {
  readonly memory: GuestWords
  /** Page of the highest table with which L2 runs. */
  readonly eptRoot: PageNumber
  /** The VPID that stands for every VPID of L1's. */
  readonly vpid: number
  /** The link pointer of vmcs12 names no VMCS, or one that it may name. */
  readonly linkValid: boolean
}

/** Fills vmcs02 for an entry of L2. What L1 has wrong in guest state stays wrong: the processor finds it. */
export function merge(vmcs12: Vmcs12, vmcs01: Vmcs, vmcs02: Vmcs, context: MergeContext): void {
  const secondary12 = secondaryControls(vmcs12)
  const primary12 = vmcs12.read(VMCS.primaryProcessorBasedControls)
  mergePinControls(vmcs12, vmcs02)
  // Ports and MSRs are virtual: each access comes here, and L1's bitmaps are looked at then.
  const bitmaps = PRIMARY.useIoBitmaps | PRIMARY.useMsrBitmaps
  const wanted = PRIMARY.hltExiting | PRIMARY.unconditionalIoExiting | PRIMARY.activateSecondaryControls
  vmcs02.write(VMCS.primaryProcessorBasedControls, (primary12 & ~bitmaps) | wanted)
  vmcs02.write(VMCS.secondaryProcessorBasedControls, secondary12 | SECONDARY.enableEpt)
  const { ia32eModeGuest } = ENTRY_CONTROLS
  const entry12 = vmcs12.read(VMCS.entryControls)
  const entry02 = vmcs02.read(VMCS.entryControls) & ~ia32eModeGuest
  vmcs02.write(VMCS.entryControls, entry02 | (entry12 & ia32eModeGuest))
  for (const name of PASSED) vmcs02.write(VMCS[name], ...vmcs12.read64(VMCS[name]))
  vmcs02.write(VMCS.tscOffset, ...sum(offset(vmcs12), offset(vmcs01)))
  vmcs02.write(VMCS.virtualProcessorIdentifier, context.vpid)
  vmcs02.write(VMCS.eptPointer, ...eptPointer(context.eptRoot))
  mergeGuestState(vmcs12, vmcs01, vmcs02, context)
}

/** Pin-based controls, and the VMX-preemption timer that one of them activates. */
export function mergePinControls(vmcs12: Vmcs12, vmcs02: Vmcs): void {
  vmcs02.write(
    VMCS.pinBasedControls,
    vmcs12.read(VMCS.pinBasedControls) | PIN_BASED.externalInterruptExiting | PIN_BASED.nmiExiting,
  )
  const timer = vmcs12.has('pinBasedControls', PIN_BASED.activatePreemptionTimer)
  const saveTimer = EXIT_CONTROLS.savePreemptionTimer
  const exits = vmcs02.read(VMCS.exitControls)
  vmcs02.write(VMCS.exitControls, timer ? exits | saveTimer : exits & ~saveTimer)
  if (timer) vmcs02.write(VMCS.preemptionTimerValue, vmcs12.read(VMCS.preemptionTimerValue))
}

/** The next entry is followed by a VM exit before the first instruction, though after the event that it injects. */
export function leaveAtOnce(vmcs02: Vmcs): void {
  const { activatePreemptionTimer } = PIN_BASED
  vmcs02.write(VMCS.pinBasedControls, vmcs02.read(VMCS.pinBasedControls) | activatePreemptionTimer)
  vmcs02.write(VMCS.exitControls, vmcs02.read(VMCS.exitControls) & ~EXIT_CONTROLS.savePreemptionTimer)
  vmcs02.write(VMCS.preemptionTimerValue, 0)
}

function mergeGuestState(vmcs12: Vmcs12, vmcs01: Vmcs, vmcs02: Vmcs, context: MergeContext): void {
  for (const { encoding } of GUEST_STATE) vmcs02.write(encoding, ...vmcs12.read64(encoding))
  const entry12 = vmcs12.read(VMCS.entryControls)
  /** What L1 does not load stays as L1 has it. */
  const from = (control: number): Vmcs12 | Vmcs => ((entry12 & control) !== 0 ? vmcs12 : vmcs01)
  vmcs02.write(VMCS.guestPat, ...from(ENTRY_CONTROLS.loadPat).read64(VMCS.guestPat))
  vmcs02.write(VMCS.guestDr7, ...from(ENTRY_CONTROLS.loadDebugControls).read64(VMCS.guestDr7))
  vmcs02.write(VMCS.guestDebugctl, ...from(ENTRY_CONTROLS.loadDebugControls).read64(VMCS.guestDebugctl))
  const efer = from(ENTRY_CONTROLS.loadEfer).read64(VMCS.guestEfer)
  vmcs02.write(
    VMCS.guestEfer,
    ...(from(ENTRY_CONTROLS.loadEfer) === vmcs12 ? efer : derivedEfer(vmcs12, efer)),
  )
  vmcs02.write(VMCS.vmcsLinkPointer, ...(context.linkValid ? NO_VMCS : BAD_LINK))
  const active = vmcs12.read(VMCS.guestActivityState) === 0
  vmcs02.write(VMCS.guestActivityState, active ? 0 : BAD_ACTIVITY)
  const ownTables = (secondaryControls(vmcs12) & SECONDARY.enableEpt) !== 0
  const table = vmcs12.read(VMCS.guestCr3) & ~0x1f
  for (const [i, name] of PDPTES.entries()) {
    const at = vmcs12.read64(VMCS.guestCr3)[1] * 2 ** 32 + (table >>> 0) + i * 8
    const loaded: Word64 = pagesWithPae(vmcs12)
      ? [context.memory.read(at), context.memory.read(at + 4)]
      : [0, 0]
    vmcs02.write(VMCS[name], ...(ownTables ? vmcs12.read64(VMCS[name]) : loaded))
  }
}

/** "Loading Guest Control Registers, Debug Registers, and MSRs": EFER that an entry does not load. */
function derivedEfer(vmcs12: Vmcs12, [low, high]: Word64): Word64 {
  const long = vmcs12.has('entryControls', ENTRY_CONTROLS.ia32eModeGuest)
  const changed = vmcs12.has('guestCr0', CR0.PG) ? EFER.LMA | EFER.LME : EFER.LMA
  return [((low & ~changed) | (long ? changed : 0)) >>> 0, high]
}

const pagesWithPae = (vmcs12: Vmcs12): boolean =>
  vmcs12.has('guestCr0', CR0.PG) &&
  vmcs12.has('guestCr4', CR4.PAE) &&
  !vmcs12.has('entryControls', ENTRY_CONTROLS.ia32eModeGuest)

/** Secondary controls of L1, 0 while they are not activated. */
export const secondaryControls = (vmcs12: Vmcs12): number =>
  vmcs12.has('primaryProcessorBasedControls', PRIMARY.activateSecondaryControls)
    ? vmcs12.read(VMCS.secondaryProcessorBasedControls)
    : 0

const offset = (vmcs: Vmcs | Vmcs12): Word64 =>
  (vmcs.read(VMCS.primaryProcessorBasedControls) & PRIMARY.useTscOffsetting) !== 0
    ? vmcs.read64(VMCS.tscOffset)
    : [0, 0]

const sum = (a: Word64, b: Word64): Word64 => {
  const low = a[0] + b[0]
  return [low >>> 0, (a[1] + b[1] + (low > 0xffff_ffff ? 1 : 0)) >>> 0]
}

/** "Saving Guest State", into vmcs12: what L1's exit controls ask for. */
export function saveGuest(vmcs12: Vmcs12, vmcs02: Vmcs): void {
  for (const { encoding } of GUEST_STATE) vmcs12.write(encoding, ...vmcs02.read64(encoding))
  const exit12 = vmcs12.read(VMCS.exitControls)
  const onRequest: readonly (readonly [number, VmcsFieldName])[] = [
    [EXIT_CONTROLS.savePat, 'guestPat'],
    [EXIT_CONTROLS.saveEfer, 'guestEfer'],
    [EXIT_CONTROLS.saveDebugControls, 'guestDr7'],
    [EXIT_CONTROLS.saveDebugControls, 'guestDebugctl'],
    [EXIT_CONTROLS.savePreemptionTimer, 'preemptionTimerValue'],
  ]
  for (const [control, name] of onRequest) {
    if ((exit12 & control) !== 0) vmcs12.write(VMCS[name], ...vmcs02.read64(VMCS[name]))
  }
  vmcs12.write(VMCS.guestActivityState, vmcs02.read(VMCS.guestActivityState))
  const { ia32eModeGuest } = ENTRY_CONTROLS
  const long = vmcs02.read(VMCS.entryControls) & ia32eModeGuest
  vmcs12.write(VMCS.entryControls, (vmcs12.read(VMCS.entryControls) & ~ia32eModeGuest) | long)
  if ((secondaryControls(vmcs12) & SECONDARY.enableEpt) === 0 || !pagesWithPae(vmcs12)) return
  for (const name of PDPTES) vmcs12.write(VMCS[name], ...vmcs02.read64(VMCS[name]))
}
