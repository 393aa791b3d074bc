/**
 * "VMX Capability Reporting Facility": what this processor can do, and the rule that tells which control values are
 * legal. Only controls whose effects the core has may be set.
 */
import {
  DEFAULT1,
  ENTRY_CONTROLS,
  EXIT_CONTROLS,
  PIN_BASED,
  PRIMARY,
  SECONDARY,
  TERTIARY,
  VM_FUNCTION,
} from './formats/controls.ts'
import { CR4, MSR } from './formats/msrs.ts'

/** What differs between processors. */
export interface ProcessorCapabilities {
  /** MAXPHYADDR, bits: 36 to 52. */
  readonly physicalAddressWidth: number
  /**
   * How events reach a guest. `program`: as a vector, and the program is the handler; no memory is touched. `idt`: through
   * the guest's IDT in memory, with frames pushed on its stack, and the faults and VM exits that this may meet.
   * `idtAlways`: the same outside VMX operation, for software that runs on the bare processor.
   */
  readonly eventDelivery: 'program' | 'idt' | 'idtAlways'
  /** IA32_VMX_EPT_VPID_CAP bits 0, 17 and 7: execute-only translations, 1-GiB pages, 5-level walks. */
  readonly executeOnlyEpt: boolean
  readonly gigabyteEptPages: boolean
  readonly fiveLevelEpt: boolean
  /** CR4.LA57 may be set: linear addresses of 57 bits. */
  readonly fiveLevelPaging: boolean
  /** Secondary control 14, its bitmaps, and VMCSs with the shadow-VMCS indicator. */
  readonly vmcsShadowing: boolean
  /**
   * IA32_VMX_MISC bit 29: VMWRITE may write any field, VM-exit information too. Processors with VMCS shadowing have it;
   * by default it is off here, so that error 13 can be met.
   */
  readonly vmwriteAnyField: boolean
  /** AMD-V: EFER.SVME may be set. Real processors have either this or VMX. */
  readonly svm: boolean
}

export const DEFAULT_CAPABILITIES: ProcessorCapabilities = {
  physicalAddressWidth: 46,
  eventDelivery: 'program',
  executeOnlyEpt: true,
  gigabyteEptPages: true,
  fiveLevelEpt: true,
  fiveLevelPaging: false,
  vmcsShadowing: true,
  vmwriteAnyField: false,
  svm: false,
}

/** Allowed settings of a control word: bits that must be 1, bits that may be 1. */
export interface AllowedSettings {
  readonly mustBeOne: number
  readonly mayBeOne: number
}

const allOf = (controls: Readonly<Record<string, number>>): number =>
  Object.values(controls).reduce((all, control) => all | control, 0)

const PIN_MAY = DEFAULT1.pinBased | allOf(PIN_BASED)
const PRIMARY_MAY = DEFAULT1.primary | allOf(PRIMARY)
/** Not here: SGX, PT, sub-page permissions, PCONFIG, bus-lock detection, instruction timeout. */
const SECONDARY_MAY =
  allOf(SECONDARY) &
  ~(
    SECONDARY.enableEnclsExiting |
    SECONDARY.concealVmxFromPt |
    SECONDARY.subPageWritePermissions |
    SECONDARY.ptUsesGuestPhysicalAddresses |
    SECONDARY.enablePconfig |
    SECONDARY.enableEnclvExiting |
    SECONDARY.vmmBusLockDetection |
    SECONDARY.instructionTimeout
  )
const EXIT_MAY =
  DEFAULT1.exit |
  EXIT_CONTROLS.hostAddressSpaceSize |
  EXIT_CONTROLS.loadPerfGlobalCtrl |
  EXIT_CONTROLS.acknowledgeInterruptOnExit |
  EXIT_CONTROLS.savePat |
  EXIT_CONTROLS.loadPat |
  EXIT_CONTROLS.saveEfer |
  EXIT_CONTROLS.loadEfer |
  EXIT_CONTROLS.savePreemptionTimer
const ENTRY_MAY =
  DEFAULT1.entry |
  ENTRY_CONTROLS.ia32eModeGuest |
  ENTRY_CONTROLS.entryToSmm |
  ENTRY_CONTROLS.deactivateDualMonitorTreatment |
  ENTRY_CONTROLS.loadPerfGlobalCtrl |
  ENTRY_CONTROLS.loadPat |
  ENTRY_CONTROLS.loadEfer

/** The TRUE capability MSRs free these default-1 bits. */
const FREED_PRIMARY = PRIMARY.cr3LoadExiting | PRIMARY.cr3StoreExiting
const FREED_DEBUG = EXIT_CONTROLS.saveDebugControls

export const ALLOWED = {
  pinBased: { mustBeOne: DEFAULT1.pinBased, mayBeOne: PIN_MAY },
  primary: { mustBeOne: DEFAULT1.primary & ~FREED_PRIMARY, mayBeOne: PRIMARY_MAY },
  secondary: { mustBeOne: 0, mayBeOne: SECONDARY_MAY },
  exit: { mustBeOne: DEFAULT1.exit & ~FREED_DEBUG, mayBeOne: EXIT_MAY },
  entry: { mustBeOne: DEFAULT1.entry & ~FREED_DEBUG, mayBeOne: ENTRY_MAY },
  /** 64 bits; the controls of this processor lie in bits 31:0. */
  tertiary: { mustBeOne: 0, mayBeOne: TERTIARY.ipiVirtualization },
  vmFunctions: { mustBeOne: 0, mayBeOne: VM_FUNCTION.eptpSwitching },
} as const satisfies Record<string, AllowedSettings>

/** Whether a control word, signed or not, obeys the allowed settings. */
export const isAllowed = (value: number, { mustBeOne, mayBeOne }: AllowedSettings): boolean =>
  (~value & mustBeOne) === 0 && (value & ~mayBeOne) === 0

/** Allowed settings of the secondary controls of a processor. */
export const secondaryAllowed = ({ vmcsShadowing }: ProcessorCapabilities): AllowedSettings =>
  vmcsShadowing ? ALLOWED.secondary : WITHOUT_SHADOWING

const WITHOUT_SHADOWING: AllowedSettings = {
  ...ALLOWED.secondary,
  mayBeOne: ALLOWED.secondary.mayBeOne & ~SECONDARY.vmcsShadowing,
}

export const VMCS_REVISION = 0x4e42
export const CR3_TARGETS = 4

/** Bits of CR0 and CR4 that are 1 (FIXED0) or may be 1 (FIXED1) in VMX operation. Bits 63:32 are 0. */
export const CR0_FIXED0 = 0x8000_0021
export const CR0_FIXED1 = 0xffff_ffff
export const CR4_FIXED0 = 0x0000_2000
export const CR4_FIXED1 = 0x0037_6fff

/** What a processor lets CR4 hold. */
export const cr4Allowed = ({ fiveLevelPaging }: ProcessorCapabilities): number =>
  fiveLevelPaging ? CR4_FIXED1 | CR4.LA57 : CR4_FIXED1

const BASIC_HIGH =
  4096 | // size of VMXON and VMCS regions, bits 44:32
  (6 << 18) | // write-back memory type, bits 53:50
  (1 << 22) | // information on INS and OUTS, bit 54
  (1 << 23) // TRUE capability MSRs, bit 55

/** The VMX-preemption timer counts once when this bit of the time-stamp counter changes. */
export const PREEMPTION_TIMER_SHIFT = 5

/** 512 * (N + 1) entries of an MSR area are recommended as most. */
const MSR_LIST_N = 0
export const RECOMMENDED_MSR_ENTRIES = 512 * (MSR_LIST_N + 1)

const MISC =
  PREEMPTION_TIMER_SHIFT |
  (1 << 5) | // VM exits store IA32_EFER.LMA in the entry controls
  (1 << 6) | // activity state HLT
  (1 << 7) | // activity state shutdown
  (1 << 8) | // activity state wait-for-SIPI
  (CR3_TARGETS << 16) |
  (MSR_LIST_N << 25)

/** VMWRITE may write VM-exit information. */
const MISC_VMWRITE_ANY_FIELD = 1 << 29

/** IA32_VMX_EPT_VPID_CAP: 4 levels, UC, WB, 2M, INVEPT, accessed and dirty flags, advanced information, INVEPT types. */
const EPT_CAP =
  (1 << 6) | (1 << 8) | (1 << 14) | (1 << 16) | (1 << 20) | (1 << 21) | (1 << 22) | (1 << 25) | (1 << 26)
/** INVVPID and its four types, bits 32 and 43:40. */
const VPID_CAP = 0xf01

/** Low and high words of the capability MSRs, from IA32_VMX_BASIC on. */
export function capabilityMsrs(highestFieldIndex: number, options: ProcessorCapabilities): Uint32Array {
  const words = new Uint32Array((MSR.IA32_VMX_PROCBASED_CTLS3 - MSR.IA32_VMX_BASIC + 1) * 2)
  const put = (msr: number, low: number, high: number): void => {
    words[(msr - MSR.IA32_VMX_BASIC) * 2] = low
    words[(msr - MSR.IA32_VMX_BASIC) * 2 + 1] = high
  }
  put(MSR.IA32_VMX_BASIC, VMCS_REVISION, BASIC_HIGH)
  put(MSR.IA32_VMX_PINBASED_CTLS, DEFAULT1.pinBased, PIN_MAY)
  put(MSR.IA32_VMX_PROCBASED_CTLS, DEFAULT1.primary, PRIMARY_MAY)
  put(MSR.IA32_VMX_EXIT_CTLS, DEFAULT1.exit, EXIT_MAY)
  put(MSR.IA32_VMX_ENTRY_CTLS, DEFAULT1.entry, ENTRY_MAY)
  put(MSR.IA32_VMX_MISC, MISC | (options.vmwriteAnyField ? MISC_VMWRITE_ANY_FIELD : 0), 0)
  put(MSR.IA32_VMX_CR0_FIXED0, CR0_FIXED0, 0)
  put(MSR.IA32_VMX_CR0_FIXED1, CR0_FIXED1, 0)
  put(MSR.IA32_VMX_CR4_FIXED0, CR4_FIXED0, 0)
  put(MSR.IA32_VMX_CR4_FIXED1, cr4Allowed(options), 0)
  put(MSR.IA32_VMX_VMCS_ENUM, highestFieldIndex << 1, 0)
  put(MSR.IA32_VMX_PROCBASED_CTLS2, 0, secondaryAllowed(options).mayBeOne)
  const ept =
    EPT_CAP |
    (options.executeOnlyEpt ? 1 : 0) |
    (options.fiveLevelEpt ? 1 << 7 : 0) |
    (options.gigabyteEptPages ? 1 << 17 : 0)
  put(MSR.IA32_VMX_EPT_VPID_CAP, ept, VPID_CAP)
  put(MSR.IA32_VMX_TRUE_PINBASED_CTLS, ALLOWED.pinBased.mustBeOne, PIN_MAY)
  put(MSR.IA32_VMX_TRUE_PROCBASED_CTLS, ALLOWED.primary.mustBeOne, PRIMARY_MAY)
  put(MSR.IA32_VMX_TRUE_EXIT_CTLS, ALLOWED.exit.mustBeOne, EXIT_MAY)
  put(MSR.IA32_VMX_TRUE_ENTRY_CTLS, ALLOWED.entry.mustBeOne, ENTRY_MAY)
  put(MSR.IA32_VMX_VMFUNC, ALLOWED.vmFunctions.mayBeOne, 0)
  put(MSR.IA32_VMX_PROCBASED_CTLS3, ALLOWED.tertiary.mayBeOne, 0)
  return words
}
