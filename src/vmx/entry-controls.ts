/** "Checks on VMX Controls": a broken rule makes VMLAUNCH and VMRESUME fail with error 7. */
import { virtualTaskPriority } from './apic-virtualization.ts'
import { ALLOWED, CR3_TARGETS, isAllowed, secondaryAllowed } from './capabilities.ts'
import type { Core } from './core.ts'
import type { EntryRule } from './entry-rule.ts'
import { isEptPointerValid } from './ept-pointer.ts'
import {
  ENTRY_CONTROLS,
  EXIT_CONTROLS,
  PIN_BASED,
  PRIMARY,
  SECONDARY,
  TERTIARY,
  VM_FUNCTION,
} from './formats/controls.ts'
import { EVENT_TYPE, INTERRUPTION_DELIVERS_ERROR_CODE, INTERRUPTION_VALID } from './formats/events.ts'
import { CR0 } from './formats/msrs.ts'
import type { VmcsFieldName } from './formats/vmcs.ts'
import { slot } from './vmcs-layout.ts'

const PIN = slot('pinBasedControls')
const PRIMARY_FIELD = slot('primaryProcessorBasedControls')
const TERTIARY_FIELD = slot('tertiaryProcessorBasedControls')
const CR3_COUNT = slot('cr3TargetCount')
const EPT_POINTER = slot('eptPointer')
const TPR_THRESHOLD = slot('tprThreshold')
const NOTIFICATION_VECTOR = slot('postedInterruptNotificationVector')
const DESCRIPTOR = slot('postedInterruptDescriptorAddress')
const VPID = slot('virtualProcessorIdentifier')
const VM_FUNCTIONS = slot('vmFunctionControls')
const TSC_MULTIPLIER = slot('tscMultiplier')
const EXIT_FIELD = slot('exitControls')
const ENTRY_FIELD = slot('entryControls')
const INFORMATION = slot('entryInterruptionInformation')
const ERROR_CODE = slot('entryExceptionErrorCode')
const INSTRUCTION_LENGTH = slot('entryInstructionLength')
const GUEST_CR0 = slot('guestCr0')

const has = (core: Core, control: number): boolean => (core.vmcs[PRIMARY_FIELD]! & control) !== 0
const hasPin = (core: Core, control: number): boolean => (core.vmcs[PIN]! & control) !== 0
const hasSecondary = (core: Core, control: number): boolean => (core.secondaryControls & control) !== 0
const hasExit = (core: Core, control: number): boolean => (core.vmcs[EXIT_FIELD]! & control) !== 0

/** A rule on an address field, under the secondary control that uses it. */
const secondaryAddress = (control: number, name: VmcsFieldName): EntryRule => ({
  id: `controls.${name}`,
  states: `${name} is a page address within MAXPHYADDR if its control is set`,
  holds: core => !hasSecondary(core, control) || pageAddress(core, slot(name)),
})

/** A secondary control that needs EPT. */
const needsEpt = (name: string, control: number): EntryRule => ({
  id: `controls.${name}`,
  states: `${name} needs EPT`,
  holds: core => !hasSecondary(core, control) || hasSecondary(core, SECONDARY.enableEpt),
})

/** A secondary control that needs the TPR shadow. */
const needsTprShadow = (name: string, control: number): EntryRule => ({
  id: `controls.${name}`,
  states: `${name} needs the TPR shadow`,
  holds: core => !hasSecondary(core, control) || has(core, PRIMARY.useTprShadow),
})

/** Whether the address in a 64-bit field is 4-KiB aligned and within MAXPHYADDR. */
const pageAddress = (core: Core, field: number): boolean =>
  (core.vmcs[field]! & 0xfff) === 0 && !core.beyondWidth(core.vmcs[field + 1]! | 0)

/** An MSR area: 16-byte aligned, its first and last byte within MAXPHYADDR. Any address will do for an empty one. */
function msrArea(addressName: VmcsFieldName, countName: VmcsFieldName): (core: Core) => boolean {
  const address = slot(addressName)
  const count = slot(countName)
  return core => {
    const { vmcs } = core
    const entries = vmcs[count]!
    if (entries === 0) return true
    if ((vmcs[address]! & 0xf) !== 0 || core.beyondWidth(vmcs[address + 1]!)) return false
    const last = vmcs[address + 1]! * 2 ** 32 + vmcs[address]! + entries * 16 - 1
    return last < 2 ** core.capabilities.physicalAddressWidth
  }
}

/** The event to inject as a signed word, or 0 if there is none. */
const injected = (core: Core): number => {
  const information = core.vmcs[INFORMATION]! | 0
  return (information & INTERRUPTION_VALID) === 0 ? 0 : information
}
const typeOf = (information: number): number => (information >>> 8) & 7
/** A rule on the injected event, which holds when there is none. */
const ofInjection =
  (holds: (information: number, core: Core) => boolean) =>
  (core: Core): boolean => {
    const information = injected(core)
    return information === 0 || holds(information, core)
  }

/** Hardware exceptions that push an error code: DF, TS, NP, SS, GP, PF, AC. */
const WITH_ERROR_CODE = [8, 10, 11, 12, 13, 14, 17].reduce((set, vector) => set | (1 << vector), 0)
const { nmi, hardwareException, softwareInterrupt, softwareException, other } = EVENT_TYPE

function deliversErrorCodeRightly(information: number, core: Core): boolean {
  const unrestricted = (core.secondaryControls & SECONDARY.unrestrictedGuest) !== 0
  const protectedMode = !unrestricted || (core.vmcs[GUEST_CR0]! & CR0.PE) !== 0
  const expected =
    typeOf(information) === hardwareException &&
    protectedMode &&
    (information & 0xff) < 32 &&
    (WITH_ERROR_CODE & (1 << (information & 0x1f))) !== 0
  return ((information & INTERRUPTION_DELIVERS_ERROR_CODE) !== 0) === expected
}

/** With virtual-interrupt delivery the threshold has no meaning. */
const usesThreshold = (core: Core): boolean =>
  has(core, PRIMARY.useTprShadow) && !hasSecondary(core, SECONDARY.virtualInterruptDelivery)

/** A rule under "process posted interrupts". */
const posted = (id: string, states: string, holds: (core: Core) => boolean): EntryRule => ({
  id,
  states,
  holds: core => !hasPin(core, PIN_BASED.processPostedInterrupts) || holds(core),
})

function pidPointerTableValid(core: Core): boolean {
  if ((core.tertiaryControls & TERTIARY.ipiVirtualization) === 0) return true
  const table = slot('pidPointerTableAddress')
  const aligned = (core.vmcs[table]! & 7) === 0 && !core.beyondWidth(core.vmcs[table + 1]! | 0)
  return aligned && has(core, PRIMARY.useTprShadow)
}

export const CONTROL_RULES: readonly EntryRule[] = [
  {
    id: 'controls.pinBased',
    states: 'pin-based controls obey their capability MSR',
    holds: core => isAllowed(core.vmcs[PIN]! | 0, ALLOWED.pinBased),
  },
  {
    id: 'controls.primary',
    states: 'primary processor-based controls obey their capability MSR',
    holds: core => isAllowed(core.vmcs[PRIMARY_FIELD]! | 0, ALLOWED.primary),
  },
  {
    id: 'controls.secondary',
    states: 'activated secondary processor-based controls obey their capability MSR',
    holds: core => isAllowed(core.secondaryControls, secondaryAllowed(core.capabilities)),
  },
  {
    id: 'controls.tertiary',
    states: 'activated tertiary processor-based controls obey their capability MSR',
    holds: core =>
      !has(core, PRIMARY.activateTertiaryControls) ||
      (isAllowed(core.tertiaryControls, ALLOWED.tertiary) && core.vmcs[TERTIARY_FIELD + 1] === 0),
  },
  {
    id: 'controls.cr3TargetCount',
    states: `the CR3-target count is at most ${CR3_TARGETS}`,
    holds: core => core.vmcs[CR3_COUNT]! <= CR3_TARGETS,
  },
  ...(['ioBitmapA', 'ioBitmapB'] as const).map(name => ({
    id: `controls.${name}`,
    states: `${name} is a page address within MAXPHYADDR if I/O bitmaps are used`,
    holds: (core: Core) => !has(core, PRIMARY.useIoBitmaps) || pageAddress(core, slot(name)),
  })),
  {
    id: 'controls.msrBitmaps',
    states: 'the MSR-bitmap address is a page address within MAXPHYADDR if MSR bitmaps are used',
    holds: core => !has(core, PRIMARY.useMsrBitmaps) || pageAddress(core, slot('msrBitmaps')),
  },
  {
    id: 'controls.virtualNmis',
    states: 'virtual NMIs need NMI exiting',
    holds: core => !hasPin(core, PIN_BASED.virtualNmis) || hasPin(core, PIN_BASED.nmiExiting),
  },
  {
    id: 'controls.nmiWindowExiting',
    states: 'NMI-window exiting needs virtual NMIs',
    holds: core => !has(core, PRIMARY.nmiWindowExiting) || hasPin(core, PIN_BASED.virtualNmis),
  },
  secondaryAddress(SECONDARY.vmcsShadowing, 'vmreadBitmapAddress'),
  secondaryAddress(SECONDARY.vmcsShadowing, 'vmwriteBitmapAddress'),
  secondaryAddress(SECONDARY.eptViolationVe, 'virtualizationExceptionInformationAddress'),
  {
    id: 'controls.virtualApicAddress',
    states: 'the virtual-APIC address is a page address within MAXPHYADDR if the TPR shadow is used',
    holds: core => !has(core, PRIMARY.useTprShadow) || pageAddress(core, slot('virtualApicAddress')),
  },
  {
    id: 'controls.tprThreshold.reserved',
    states: 'bits 31:4 of the TPR threshold are 0, with the TPR shadow and no virtual-interrupt delivery',
    holds: core => !usesThreshold(core) || core.vmcs[TPR_THRESHOLD]! >>> 4 === 0,
  },
  {
    id: 'controls.tprThreshold',
    states: 'the TPR threshold is at most VTPR bits 7:4, if APIC accesses are not virtualized either',
    holds: core =>
      !usesThreshold(core) ||
      hasSecondary(core, SECONDARY.virtualizeApicAccesses) ||
      (core.vmcs[TPR_THRESHOLD]! & 0xf) <= virtualTaskPriority(core),
  },
  needsTprShadow('virtualizeX2apicMode', SECONDARY.virtualizeX2apicMode),
  needsTprShadow('apicRegisterVirtualization', SECONDARY.apicRegisterVirtualization),
  needsTprShadow('virtualInterruptDelivery', SECONDARY.virtualInterruptDelivery),
  secondaryAddress(SECONDARY.virtualizeApicAccesses, 'apicAccessAddress'),
  {
    id: 'controls.apicModes',
    states: 'APIC accesses are virtualized in memory or in x2APIC mode, not both',
    holds: core =>
      !hasSecondary(core, SECONDARY.virtualizeApicAccesses) ||
      !hasSecondary(core, SECONDARY.virtualizeX2apicMode),
  },
  {
    id: 'controls.virtualInterruptDelivery.exiting',
    states: 'virtual-interrupt delivery needs external-interrupt exiting',
    holds: core =>
      !hasSecondary(core, SECONDARY.virtualInterruptDelivery) ||
      hasPin(core, PIN_BASED.externalInterruptExiting),
  },
  posted('controls.postedInterrupts.delivery', 'posted interrupts need virtual-interrupt delivery', core =>
    hasSecondary(core, SECONDARY.virtualInterruptDelivery),
  ),
  posted(
    'controls.postedInterrupts.acknowledge',
    'posted interrupts need the acknowledgement of interrupts on exit',
    core => hasExit(core, EXIT_CONTROLS.acknowledgeInterruptOnExit),
  ),
  posted(
    'controls.postedInterrupts.vector',
    'the posted-interrupt notification vector is at most 255',
    core => core.vmcs[NOTIFICATION_VECTOR]! <= 0xff,
  ),
  posted(
    'controls.postedInterrupts.descriptor',
    'the posted-interrupt descriptor is 64-byte aligned and within MAXPHYADDR',
    core => (core.vmcs[DESCRIPTOR]! & 0x3f) === 0 && !core.beyondWidth(core.vmcs[DESCRIPTOR + 1]! | 0),
  ),
  {
    id: 'controls.ipiVirtualization',
    states:
      'IPI virtualization needs the TPR shadow, and a PID-pointer table 8-byte aligned, within MAXPHYADDR',
    holds: pidPointerTableValid,
  },
  {
    id: 'controls.vpid',
    states: 'the VPID is not 0 if VPIDs are enabled',
    holds: core => !hasSecondary(core, SECONDARY.enableVpid) || core.vmcs[VPID] !== 0,
  },
  {
    id: 'controls.eptPointer',
    states:
      'EPTP has a supported memory type, a supported walk length, and no reserved bit set if EPT is enabled',
    holds: core =>
      (core.secondaryControls & SECONDARY.enableEpt) === 0 ||
      isEptPointerValid(core, core.vmcs[EPT_POINTER]!, core.vmcs[EPT_POINTER + 1]!),
  },
  needsEpt('unrestrictedGuest', SECONDARY.unrestrictedGuest),
  needsEpt('pageModificationLogging', SECONDARY.enablePml),
  needsEpt('modeBasedExecuteControl', SECONDARY.modeBasedExecuteControl),
  secondaryAddress(SECONDARY.enablePml, 'pmlAddress'),
  {
    id: 'controls.vmFunctions',
    states: 'enabled VM functions obey their capability MSR',
    holds: core =>
      !hasSecondary(core, SECONDARY.enableVmFunctions) ||
      (isAllowed(core.vmcs[VM_FUNCTIONS]! | 0, ALLOWED.vmFunctions) && core.vmcs[VM_FUNCTIONS + 1] === 0),
  },
  {
    id: 'controls.eptpSwitching',
    states: 'EPTP switching needs EPT, and an EPTP list that is a page address within MAXPHYADDR',
    holds: core => {
      const switches = (core.vmcs[VM_FUNCTIONS]! & VM_FUNCTION.eptpSwitching) !== 0
      if (!switches || !hasSecondary(core, SECONDARY.enableVmFunctions)) return true
      return hasSecondary(core, SECONDARY.enableEpt) && pageAddress(core, slot('eptpListAddress'))
    },
  },
  {
    id: 'controls.tscMultiplier',
    states: 'the TSC multiplier is not 0 if TSC scaling is used',
    holds: core =>
      !hasSecondary(core, SECONDARY.useTscScaling) ||
      core.vmcs[TSC_MULTIPLIER] !== 0 ||
      core.vmcs[TSC_MULTIPLIER + 1] !== 0,
  },
  {
    id: 'controls.exit',
    states: 'VM-exit controls obey their capability MSR',
    holds: core => isAllowed(core.vmcs[EXIT_FIELD]! | 0, ALLOWED.exit),
  },
  {
    id: 'controls.savePreemptionTimer',
    states: 'saving the VMX-preemption timer needs the timer',
    holds: core =>
      !hasExit(core, EXIT_CONTROLS.savePreemptionTimer) || hasPin(core, PIN_BASED.activatePreemptionTimer),
  },
  {
    id: 'controls.exitMsrStore',
    states: 'a VM-exit MSR-store area is 16-byte aligned and within MAXPHYADDR',
    holds: msrArea('exitMsrStoreAddress', 'exitMsrStoreCount'),
  },
  {
    id: 'controls.exitMsrLoad',
    states: 'a VM-exit MSR-load area is 16-byte aligned and within MAXPHYADDR',
    holds: msrArea('exitMsrLoadAddress', 'exitMsrLoadCount'),
  },
  {
    id: 'controls.entry',
    states: 'VM-entry controls obey their capability MSR',
    holds: core => isAllowed(core.vmcs[ENTRY_FIELD]! | 0, ALLOWED.entry),
  },
  {
    id: 'controls.entry.smm',
    states: 'outside SMM, an entry neither goes to SMM nor deactivates the dual-monitor treatment',
    holds: core => {
      const { entryToSmm, deactivateDualMonitorTreatment } = ENTRY_CONTROLS
      return (core.vmcs[ENTRY_FIELD]! & (entryToSmm | deactivateDualMonitorTreatment)) === 0
    },
  },
  {
    id: 'controls.entryMsrLoad',
    states: 'a VM-entry MSR-load area is 16-byte aligned and within MAXPHYADDR',
    holds: msrArea('entryMsrLoadAddress', 'entryMsrLoadCount'),
  },
  {
    id: 'injection.type',
    states: 'the injected event has an assigned type',
    holds: ofInjection(information => typeOf(information) !== 1),
  },
  {
    id: 'injection.vector',
    states:
      'an injected NMI has vector 2, a hardware exception a vector below 32, a pending monitor trap flag vector 0',
    holds: ofInjection(information => {
      const vector = information & 0xff
      const type = typeOf(information)
      if (type === other) return vector === 0
      return (type !== nmi || vector === 2) && (type !== hardwareException || vector < 32)
    }),
  },
  {
    id: 'injection.errorCodeDelivery',
    states:
      'an error code is delivered exactly with the hardware exceptions that have one, in protected mode',
    holds: ofInjection(deliversErrorCodeRightly),
  },
  {
    id: 'injection.reserved',
    states: 'bits 30:12 of the interruption information are 0',
    holds: ofInjection(information => (information & 0x7fff_f000) === 0),
  },
  {
    id: 'injection.errorCode',
    states: 'bits 31:16 of a delivered error code are 0',
    holds: ofInjection(
      (information, { vmcs }) =>
        (information & INTERRUPTION_DELIVERS_ERROR_CODE) === 0 || vmcs[ERROR_CODE]! >>> 16 === 0,
    ),
  },
  {
    id: 'injection.instructionLength',
    states: 'an injected software event has an instruction length of 1 to 15',
    holds: ofInjection((information, { vmcs }) => {
      const type = typeOf(information)
      if (type < softwareInterrupt || type > softwareException) return true
      const length = vmcs[INSTRUCTION_LENGTH]!
      return length >= 1 && length <= 15
    }),
  },
]
