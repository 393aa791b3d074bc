/**
 * The processor's own registers, laid out as the guest-state area of the VMCS: entering and leaving a guest is then one
 * copy of words. A register wider than 32 bits continues in the next word.
 */
import { CR4_FIXED0 } from './capabilities.ts'
import { ACCESS_RIGHTS } from './formats/events.ts'
import { CR0, CR4, EFER, RFLAGS } from './formats/msrs.ts'
import { GUEST_STATE_WORDS, registerIndex } from './vmcs-layout.ts'

export const REGISTER = {
  cr0: registerIndex('guestCr0'),
  cr3: registerIndex('guestCr3'),
  cr4: registerIndex('guestCr4'),
  dr7: registerIndex('guestDr7'),
  rsp: registerIndex('guestRsp'),
  rip: registerIndex('guestRip'),
  rflags: registerIndex('guestRflags'),
  debugctl: registerIndex('guestDebugctl'),
  pat: registerIndex('guestPat'),
  efer: registerIndex('guestEfer'),
  sysenterCs: registerIndex('guestSysenterCs'),
  sysenterEsp: registerIndex('guestSysenterEsp'),
  sysenterEip: registerIndex('guestSysenterEip'),
  fsBase: registerIndex('guestFsBase'),
  gsBase: registerIndex('guestGsBase'),
  gdtrBase: registerIndex('guestGdtrBase'),
  gdtrLimit: registerIndex('guestGdtrLimit'),
  idtrBase: registerIndex('guestIdtrBase'),
  idtrLimit: registerIndex('guestIdtrLimit'),
  trBase: registerIndex('guestTrBase'),
  csSelector: registerIndex('guestCsSelector'),
  csBase: registerIndex('guestCsBase'),
  csAccessRights: registerIndex('guestCsAccessRights'),
  ssSelector: registerIndex('guestSsSelector'),
  ssBase: registerIndex('guestSsBase'),
  ssAccessRights: registerIndex('guestSsAccessRights'),
  ldtrSelector: registerIndex('guestLdtrSelector'),
  ldtrBase: registerIndex('guestLdtrBase'),
  ldtrLimit: registerIndex('guestLdtrLimit'),
  ldtrAccessRights: registerIndex('guestLdtrAccessRights'),
  trSelector: registerIndex('guestTrSelector'),
  trLimit: registerIndex('guestTrLimit'),
  trAccessRights: registerIndex('guestTrAccessRights'),
  pdpte0: registerIndex('guestPdpte0'),
  interruptibility: registerIndex('guestInterruptibilityState'),
  activity: registerIndex('guestActivityState'),
  pendingDebug: registerIndex('guestPendingDebugExceptions'),
} as const

/** The segment registers, in the VMCS's order. */
export const SEGMENT_NAMES = ['Es', 'Cs', 'Ss', 'Ds', 'Fs', 'Gs', 'Ldtr', 'Tr'] as const

export interface SegmentIndices {
  readonly name: (typeof SEGMENT_NAMES)[number]
  readonly selector: number
  readonly limit: number
  readonly accessRights: number
  readonly base: number
}

export const SEGMENTS: readonly SegmentIndices[] = SEGMENT_NAMES.map(name => ({
  name,
  selector: registerIndex(`guest${name}Selector`),
  limit: registerIndex(`guest${name}Limit`),
  accessRights: registerIndex(`guest${name}AccessRights`),
  base: registerIndex(`guest${name}Base`),
}))

const { S, P, L, DB, G, unusable } = ACCESS_RIGHTS
/** Flat segments of 64-bit code, data, and a busy TSS. */
const CODE_64 = 11 | S | P | L | G
const CODE_32 = 11 | S | P | DB | G
const DATA = 3 | S | P | DB | G
const BUSY_TSS = 11 | P

/** Sets the hidden parts of the segments as a 64-bit kernel, or a VM exit to one, leaves them. Bases of FS, GS, TR are kept. */
export function loadFlatSegments(registers: Uint32Array, code64 = true): void {
  for (const { name, selector, limit, accessRights, base } of SEGMENTS) {
    const isTask = name === 'Tr'
    const isNull = name === 'Ldtr' || (registers[selector] === 0 && name !== 'Cs' && !isTask)
    registers[limit] = isTask ? 0x67 : 0xffff_ffff
    registers[accessRights] = isNull
      ? unusable | DB
      : isTask
        ? BUSY_TSS
        : name === 'Cs'
          ? code64
            ? CODE_64
            : CODE_32
          : DATA
    if (name === 'Ldtr') registers[selector] = 0
    if (name === 'Fs' || name === 'Gs' || isTask) continue
    registers[base] = 0
    registers[base + 1] = 0
  }
}

/**
 * What a processor holds when software of this machine first meets it: 64-bit mode at CPL 0 with CR4.VMXE set, as early
 * boot code leaves it. Interrupts are off.
 */
export function bootRegisters(): Uint32Array {
  const registers = new Uint32Array(GUEST_STATE_WORDS)
  registers[REGISTER.cr0] = CR0.PG | CR0.WP | CR0.NE | CR0.ET | CR0.PE
  registers[REGISTER.cr4] = CR4.PAE | CR4_FIXED0
  registers[REGISTER.efer] = EFER.LME | EFER.LMA | EFER.NXE | EFER.SCE
  registers[REGISTER.rflags] = RFLAGS.fixed1
  registers[REGISTER.dr7] = 0x400
  registers[REGISTER.pat] = 0x0007_0406
  registers[REGISTER.pat + 1] = 0x0007_0406
  for (const { name, selector } of SEGMENTS) {
    if (name !== 'Ldtr') registers[selector] = name === 'Cs' ? 0x10 : name === 'Tr' ? 0x40 : 0x18
  }
  loadFlatSegments(registers)
  registers[REGISTER.gdtrLimit] = 0xffff
  registers[REGISTER.idtrLimit] = 0xffff
  return registers
}

/** The privilege level that a stack segment's access rights stand for. */
export const withPrivilegeLevel = (accessRights: number, level: number): number =>
  (accessRights & ~ACCESS_RIGHTS.DPL) | (level << 5)
