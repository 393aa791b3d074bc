/** What VMX the hypervisor shows to a guest: the processor's capability MSRs without what is not emulated for L2. */
import { ENTRY_CONTROLS, EXIT_CONTROLS, PIN_BASED, PRIMARY, SECONDARY } from '../../vmx/formats/controls.ts'
import { EPTP } from '../../vmx/formats/ept.ts'
import { MSR } from '../../vmx/formats/msrs.ts'
import type { Word64 } from '../../vmx/formats/operations.ts'
import { VMCS, type VmcsFieldName } from '../../vmx/formats/vmcs.ts'
import { HIGHEST_FIELD_INDEX, VMCS12_REVISION } from './vmcs12.ts'

/** Controls that L1 may not set: their structures lie in memory that the processor would reach without EPT. */
const HIDDEN = {
  pin: PIN_BASED.processPostedInterrupts,
  primary: PRIMARY.useTprShadow | PRIMARY.activateTertiaryControls,
  secondary:
    SECONDARY.virtualizeApicAccesses |
    SECONDARY.virtualizeX2apicMode |
    SECONDARY.apicRegisterVirtualization |
    SECONDARY.virtualInterruptDelivery |
    SECONDARY.enableVmFunctions |
    SECONDARY.vmcsShadowing |
    SECONDARY.enablePml |
    SECONDARY.eptViolationVe |
    SECONDARY.modeBasedExecuteControl |
    SECONDARY.useTscScaling,
  exit: EXIT_CONTROLS.loadPerfGlobalCtrl,
  entry:
    ENTRY_CONTROLS.loadPerfGlobalCtrl |
    ENTRY_CONTROLS.entryToSmm |
    ENTRY_CONTROLS.deactivateDualMonitorTreatment,
} as const

/** IA32_VMX_EPT_VPID_CAP: no 5-level walks, no accessed and dirty flags. */
const HIDDEN_EPT = (1 << 7) | (1 << 21)
/** IA32_VMX_MISC: no activity state but active, no VMWRITE of VM-exit information. */
const HIDDEN_MISC = (1 << 6) | (1 << 7) | (1 << 8) | (1 << 29)
const REVISION_BITS = 0x7fff_ffff

/** Capability MSRs whose bits 63:32 say which control bits may be 1. */
const MAY_BE_ONE: Readonly<Record<number, number>> = {
  [MSR.IA32_VMX_PINBASED_CTLS]: HIDDEN.pin,
  [MSR.IA32_VMX_TRUE_PINBASED_CTLS]: HIDDEN.pin,
  [MSR.IA32_VMX_PROCBASED_CTLS]: HIDDEN.primary,
  [MSR.IA32_VMX_TRUE_PROCBASED_CTLS]: HIDDEN.primary,
  [MSR.IA32_VMX_PROCBASED_CTLS2]: HIDDEN.secondary,
  [MSR.IA32_VMX_EXIT_CTLS]: HIDDEN.exit,
  [MSR.IA32_VMX_TRUE_EXIT_CTLS]: HIDDEN.exit,
  [MSR.IA32_VMX_ENTRY_CTLS]: HIDDEN.entry,
  [MSR.IA32_VMX_TRUE_ENTRY_CTLS]: HIDDEN.entry,
}

/** The capability MSRs of L1, from the processor's own. */
export function exposedCapability(msr: number, [low, high]: Word64): Word64 | undefined {
  const hidden = MAY_BE_ONE[msr]
  if (hidden !== undefined) return [low, (high & ~hidden) >>> 0]
  switch (msr) {
    case MSR.IA32_VMX_BASIC:
      return [((low & ~REVISION_BITS) | VMCS12_REVISION) >>> 0, high]
    case MSR.IA32_VMX_EPT_VPID_CAP:
      return [(low & ~HIDDEN_EPT) >>> 0, high]
    case MSR.IA32_VMX_MISC:
      return [(low & ~HIDDEN_MISC) >>> 0, high]
    case MSR.IA32_VMX_VMCS_ENUM:
      return [HIGHEST_FIELD_INDEX << 1, 0]
    case MSR.IA32_VMX_CR0_FIXED0:
    case MSR.IA32_VMX_CR0_FIXED1:
    case MSR.IA32_VMX_CR4_FIXED0:
    case MSR.IA32_VMX_CR4_FIXED1:
      return [low, high]
    default:
      return undefined
  }
}

/** The words of controls, and the capability MSR of each. */
const CONTROL_WORDS: readonly (readonly [VmcsFieldName, number])[] = [
  ['pinBasedControls', MSR.IA32_VMX_TRUE_PINBASED_CTLS],
  ['primaryProcessorBasedControls', MSR.IA32_VMX_TRUE_PROCBASED_CTLS],
  ['secondaryProcessorBasedControls', MSR.IA32_VMX_PROCBASED_CTLS2],
  ['exitControls', MSR.IA32_VMX_TRUE_EXIT_CTLS],
  ['entryControls', MSR.IA32_VMX_TRUE_ENTRY_CTLS],
]
const EPTP_LEVELS_4 = 3

/**
 * Whether controls of L1 stay within what it was shown. What is left to check of them is what the processor itself
 * checks, and is left to it.
 */
export function withinCapabilities(
  read: (field: number) => number,
  capability: (msr: number) => Word64,
): boolean {
  const secondaryOn = (read(VMCS.primaryProcessorBasedControls) & PRIMARY.activateSecondaryControls) !== 0
  for (const [name, msr] of CONTROL_WORDS) {
    if (name === 'secondaryProcessorBasedControls' && !secondaryOn) continue
    const value = read(VMCS[name])
    const [mustBe1, mayBe1] = capability(msr)
    if ((~value & mustBe1) !== 0 || (value & ~mayBe1) !== 0) return false
  }
  if (!secondaryOn || (read(VMCS.secondaryProcessorBasedControls) & SECONDARY.enableEpt) === 0) return true
  return exposedEptPointer(read(VMCS.eptPointer))
}

/** Whether an EPTP asks for nothing that is hidden. */
export const exposedEptPointer = (low: number): boolean =>
  (low & EPTP.AD.mask) === 0 && (low & EPTP.PWL.mask) >>> EPTP.PWL.shift === EPTP_LEVELS_4
