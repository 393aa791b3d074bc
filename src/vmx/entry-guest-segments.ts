/** "Checks on Guest Segment Registers", "Checks on Guest Descriptor-Table Registers". */
import type { Core } from './core.ts'
import type { EntryRule } from './entry-rule.ts'
import { ENTRY_CONTROLS, SECONDARY } from './formats/controls.ts'
import { ACCESS_RIGHTS } from './formats/events.ts'
import { CR0, RFLAGS } from './formats/msrs.ts'
import { isCanonical } from './values.ts'
import { slot } from './vmcs-layout.ts'

const { S, P, L, DB, G, unusable } = ACCESS_RIGHTS
/** Bits 11:8 and 31:17 of the access rights are reserved. */
const RESERVED = 0xfffe_0f00

const ENTRY_FIELD = slot('entryControls')
const GUEST_RFLAGS = slot('guestRflags')
const GUEST_CR0 = slot('guestCr0')

type Name = 'Es' | 'Cs' | 'Ss' | 'Ds' | 'Fs' | 'Gs' | 'Ldtr' | 'Tr'

/** VMCS words of one segment register. */
interface Segment {
  readonly label: string
  readonly selector: number
  readonly base: number
  readonly limit: number
  readonly rights: number
}
const segment = (name: Name): Segment => ({
  label: name.toUpperCase(),
  selector: slot(`guest${name}Selector`),
  base: slot(`guest${name}Base`),
  limit: slot(`guest${name}Limit`),
  rights: slot(`guest${name}AccessRights`),
})
const CS = segment('Cs')
const SS = segment('Ss')
const LDTR = segment('Ldtr')
const TR = segment('Tr')
const DATA = (['Ds', 'Es', 'Fs', 'Gs'] as const).map(segment)
const CODE_AND_DATA = [CS, SS, ...DATA]

const rightsOf = ({ vmcs }: Core, { rights }: Segment): number => vmcs[rights]!
const typeOf = (core: Core, of: Segment): number => rightsOf(core, of) & 0xf
const dplOf = (core: Core, of: Segment): number => (rightsOf(core, of) >>> 5) & 3
const rplOf = ({ vmcs }: Core, { selector }: Segment): number => vmcs[selector]! & 3
const usable = (core: Core, of: Segment): boolean => (rightsOf(core, of) & unusable) === 0
const virtual8086 = ({ vmcs }: Core): boolean => (vmcs[GUEST_RFLAGS]! & RFLAGS.VM) !== 0
const unrestricted = (core: Core): boolean => (core.secondaryControls & SECONDARY.unrestrictedGuest) !== 0
const realMode = ({ vmcs }: Core): boolean => (vmcs[GUEST_CR0]! & CR0.PE) === 0
const ia32e = ({ vmcs }: Core): boolean => (vmcs[ENTRY_FIELD]! & ENTRY_CONTROLS.ia32eModeGuest) !== 0

/** Limit bits 11:0 not all 1 need G clear; bits 31:20 not all 0 need G set. */
function granular({ vmcs }: Core, { limit, rights }: Segment): boolean {
  const value = vmcs[limit]!
  const g = (vmcs[rights]! & G) !== 0
  return g ? (value & 0xfff) === 0xfff : value >>> 20 === 0
}

const low32 = ({ vmcs }: Core, { base }: Segment): boolean => vmcs[base + 1] === 0

/** A rule outside virtual-8086 mode. */
const rule = (of: Segment, aspect: string, states: string, holds: (core: Core) => boolean): EntryRule => ({
  id: `guest.${of.label}.${aspect}`,
  states: `${of.label}: ${states}`,
  holds: core => virtual8086(core) || holds(core),
})

const virtual8086Rule = (of: Segment): EntryRule => ({
  id: `guest.${of.label}.virtual8086`,
  states: `${of.label}: in virtual-8086 mode the base is selector * 16, the limit 0xFFFF, the access rights 0xF3`,
  holds: core => {
    const { vmcs } = core
    if (!virtual8086(core)) return true
    return (
      vmcs[of.base] === vmcs[of.selector]! << 4 &&
      vmcs[of.base + 1] === 0 &&
      vmcs[of.limit] === 0xffff &&
      vmcs[of.rights] === 0xf3
    )
  },
})

function codeTypeValid(core: Core): boolean {
  const type = typeOf(core, CS)
  return (type & 9) === 9 || (type === 3 && unrestricted(core))
}

function codeDplValid(core: Core): boolean {
  const dpl = dplOf(core, CS)
  const stack = dplOf(core, SS)
  const type = typeOf(core, CS)
  if (type === 3) return dpl === 0
  return type < 12 ? dpl === stack : dpl <= stack
}

function stackDplValid(core: Core): boolean {
  const dpl = dplOf(core, SS)
  if (!unrestricted(core) && dpl !== rplOf(core, SS)) return false
  return dpl === 0 || !(typeOf(core, CS) === 3 || realMode(core))
}

const stackTypeValid = (core: Core): boolean => !usable(core, SS) || (typeOf(core, SS) & ~4) === 3
/** Accessed; and readable if code. */
const dataTypeValid = (core: Core, of: Segment): boolean => {
  const type = typeOf(core, of)
  return !usable(core, of) || ((type & 1) !== 0 && ((type & 8) === 0 || (type & 2) !== 0))
}

const dataDplValid = (core: Core, of: Segment): boolean =>
  unrestricted(core) || !usable(core, of) || typeOf(core, of) > 11 || dplOf(core, of) >= rplOf(core, of)

const commonRules = (of: Segment): EntryRule[] => {
  const applies = (core: Core): boolean => of === CS || usable(core, of)
  return [
    rule(of, 'present', 'a code or data segment, present, no reserved access right', core => {
      const rights = rightsOf(core, of)
      return !applies(core) || ((rights & (S | P)) === (S | P) && (rights & RESERVED) === 0)
    }),
    rule(
      of,
      'granularity',
      'granularity agrees with the limit',
      core => !applies(core) || granular(core, of),
    ),
  ]
}

const canonicalBase = (of: Segment, whenUnusable: boolean): EntryRule => ({
  id: `guest.${of.label}.base`,
  states: `${of.label}: the base is canonical`,
  holds: core => (!whenUnusable && !usable(core, of)) || isCanonical(core.vmcs[of.base + 1]! | 0),
})

const low32Rule = (of: Segment): EntryRule => ({
  id: `guest.${of.label}.base`,
  states: `${of.label}: base bits 63:32 are 0`,
  holds: core => (of !== CS && !usable(core, of)) || low32(core, of),
})

export const SEGMENT_RULES: readonly EntryRule[] = [
  ...CODE_AND_DATA.map(virtual8086Rule),
  rule(SS, 'RPL', 'the RPL is that of CS', core => unrestricted(core) || rplOf(core, SS) === rplOf(core, CS)),
  ...CODE_AND_DATA.map(of =>
    of.label === 'FS' || of.label === 'GS' ? canonicalBase(of, true) : low32Rule(of),
  ),
  rule(CS, 'type', 'accessed code, or accessed data of an unrestricted guest', codeTypeValid),
  rule(SS, 'type', 'accessed, writable data', stackTypeValid),
  ...DATA.map(of => rule(of, 'type', 'accessed, and readable if code', core => dataTypeValid(core, of))),
  ...CODE_AND_DATA.flatMap(commonRules),
  rule(
    CS,
    'DPL',
    'DPL 0 for data, that of SS if non-conforming, at most that of SS if conforming',
    codeDplValid,
  ),
  rule(SS, 'DPL', 'DPL is RPL; 0 in real mode and with a data segment in CS', stackDplValid),
  ...DATA.map(of => rule(of, 'DPL', 'DPL is not below RPL', core => dataDplValid(core, of))),
  rule(
    CS,
    'DB',
    'D is 0 in 64-bit code',
    core => !ia32e(core) || (rightsOf(core, CS) & (L | DB)) !== (L | DB),
  ),
]

const wholeBase = (name: 'guestGdtrBase' | 'guestIdtrBase', label: string): EntryRule => {
  const field = slot(name)
  return {
    id: `guest.${label}.base`,
    states: `${label}: the base is canonical`,
    holds: ({ vmcs }) => isCanonical(vmcs[field + 1]! | 0),
  }
}
const shortLimit = (name: 'guestGdtrLimit' | 'guestIdtrLimit', label: string): EntryRule => {
  const field = slot(name)
  return {
    id: `guest.${label}.limit`,
    states: `${label}: limit bits 31:16 are 0`,
    holds: ({ vmcs }) => vmcs[field]! >>> 16 === 0,
  }
}

export const DESCRIPTOR_TABLE_RULES: readonly EntryRule[] = [
  wholeBase('guestGdtrBase', 'GDTR'),
  wholeBase('guestIdtrBase', 'IDTR'),
  shortLimit('guestGdtrLimit', 'GDTR'),
  shortLimit('guestIdtrLimit', 'IDTR'),
  {
    id: 'guest.LDTR.selector',
    states: 'LDTR: a usable one has TI 0',
    holds: core => !usable(core, LDTR) || (core.vmcs[LDTR.selector]! & 4) === 0,
  },
  canonicalBase(LDTR, false),
  {
    id: 'guest.LDTR.accessRights',
    states: 'LDTR: a usable one is a present LDT whose granularity agrees with the limit',
    holds: core =>
      !usable(core, LDTR) ||
      ((rightsOf(core, LDTR) & (RESERVED | 0xf | S | P)) === (2 | P) && granular(core, LDTR)),
  },
  {
    id: 'guest.TR.selector',
    states: 'TR: TI is 0',
    holds: core => (core.vmcs[TR.selector]! & 4) === 0,
  },
  canonicalBase(TR, true),
  {
    id: 'guest.TR.accessRights',
    states:
      'TR: a usable, present, busy TSS (16-bit only outside IA-32e mode); granularity agrees with the limit',
    holds: core => {
      const type = typeOf(core, TR)
      const busy = type === 11 || (type === 3 && !ia32e(core))
      const shape = (rightsOf(core, TR) & (RESERVED | unusable | S | P)) === P
      return busy && shape && granular(core, TR)
    },
  },
]
