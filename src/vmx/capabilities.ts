/**
 * "VMX Capability Reporting Facility": what this processor can do, and the rule that tells which control values are
 * legal. Only controls whose effects the core has may be set.
 */
import { DEFAULT1, ENTRY_CONTROLS, EXIT_CONTROLS, PIN_BASED, PRIMARY, SECONDARY } from './formats/controls.ts'
import { MSR } from './formats/msrs.ts'

/** What differs between processors. */
export interface ProcessorCapabilities {
  /** MAXPHYADDR, bits: 36 to 52. */
  readonly physicalAddressWidth: number
}

export const DEFAULT_CAPABILITIES: ProcessorCapabilities = { physicalAddressWidth: 46 }

/** Allowed settings of a control word: bits that must be 1, bits that may be 1. */
export interface AllowedSettings {
  readonly mustBeOne: number
  readonly mayBeOne: number
}

const PIN_MAY = DEFAULT1.pinBased | PIN_BASED.externalInterruptExiting | PIN_BASED.nmiExiting
const PRIMARY_MAY =
  DEFAULT1.primary |
  PRIMARY.interruptWindowExiting |
  PRIMARY.hltExiting |
  PRIMARY.unconditionalIoExiting |
  PRIMARY.useIoBitmaps |
  PRIMARY.useMsrBitmaps |
  PRIMARY.pauseExiting |
  PRIMARY.activateSecondaryControls
const SECONDARY_MAY = SECONDARY.enableEpt | SECONDARY.unrestrictedGuest
const EXIT_MAY =
  DEFAULT1.exit |
  EXIT_CONTROLS.hostAddressSpaceSize |
  EXIT_CONTROLS.acknowledgeInterruptOnExit |
  EXIT_CONTROLS.savePat |
  EXIT_CONTROLS.loadPat |
  EXIT_CONTROLS.saveEfer |
  EXIT_CONTROLS.loadEfer
const ENTRY_MAY =
  DEFAULT1.entry | ENTRY_CONTROLS.ia32eModeGuest | ENTRY_CONTROLS.loadPat | ENTRY_CONTROLS.loadEfer

/** The TRUE capability MSRs free these default-1 bits. */
const FREED_PRIMARY = PRIMARY.cr3LoadExiting | PRIMARY.cr3StoreExiting
const FREED_DEBUG = EXIT_CONTROLS.saveDebugControls

export const ALLOWED = {
  pinBased: { mustBeOne: DEFAULT1.pinBased, mayBeOne: PIN_MAY },
  primary: { mustBeOne: DEFAULT1.primary & ~FREED_PRIMARY, mayBeOne: PRIMARY_MAY },
  secondary: { mustBeOne: 0, mayBeOne: SECONDARY_MAY },
  exit: { mustBeOne: DEFAULT1.exit & ~FREED_DEBUG, mayBeOne: EXIT_MAY },
  entry: { mustBeOne: DEFAULT1.entry & ~FREED_DEBUG, mayBeOne: ENTRY_MAY },
} as const satisfies Record<string, AllowedSettings>

/** Whether a control word, signed or not, obeys the allowed settings. */
export const isAllowed = (value: number, { mustBeOne, mayBeOne }: AllowedSettings): boolean =>
  (~value & mustBeOne) === 0 && (value & ~mayBeOne) === 0

export const VMCS_REVISION = 0x4e42
export const CR3_TARGETS = 4

/** Bits of CR0 and CR4 that are 1 (FIXED0) or may be 1 (FIXED1) in VMX operation. Bits 63:32 are 0. */
export const CR0_FIXED0 = 0x8000_0021
export const CR0_FIXED1 = 0xffff_ffff
export const CR4_FIXED0 = 0x0000_2000
export const CR4_FIXED1 = 0x0037_27ff

const BASIC_HIGH =
  4096 | // size of VMXON and VMCS regions, bits 44:32
  (6 << 18) | // write-back memory type, bits 53:50
  (1 << 23) // TRUE capability MSRs, bit 55

const MISC =
  (1 << 5) | // VM exits store IA32_EFER.LMA in the entry controls
  (1 << 6) | // activity state HLT
  (CR3_TARGETS << 16)

/** IA32_VMX_EPT_VPID_CAP: execute-only, 4 levels, UC, WB, 2M, 1G, INVEPT, accessed and dirty flags, INVEPT types. */
const EPT_CAP =
  (1 << 0) |
  (1 << 6) |
  (1 << 8) |
  (1 << 14) |
  (1 << 16) |
  (1 << 17) |
  (1 << 20) |
  (1 << 21) |
  (1 << 25) |
  (1 << 26)

/** Low and high words of the capability MSRs, from IA32_VMX_BASIC on. */
export function capabilityMsrs(highestFieldIndex: number): Uint32Array {
  const words = new Uint32Array((MSR.IA32_VMX_TRUE_ENTRY_CTLS - MSR.IA32_VMX_BASIC + 1) * 2)
  const put = (msr: number, low: number, high: number): void => {
    words[(msr - MSR.IA32_VMX_BASIC) * 2] = low
    words[(msr - MSR.IA32_VMX_BASIC) * 2 + 1] = high
  }
  put(MSR.IA32_VMX_BASIC, VMCS_REVISION, BASIC_HIGH)
  put(MSR.IA32_VMX_PINBASED_CTLS, DEFAULT1.pinBased, PIN_MAY)
  put(MSR.IA32_VMX_PROCBASED_CTLS, DEFAULT1.primary, PRIMARY_MAY)
  put(MSR.IA32_VMX_EXIT_CTLS, DEFAULT1.exit, EXIT_MAY)
  put(MSR.IA32_VMX_ENTRY_CTLS, DEFAULT1.entry, ENTRY_MAY)
  put(MSR.IA32_VMX_MISC, MISC, 0)
  put(MSR.IA32_VMX_CR0_FIXED0, CR0_FIXED0, 0)
  put(MSR.IA32_VMX_CR0_FIXED1, CR0_FIXED1, 0)
  put(MSR.IA32_VMX_CR4_FIXED0, CR4_FIXED0, 0)
  put(MSR.IA32_VMX_CR4_FIXED1, CR4_FIXED1, 0)
  put(MSR.IA32_VMX_VMCS_ENUM, highestFieldIndex << 1, 0)
  put(MSR.IA32_VMX_PROCBASED_CTLS2, 0, SECONDARY_MAY)
  put(MSR.IA32_VMX_EPT_VPID_CAP, EPT_CAP, 0)
  put(MSR.IA32_VMX_TRUE_PINBASED_CTLS, ALLOWED.pinBased.mustBeOne, PIN_MAY)
  put(MSR.IA32_VMX_TRUE_PROCBASED_CTLS, ALLOWED.primary.mustBeOne, PRIMARY_MAY)
  put(MSR.IA32_VMX_TRUE_EXIT_CTLS, ALLOWED.exit.mustBeOne, EXIT_MAY)
  put(MSR.IA32_VMX_TRUE_ENTRY_CTLS, ALLOWED.entry.mustBeOne, ENTRY_MAY)
  return words
}
