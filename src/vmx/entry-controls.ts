/** "Checks on VMX Controls": a broken rule makes VMLAUNCH and VMRESUME fail with error 7. */
import { ALLOWED, CR3_TARGETS, isAllowed } from './capabilities.ts'
import type { Core } from './core.ts'
import type { EntryRule } from './entry-rule.ts'
import { isEptPointerValid } from './ept-pointer.ts'
import { PRIMARY, SECONDARY } from './formats/controls.ts'
import { EVENT_TYPE, INTERRUPTION_DELIVERS_ERROR_CODE, INTERRUPTION_VALID } from './formats/events.ts'
import { CR0 } from './formats/msrs.ts'
import type { VmcsFieldName } from './formats/vmcs.ts'
import { slot } from './vmcs-layout.ts'

const PIN = slot('pinBasedControls')
const PRIMARY_FIELD = slot('primaryProcessorBasedControls')
const CR3_COUNT = slot('cr3TargetCount')
const EPT_POINTER = slot('eptPointer')
const EXIT_FIELD = slot('exitControls')
const ENTRY_FIELD = slot('entryControls')
const INFORMATION = slot('entryInterruptionInformation')
const ERROR_CODE = slot('entryExceptionErrorCode')
const INSTRUCTION_LENGTH = slot('entryInstructionLength')
const GUEST_CR0 = slot('guestCr0')

const has = (core: Core, control: number): boolean => (core.vmcs[PRIMARY_FIELD]! & control) !== 0

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
    holds: core => isAllowed(core.secondaryControls, ALLOWED.secondary),
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
    id: 'controls.eptPointer',
    states: 'EPTP has a supported memory type, a 4-level walk, and no reserved bit set if EPT is enabled',
    holds: core =>
      (core.secondaryControls & SECONDARY.enableEpt) === 0 ||
      isEptPointerValid(core, core.vmcs[EPT_POINTER]!, core.vmcs[EPT_POINTER + 1]!),
  },
  {
    id: 'controls.unrestrictedGuest',
    states: 'unrestricted guest needs EPT',
    holds: core => {
      const controls = core.secondaryControls
      return (controls & SECONDARY.unrestrictedGuest) === 0 || (controls & SECONDARY.enableEpt) !== 0
    },
  },
  {
    id: 'controls.exit',
    states: 'VM-exit controls obey their capability MSR',
    holds: core => isAllowed(core.vmcs[EXIT_FIELD]! | 0, ALLOWED.exit),
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
    id: 'controls.entryMsrLoad',
    states: 'a VM-entry MSR-load area is 16-byte aligned and within MAXPHYADDR',
    holds: msrArea('entryMsrLoadAddress', 'entryMsrLoadCount'),
  },
  {
    id: 'injection.type',
    states: 'the injected event has an assigned type; pending MTF exits (type 7) are not supported',
    holds: ofInjection(information => typeOf(information) !== 1 && typeOf(information) !== other),
  },
  {
    id: 'injection.vector',
    states: 'an injected NMI has vector 2, an injected hardware exception a vector below 32',
    holds: ofInjection(information => {
      const vector = information & 0xff
      const type = typeOf(information)
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
