/** "Checks on Host Control Registers, MSRs, and SSP" and on host segments: a broken rule gives error 8. */
import { CR0_FIXED0, CR4_FIXED0, cr4Allowed } from './capabilities.ts'
import type { Core } from './core.ts'
import type { EntryRule } from './entry-rule.ts'
import { ENTRY_CONTROLS, EXIT_CONTROLS } from './formats/controls.ts'
import { CR4, EFER } from './formats/msrs.ts'
import { isPerfGlobalReserved } from './msr-access.ts'
import { isCanonical, isEferReserved, isPatHalfValid } from './values.ts'
import { slot } from './vmcs-layout.ts'

const EXIT_FIELD = slot('exitControls')
const has = (core: Core, control: number): boolean => (core.vmcs[EXIT_FIELD]! & control) !== 0

const HOST_CR0 = slot('hostCr0')
const HOST_CR3 = slot('hostCr3')
const HOST_CR4 = slot('hostCr4')
const HOST_PAT = slot('hostPat')
const HOST_EFER = slot('hostEfer')
const ENTRY_FIELD = slot('entryControls')
const HOST_RIP = slot('hostRip')
const HOST_SS = slot('hostSsSelector')
const HOST_PERF_GLOBAL = slot('hostPerfGlobalCtrl')
const HOST_CS = slot('hostCsSelector')
const HOST_TR = slot('hostTrSelector')

const selectorRule = (name: 'Es' | 'Cs' | 'Ss' | 'Ds' | 'Fs' | 'Gs' | 'Tr'): EntryRule => {
  const field = slot(`host${name}Selector`)
  return {
    id: `host.${name.toUpperCase()}.selector`,
    states: `RPL and TI of the host ${name.toUpperCase()} selector are 0`,
    holds: core => (core.vmcs[field]! & 7) === 0,
  }
}

const canonicalRule = (
  id: string,
  name: `host${'Fs' | 'Gs' | 'Tr' | 'Gdtr' | 'Idtr'}Base` | 'hostSysenterEsp' | 'hostSysenterEip',
): EntryRule => {
  const field = slot(name)
  return {
    id: `host.${id}`,
    states: `the host ${id} is canonical`,
    holds: core => isCanonical(core.vmcs[field + 1]! | 0),
  }
}

const long = (core: Core): boolean => has(core, EXIT_CONTROLS.hostAddressSpaceSize)
const entersLong = (core: Core): boolean => (core.vmcs[ENTRY_FIELD]! & ENTRY_CONTROLS.ia32eModeGuest) !== 0

export const HOST_RULES: readonly EntryRule[] = [
  {
    id: 'host.addressSpaceSize',
    states: 'a processor returns to a 64-bit host exactly if it is in IA-32e mode now',
    holds: core => long(core) === core.ia32eMode,
  },
  {
    id: 'host.ia32eModeGuest',
    states: 'only a 64-bit host has IA-32e mode guests',
    holds: core => long(core) || !entersLong(core),
  },
  {
    id: 'host.CR4.PCIDE',
    states: 'a host that is not 64-bit has CR4.PCIDE clear',
    holds: core => long(core) || (core.vmcs[HOST_CR4]! & CR4.PCIDE) === 0,
  },
  {
    id: 'host.CR4.PAE',
    states: 'a 64-bit host has CR4.PAE set',
    holds: core => !long(core) || (core.vmcs[HOST_CR4]! & CR4.PAE) !== 0,
  },
  {
    id: 'host.RIP',
    states: 'the host RIP is canonical, or below 2^32 if the host is not 64-bit',
    holds: core => {
      const high = core.vmcs[HOST_RIP + 1]! | 0
      return long(core) ? isCanonical(high) : high === 0
    },
  },
  {
    id: 'host.CR0',
    states: 'host CR0 obeys the fixed bits',
    holds: ({ vmcs }) => (~vmcs[HOST_CR0]! & CR0_FIXED0) === 0 && vmcs[HOST_CR0 + 1] === 0,
  },
  {
    id: 'host.CR4',
    states: 'host CR4 obeys the fixed bits',
    holds: ({ vmcs, capabilities }) =>
      (~vmcs[HOST_CR4]! & CR4_FIXED0) === 0 &&
      (vmcs[HOST_CR4]! & ~cr4Allowed(capabilities)) === 0 &&
      vmcs[HOST_CR4 + 1] === 0,
  },
  {
    id: 'host.CR3',
    states: 'host CR3 lies within MAXPHYADDR',
    holds: core => !core.beyondWidth(core.vmcs[HOST_CR3 + 1]! | 0),
  },
  ...(['Cs', 'Ss', 'Ds', 'Es', 'Fs', 'Gs', 'Tr'] as const).map(selectorRule),
  {
    id: 'host.CS.null',
    states: 'the host CS selector is not 0',
    holds: core => core.vmcs[HOST_CS]! !== 0,
  },
  {
    id: 'host.TR.null',
    states: 'the host TR selector is not 0',
    holds: core => core.vmcs[HOST_TR]! !== 0,
  },
  {
    id: 'host.SS.null',
    states: 'the host SS selector is not 0 if the host is not 64-bit',
    holds: core => long(core) || core.vmcs[HOST_SS]! !== 0,
  },
  canonicalRule('FS.base', 'hostFsBase'),
  canonicalRule('GS.base', 'hostGsBase'),
  canonicalRule('TR.base', 'hostTrBase'),
  canonicalRule('GDTR.base', 'hostGdtrBase'),
  canonicalRule('IDTR.base', 'hostIdtrBase'),
  canonicalRule('SYSENTER_ESP', 'hostSysenterEsp'),
  canonicalRule('SYSENTER_EIP', 'hostSysenterEip'),
  {
    id: 'host.PAT',
    states: 'host IA32_PAT, if loaded, has legal memory types',
    holds: core =>
      !has(core, EXIT_CONTROLS.loadPat) ||
      (isPatHalfValid(core.vmcs[HOST_PAT]! | 0) && isPatHalfValid(core.vmcs[HOST_PAT + 1]! | 0)),
  },
  {
    id: 'host.PERF_GLOBAL_CTRL',
    states: 'reserved bits of host IA32_PERF_GLOBAL_CTRL, if loaded, are 0',
    holds: core =>
      !has(core, EXIT_CONTROLS.loadPerfGlobalCtrl) ||
      !isPerfGlobalReserved(core.vmcs[HOST_PERF_GLOBAL]!, core.vmcs[HOST_PERF_GLOBAL + 1]!),
  },
  {
    id: 'host.EFER',
    states:
      'host IA32_EFER, if loaded, has no reserved bit set, and LMA and LME as the host address-space size',
    holds: core => {
      if (!has(core, EXIT_CONTROLS.loadEfer)) return true
      const low = core.vmcs[HOST_EFER]!
      const mode = EFER.LMA | EFER.LME
      return !isEferReserved(low, core.vmcs[HOST_EFER + 1]!) && (low & mode) === (long(core) ? mode : 0)
    },
  },
]
