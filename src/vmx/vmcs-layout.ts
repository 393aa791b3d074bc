/**
 * "Format of the VMCS Region": where this processor keeps each field in the 4-KiB region. The specification leaves the
 * layout to the processor; ours puts the guest-state area in one piece, in the order of the processor's own registers.
 */
import { assert } from '../core/index.ts'
import { ALLOWED } from './capabilities.ts'
import { ENTRY_CONTROLS, EXIT_CONTROLS, PIN_BASED, PRIMARY, SECONDARY, TERTIARY } from './formats/controls.ts'
import { VMCS, VMCS_FIELDS, type VmcsField, type VmcsFieldName } from './formats/vmcs.ts'

/** Words of the header: revision identifier, VMX-abort indicator, launch state. */
export const HEADER = { revision: 0, abort: 1, launchState: 2 } as const
/** Bit 31 of the first word: a shadow VMCS. */
export const SHADOW_VMCS = 0x8000_0000
export const LAUNCH_STATE = { clear: 0, launched: 1 } as const

const FIRST_FIELD = 16

/** "A field exists only if some control that uses it may be 1": the controls (as allowed bits), and their fields. */
const CONDITIONAL: readonly (readonly [number, ...VmcsFieldName[]])[] = [
  [ALLOWED.pinBased.mayBeOne & PIN_BASED.activatePreemptionTimer, 'preemptionTimerValue'],
  [
    ALLOWED.pinBased.mayBeOne & PIN_BASED.processPostedInterrupts,
    'postedInterruptNotificationVector',
    'postedInterruptDescriptorAddress',
  ],
  [ALLOWED.primary.mayBeOne & PRIMARY.useTprShadow, 'virtualApicAddress', 'tprThreshold'],
  [ALLOWED.primary.mayBeOne & PRIMARY.useIoBitmaps, 'ioBitmapA', 'ioBitmapB'],
  [ALLOWED.primary.mayBeOne & PRIMARY.useMsrBitmaps, 'msrBitmaps'],
  [ALLOWED.primary.mayBeOne & PRIMARY.activateSecondaryControls, 'secondaryProcessorBasedControls'],
  [ALLOWED.primary.mayBeOne & PRIMARY.activateTertiaryControls, 'tertiaryProcessorBasedControls'],
  [ALLOWED.tertiary.mayBeOne & TERTIARY.ipiVirtualization, 'lastPidPointerIndex', 'pidPointerTableAddress'],
  [
    ALLOWED.tertiary.mayBeOne & ~TERTIARY.ipiVirtualization,
    'hlatPrefixSize',
    'hlatPointer',
    'virtualTimerVector',
    'guestDeadlineShadow',
    'guestDeadline',
    'specCtrlMask',
    'specCtrlShadow',
    'lowPasidDirectoryAddress',
    'highPasidDirectoryAddress',
    'sharedEptPointer',
    'guestKeyId',
    'msrData',
  ],
  [ALLOWED.secondary.mayBeOne & SECONDARY.enableVpid, 'virtualProcessorIdentifier'],
  [
    ALLOWED.secondary.mayBeOne & SECONDARY.enableEpt,
    'eptPointer',
    'guestPhysicalAddress',
    'guestPdpte0',
    'guestPdpte1',
    'guestPdpte2',
    'guestPdpte3',
  ],
  [ALLOWED.secondary.mayBeOne & SECONDARY.virtualizeApicAccesses, 'apicAccessAddress'],
  [
    ALLOWED.secondary.mayBeOne & SECONDARY.virtualInterruptDelivery,
    'guestInterruptStatus',
    'eoiExitBitmap0',
    'eoiExitBitmap1',
    'eoiExitBitmap2',
    'eoiExitBitmap3',
  ],
  [ALLOWED.secondary.mayBeOne & SECONDARY.pauseLoopExiting, 'pleGap', 'pleWindow'],
  [ALLOWED.secondary.mayBeOne & SECONDARY.enableVmFunctions, 'vmFunctionControls', 'eptpListAddress'],
  [ALLOWED.secondary.mayBeOne & SECONDARY.vmcsShadowing, 'vmreadBitmapAddress', 'vmwriteBitmapAddress'],
  [ALLOWED.secondary.mayBeOne & SECONDARY.enableEnclsExiting, 'enclsExitingBitmap'],
  [ALLOWED.secondary.mayBeOne & SECONDARY.enableEnclvExiting, 'enclvExitingBitmap'],
  [ALLOWED.secondary.mayBeOne & SECONDARY.enablePconfig, 'pconfigExitingBitmap'],
  [ALLOWED.secondary.mayBeOne & SECONDARY.enablePml, 'pmlAddress', 'pmlIndex'],
  [
    ALLOWED.secondary.mayBeOne & SECONDARY.eptViolationVe,
    'virtualizationExceptionInformationAddress',
    'eptpIndex',
  ],
  [ALLOWED.secondary.mayBeOne & SECONDARY.enableXsavesXrstors, 'xssExitingBitmap'],
  [ALLOWED.secondary.mayBeOne & SECONDARY.subPageWritePermissions, 'subPagePermissionTablePointer'],
  [ALLOWED.secondary.mayBeOne & SECONDARY.useTscScaling, 'tscMultiplier'],
  [ALLOWED.secondary.mayBeOne & SECONDARY.instructionTimeout, 'instructionTimeoutControl'],
  [
    ALLOWED.exit.mayBeOne & EXIT_CONTROLS.activateSecondaryControls,
    'secondaryExitControls',
    'injectedEventData',
    'originalEventData',
    'guestFredConfig',
    'guestFredRsp1',
    'guestFredRsp2',
    'guestFredRsp3',
    'guestFredStackLevels',
    'guestFredSsp1',
    'guestFredSsp2',
    'guestFredSsp3',
    'hostFredConfig',
    'hostFredRsp1',
    'hostFredRsp2',
    'hostFredRsp3',
    'hostFredStackLevels',
    'hostFredSsp1',
    'hostFredSsp2',
    'hostFredSsp3',
    'guestSpecCtrl',
    'hostSpecCtrl',
  ],
  [
    (ALLOWED.exit.mayBeOne & (EXIT_CONTROLS.savePat | EXIT_CONTROLS.loadPat)) |
      (ALLOWED.entry.mayBeOne & ENTRY_CONTROLS.loadPat),
    'guestPat',
    'hostPat',
  ],
  [
    (ALLOWED.exit.mayBeOne & (EXIT_CONTROLS.saveEfer | EXIT_CONTROLS.loadEfer)) |
      (ALLOWED.entry.mayBeOne & ENTRY_CONTROLS.loadEfer),
    'guestEfer',
    'hostEfer',
  ],
  [ALLOWED.entry.mayBeOne & ENTRY_CONTROLS.loadPerfGlobalCtrl, 'guestPerfGlobalCtrl', 'hostPerfGlobalCtrl'],
  [ALLOWED.entry.mayBeOne & ENTRY_CONTROLS.loadBndcfgs, 'guestBndcfgs'],
  [ALLOWED.entry.mayBeOne & ENTRY_CONTROLS.loadRtitCtl, 'guestRtitCtl'],
  [ALLOWED.entry.mayBeOne & ENTRY_CONTROLS.loadLbrCtl, 'guestLbrCtl'],
  [ALLOWED.entry.mayBeOne & ENTRY_CONTROLS.loadPkrs, 'guestPkrs', 'hostPkrs'],
  [ALLOWED.entry.mayBeOne & ENTRY_CONTROLS.loadUinv, 'guestUinv'],
  [
    ALLOWED.entry.mayBeOne & ENTRY_CONTROLS.loadCetState,
    'guestSCet',
    'guestSsp',
    'guestInterruptSspTable',
    'hostSCet',
    'hostSsp',
    'hostInterruptSspTable',
  ],
]

const absent = new Set(CONDITIONAL.flatMap(([allowed, ...names]) => (allowed === 0 ? names : [])))

/** The fields of this processor's VMCS. */
export const EXISTING_FIELDS: readonly VmcsField[] = VMCS_FIELDS.filter(({ name }) => !absent.has(name))

/** Highest index (bits 9:1) of an existing field, for IA32_VMX_VMCS_ENUM. */
export const HIGHEST_FIELD_INDEX = Math.max(
  ...EXISTING_FIELDS.map(({ encoding }) => (encoding >>> 1) & 0x1ff),
)

const wide = ({ width }: VmcsField): boolean => width === 64 || width === 'natural'

/** Word of each encoding (of its bits 31:0; "high" encodings name the word of bits 63:32), 0 where no field exists. */
const SLOTS = new Uint16Array(0x8000)
let next = FIRST_FIELD
const place = (fields: readonly VmcsField[]): void => {
  for (const field of fields) {
    SLOTS[field.encoding] = next++
    if (!wide(field)) continue
    if (field.width === 64) SLOTS[field.encoding + 1] = next
    next++
  }
}

/** Guest-state fields that are no registers, or are saved and loaded only where a control says so. */
const CONTROLLED: readonly VmcsFieldName[] = [
  'vmcsLinkPointer',
  'guestSmbase',
  'guestPdpte0',
  'guestPdpte1',
  'guestPdpte2',
  'guestPdpte3',
  'guestDr7',
  'guestDebugctl',
  'guestPat',
  'guestEfer',
  'guestPerfGlobalCtrl',
  'guestInterruptStatus',
  'pmlIndex',
  'preemptionTimerValue',
]

place(EXISTING_FIELDS.filter(({ type }) => type !== 'guestState'))
/** First word of the guest-state area. */
export const GUEST_STATE = next
place(EXISTING_FIELDS.filter(({ name }) => CONTROLLED.includes(name)))
/** Among the registers: first word of those that every VM entry loads and every VM exit saves. */
export const COPIED = next - GUEST_STATE
place(EXISTING_FIELDS.filter(({ name, type }) => type === 'guestState' && !CONTROLLED.includes(name)))
/** Length of the guest-state area in words. */
export const GUEST_STATE_WORDS = next - GUEST_STATE
assert(next <= 1024, 'the VMCS fits its 4-KiB region')

/** Word of an encoding in the region, or 0 if this processor has no such field. Any number may be asked for. */
export const slotOf = (encoding: number): number =>
  encoding >= 0 && encoding < SLOTS.length ? SLOTS[encoding]! : 0

/** Word of a field that must exist. A 64-bit or natural-width field goes on in the next word. */
export function slot(name: VmcsFieldName): number {
  const found = slotOf(VMCS[name])
  assert(found !== 0, `this processor has the VMCS field ${name}`)
  return found
}

/** Word of a guest-state field among the processor's registers, which lie as the guest-state area does. */
export const registerIndex = (name: VmcsFieldName): number => slot(name) - GUEST_STATE
