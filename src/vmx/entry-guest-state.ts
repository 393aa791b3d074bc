/**
 * "Checks on the Guest State Area", all but the segment registers: a broken rule makes the entry exit with reason 33.
 */
import { pageOf } from '../core/index.ts'
import { CR0_FIXED0, CR4_FIXED0, cr4Allowed, VMCS_REVISION } from './capabilities.ts'
import type { Core } from './core.ts'
import { DESCRIPTOR_TABLE_RULES, SEGMENT_RULES } from './entry-guest-segments.ts'
import type { EntryRule } from './entry-rule.ts'
import { ENTRY_CONTROLS, PIN_BASED, SECONDARY } from './formats/controls.ts'
import { ACTIVITY, EVENT_TYPE, INTERRUPTIBILITY, INTERRUPTION_VALID } from './formats/events.ts'
import { CR0, CR4, EFER, EXCEPTION, RFLAGS } from './formats/msrs.ts'
import { DEBUGCTL_BITS, isPerfGlobalReserved } from './msr-access.ts'
import { isPdpteValid } from './pdptes.ts'
import { isCanonical, isEferReserved, isPatHalfValid } from './values.ts'
import { SHADOW_VMCS, slot } from './vmcs-layout.ts'

const ENTRY_FIELD = slot('entryControls')
const INFORMATION = slot('entryInterruptionInformation')
const GUEST_CR0 = slot('guestCr0')
const GUEST_CR3 = slot('guestCr3')
const GUEST_CR4 = slot('guestCr4')
const DR7 = slot('guestDr7')
const GUEST_DEBUGCTL = slot('guestDebugctl')
const GUEST_PAT = slot('guestPat')
const GUEST_EFER = slot('guestEfer')
const GUEST_PERF_GLOBAL = slot('guestPerfGlobalCtrl')
const PIN = slot('pinBasedControls')
const RIP = slot('guestRip')
const GUEST_RFLAGS = slot('guestRflags')
const SYSENTER_ESP = slot('guestSysenterEsp')
const SYSENTER_EIP = slot('guestSysenterEip')
const LINK = slot('vmcsLinkPointer')
const PENDING = slot('guestPendingDebugExceptions')
const ACTIVITY_STATE = slot('guestActivityState')
const INTERRUPTIBILITY_STATE = slot('guestInterruptibilityState')
const SS_ACCESS_RIGHTS = slot('guestSsAccessRights')
const CS_ACCESS_RIGHTS = slot('guestCsAccessRights')
const PDPTES = slot('guestPdpte0')

/** CS.L */
const LONG_CODE = 1 << 13
/** Pending debug exceptions: B3-B0, enabled breakpoint, BS. */
const PENDING_BITS = 0x500f
const PENDING_BS = 1 << 14
const BTF = 1 << 1
const QUALIFICATION = { pdpte: 2, linkPointer: 4 } as const

const entry = (core: Core, control: number): boolean => (core.vmcs[ENTRY_FIELD]! & control) !== 0
const unrestricted = (core: Core): boolean => (core.secondaryControls & SECONDARY.unrestrictedGuest) !== 0
const blocked = (core: Core, mask: number): boolean => (core.vmcs[INTERRUPTIBILITY_STATE]! & mask) !== 0
const { blockingBySti, blockingByMovSs } = INTERRUPTIBILITY

/** Type of the event to inject, or -1. */
const injectedType = (core: Core): number => {
  const information = core.vmcs[INFORMATION]!
  return (information & INTERRUPTION_VALID) === 0 ? -1 : (information >>> 8) & 7
}

/** Whether the event to inject may find the guest in its activity state. */
function mayInject(core: Core): boolean {
  const type = injectedType(core)
  const vector = core.vmcs[INFORMATION]! & 0xff
  if (type === -1) return true
  switch (core.vmcs[ACTIVITY_STATE]) {
    case ACTIVITY.active:
      return true
    case ACTIVITY.hlt:
      if (type === EVENT_TYPE.hardwareException) return vector === EXCEPTION.DB || vector === EXCEPTION.MC
      return type === EVENT_TYPE.externalInterrupt || type === EVENT_TYPE.nmi || type === EVENT_TYPE.other
    case ACTIVITY.shutdown:
      return type === EVENT_TYPE.nmi || (type === EVENT_TYPE.hardwareException && vector === EXCEPTION.MC)
  }
  return false
}

function pdptesValid(core: Core): boolean {
  const { vmcs } = core
  const pae = (vmcs[GUEST_CR0]! & CR0.PG) !== 0 && (vmcs[GUEST_CR4]! & CR4.PAE) !== 0
  if (!pae || entry(core, ENTRY_CONTROLS.ia32eModeGuest)) return true
  const ept = (core.secondaryControls & SECONDARY.enableEpt) !== 0
  const cr3 = vmcs[GUEST_CR3]!
  const table = vmcs[GUEST_CR3 + 1]! * 2 ** 32 + cr3 - (cr3 & 0x1f)
  for (let i = 0; i < 4; i++) {
    const low = ept ? vmcs[PDPTES + i * 2]! : core.map.readDword(table + i * 8)
    const high = ept ? vmcs[PDPTES + i * 2 + 1]! : core.map.readDword(table + i * 8 + 4)
    if (!isPdpteValid(core, low, high)) return false
  }
  return true
}

function linkPointerValid(core: Core): boolean {
  const { vmcs } = core
  const low = vmcs[LINK]!
  const high = vmcs[LINK + 1]!
  if (low === 0xffff_ffff && high === 0xffff_ffff) return true
  if ((low & 0xfff) !== 0 || core.beyondWidth(high)) return false
  const address = high * 2 ** 32 + low
  if (address === core.currentPointer) return false
  const shadowing = (core.secondaryControls & SECONDARY.vmcsShadowing) !== 0
  return core.memory.words(pageOf(address))?.[0] === (VMCS_REVISION | (shadowing ? SHADOW_VMCS : 0)) >>> 0
}

const wideCanonical = (id: string, field: number): EntryRule => ({
  id: `guest.${id}`,
  states: `guest ${id} is canonical`,
  holds: core => isCanonical(core.vmcs[field + 1]! | 0),
})

const REGISTER_RULES: readonly EntryRule[] = [
  {
    id: 'guest.RFLAGS.reserved',
    states: 'RFLAGS bits 63:22, 15, 5 and 3 are 0, bit 1 is 1',
    holds: ({ vmcs }) => (vmcs[GUEST_RFLAGS]! & 0xffc0_802a) === 2 && vmcs[GUEST_RFLAGS + 1] === 0,
  },
  {
    id: 'guest.RFLAGS.VM',
    states: 'RFLAGS.VM is 0 in an IA-32e mode guest and where CR0.PE is 0',
    holds: core =>
      (core.vmcs[GUEST_RFLAGS]! & RFLAGS.VM) === 0 ||
      (!entry(core, ENTRY_CONTROLS.ia32eModeGuest) && (core.vmcs[GUEST_CR0]! & CR0.PE) !== 0),
  },
  {
    id: 'guest.RFLAGS.IF',
    states: 'RFLAGS.IF is 1 if an external interrupt is injected',
    holds: core =>
      injectedType(core) !== EVENT_TYPE.externalInterrupt || (core.vmcs[GUEST_RFLAGS]! & RFLAGS.IF) !== 0,
  },
  {
    id: 'guest.CR0.fixedBits',
    states: 'CR0 obeys the fixed bits, except PE and PG of an unrestricted guest',
    holds: core => {
      const fixed = unrestricted(core) ? CR0_FIXED0 & ~(CR0.PE | CR0.PG) : CR0_FIXED0
      return (~core.vmcs[GUEST_CR0]! & fixed) === 0 && core.vmcs[GUEST_CR0 + 1] === 0
    },
  },
  {
    id: 'guest.CR0.PG',
    states: 'CR0.PG needs CR0.PE',
    holds: ({ vmcs }) => (vmcs[GUEST_CR0]! & CR0.PG) === 0 || (vmcs[GUEST_CR0]! & CR0.PE) !== 0,
  },
  {
    id: 'guest.CR3',
    states: 'CR3 lies within MAXPHYADDR',
    holds: core => !core.beyondWidth(core.vmcs[GUEST_CR3 + 1]! | 0),
  },
  {
    id: 'guest.CR4.fixedBits',
    states: 'CR4 obeys the fixed bits',
    holds: ({ vmcs, capabilities }) =>
      (~vmcs[GUEST_CR4]! & CR4_FIXED0) === 0 &&
      (vmcs[GUEST_CR4]! & ~cr4Allowed(capabilities)) === 0 &&
      vmcs[GUEST_CR4 + 1] === 0,
  },
  {
    id: 'guest.ia32eMode',
    states: 'an IA-32e mode guest has CR0.PG and CR4.PAE set; another has CR4.PCIDE clear',
    holds: core => {
      const cr4 = core.vmcs[GUEST_CR4]!
      if (!entry(core, ENTRY_CONTROLS.ia32eModeGuest)) return (cr4 & CR4.PCIDE) === 0
      return (core.vmcs[GUEST_CR0]! & CR0.PG) !== 0 && (cr4 & CR4.PAE) !== 0
    },
  },
  {
    id: 'guest.DR7',
    states: 'bits 63:32 of DR7, if loaded, are 0',
    holds: core => !entry(core, ENTRY_CONTROLS.loadDebugControls) || core.vmcs[DR7 + 1] === 0,
  },
  {
    id: 'guest.DEBUGCTL',
    states: 'reserved bits of IA32_DEBUGCTL, if loaded, are 0',
    holds: core =>
      !entry(core, ENTRY_CONTROLS.loadDebugControls) ||
      ((core.vmcs[GUEST_DEBUGCTL]! & ~DEBUGCTL_BITS) === 0 && core.vmcs[GUEST_DEBUGCTL + 1] === 0),
  },
]

const MSR_RULES: readonly EntryRule[] = [
  wideCanonical('SYSENTER_ESP', SYSENTER_ESP),
  wideCanonical('SYSENTER_EIP', SYSENTER_EIP),
  {
    id: 'guest.PAT',
    states: 'IA32_PAT, if loaded, has legal memory types',
    holds: core =>
      !entry(core, ENTRY_CONTROLS.loadPat) ||
      (isPatHalfValid(core.vmcs[GUEST_PAT]! | 0) && isPatHalfValid(core.vmcs[GUEST_PAT + 1]! | 0)),
  },
  {
    id: 'guest.PERF_GLOBAL_CTRL',
    states: 'reserved bits of IA32_PERF_GLOBAL_CTRL, if loaded, are 0',
    holds: core =>
      !entry(core, ENTRY_CONTROLS.loadPerfGlobalCtrl) ||
      !isPerfGlobalReserved(core.vmcs[GUEST_PERF_GLOBAL]!, core.vmcs[GUEST_PERF_GLOBAL + 1]!),
  },
  {
    id: 'guest.EFER',
    states:
      'IA32_EFER, if loaded: no reserved bit; LMA as IA-32e mode guest says; with paging, LMA equals LME',
    holds: core => {
      if (!entry(core, ENTRY_CONTROLS.loadEfer)) return true
      const low = core.vmcs[GUEST_EFER]!
      const lma = (low & EFER.LMA) !== 0
      const paging = (core.vmcs[GUEST_CR0]! & CR0.PG) !== 0
      return (
        !isEferReserved(low, core.vmcs[GUEST_EFER + 1]!) &&
        lma === entry(core, ENTRY_CONTROLS.ia32eModeGuest) &&
        (!paging || lma === ((low & EFER.LME) !== 0))
      )
    },
  },
]

const OTHER_RULES: readonly EntryRule[] = [
  {
    id: 'guest.RIP',
    states: 'RIP is canonical in 64-bit code, and below 2^32 elsewhere',
    holds: core => {
      const high = core.vmcs[RIP + 1]! | 0
      const code64 =
        entry(core, ENTRY_CONTROLS.ia32eModeGuest) && (core.vmcs[CS_ACCESS_RIGHTS]! & LONG_CODE) !== 0
      return code64 ? isCanonical(high) : high === 0
    },
  },
  {
    id: 'guest.linkPointer',
    states:
      'the VMCS link pointer is all ones, or names another VMCS of this revision, a shadow exactly with VMCS shadowing',
    holds: linkPointerValid,
    qualification: QUALIFICATION.linkPointer,
  },
  {
    id: 'guest.pendingDebug.reserved',
    states: 'reserved bits of the pending debug exceptions are 0',
    holds: ({ vmcs }) => (vmcs[PENDING]! & ~PENDING_BITS) === 0 && vmcs[PENDING + 1] === 0,
  },
  {
    id: 'guest.pendingDebug.BS',
    states: 'while STI or MOV SS blocks, or in HLT, pending BS is RFLAGS.TF without IA32_DEBUGCTL.BTF',
    holds: core => {
      const { vmcs } = core
      const held = blocked(core, blockingBySti | blockingByMovSs) || vmcs[ACTIVITY_STATE] === ACTIVITY.hlt
      if (!held) return true
      const steps = (vmcs[GUEST_RFLAGS]! & RFLAGS.TF) !== 0 && (vmcs[GUEST_DEBUGCTL]! & BTF) === 0
      return ((vmcs[PENDING]! & PENDING_BS) !== 0) === steps
    },
  },
  {
    id: 'guest.activity.supported',
    states: 'the activity state is active, HLT, shutdown or wait-for-SIPI',
    holds: ({ vmcs }) => vmcs[ACTIVITY_STATE]! <= ACTIVITY.waitForSipi,
  },
  {
    id: 'guest.activity.CPL',
    states: 'a guest in HLT has SS.DPL 0',
    holds: ({ vmcs }) => vmcs[ACTIVITY_STATE] !== ACTIVITY.hlt || (vmcs[SS_ACCESS_RIGHTS]! & 0x60) === 0,
  },
  {
    id: 'guest.activity.blocking',
    states: 'a guest that is not active has no blocking by STI or MOV SS',
    holds: core => core.vmcs[ACTIVITY_STATE] === 0 || !blocked(core, blockingBySti | blockingByMovSs),
  },
  {
    id: 'guest.activity.injection',
    states:
      'into HLT interrupts, NMIs, debug exceptions, machine checks and the monitor trap flag are injected; into shutdown NMIs and machine checks; into wait-for-SIPI nothing',
    holds: mayInject,
  },
  {
    id: 'guest.interruptibility.reserved',
    states: 'reserved bits, blocking by SMI and enclave interruption are 0',
    holds: ({ vmcs }) => {
      const { blockingByNmi } = INTERRUPTIBILITY
      return (vmcs[INTERRUPTIBILITY_STATE]! & ~(blockingBySti | blockingByMovSs | blockingByNmi)) === 0
    },
  },
  {
    id: 'guest.interruptibility.both',
    states: 'STI and MOV SS do not block at once',
    holds: core => !(blocked(core, blockingBySti) && blocked(core, blockingByMovSs)),
  },
  {
    id: 'guest.interruptibility.IF',
    states: 'blocking by STI needs RFLAGS.IF',
    holds: core => !blocked(core, blockingBySti) || (core.vmcs[GUEST_RFLAGS]! & RFLAGS.IF) !== 0,
  },
  {
    id: 'guest.interruptibility.interrupt',
    states: 'an external interrupt is injected only where neither STI nor MOV SS blocks',
    holds: core =>
      injectedType(core) !== EVENT_TYPE.externalInterrupt || !blocked(core, blockingBySti | blockingByMovSs),
  },
  {
    id: 'guest.interruptibility.NMI',
    states: 'an NMI is injected only where MOV SS does not block',
    holds: core => injectedType(core) !== EVENT_TYPE.nmi || !blocked(core, blockingByMovSs),
  },
  {
    id: 'guest.interruptibility.virtualNMI',
    states: 'with virtual NMIs, an NMI is injected only where NMIs are not blocked',
    holds: core =>
      injectedType(core) !== EVENT_TYPE.nmi ||
      (core.vmcs[PIN]! & PIN_BASED.virtualNmis) === 0 ||
      !blocked(core, INTERRUPTIBILITY.blockingByNmi),
  },
  {
    id: 'guest.PDPTE',
    states: 'with PAE paging, reserved bits of present PDPTEs are 0',
    holds: pdptesValid,
    qualification: QUALIFICATION.pdpte,
  },
]

export const GUEST_RULES: readonly EntryRule[] = [
  ...REGISTER_RULES,
  ...SEGMENT_RULES,
  ...DESCRIPTOR_TABLE_RULES,
  ...MSR_RULES,
  ...OTHER_RULES,
]
