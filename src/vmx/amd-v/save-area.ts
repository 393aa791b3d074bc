/** The state-save area of a VMCB: which of its fields go to which registers. */
import type { Core } from '../core.ts'
import { VMCB } from '../formats/amd-v.ts'
import { ACCESS_RIGHTS } from '../formats/events.ts'
import { REGISTER, SEGMENTS } from '../registers.ts'

const { unusable, P } = ACCESS_RIGHTS
/** Segments that VMRUN itself switches; VMLOAD and VMSAVE do the others. */
export const SWITCHED = [
  ['Es', VMCB.es],
  ['Cs', VMCB.cs],
  ['Ss', VMCB.ss],
  ['Ds', VMCB.ds],
] as const
export const LOADED = [
  ['Fs', VMCB.fs],
  ['Gs', VMCB.gs],
  ['Tr', VMCB.tr],
  ['Ldtr', VMCB.ldtr],
] as const

/** The VMCB's words, in memory. */
export const vmcbWords = (core: Core): Uint32Array => core.memory.pageForWrite(core.svm.vmcbPage)!.words

export const at = (offset: number): number => offset >>> 2

export const segmentOf = (name: string) => SEGMENTS.find(segment => segment.name === name)!

/** Attributes of a VMCB segment: access rights without their gap. */
export function loadSegment(core: Core, words: Uint32Array, name: string, offset: number): void {
  const { registers } = core
  const { selector, accessRights, limit, base } = segmentOf(name)
  const attributes = words[at(offset)]! >>> 16
  registers[selector] = words[at(offset)]! & 0xffff
  registers[accessRights] =
    (attributes & 0xff) | ((attributes & 0xf00) << 4) | ((attributes & P) === 0 ? unusable : 0)
  registers[limit] = words[at(offset) + 1]!
  registers[base] = words[at(offset) + 2]!
  registers[base + 1] = words[at(offset) + 3]!
}

export function saveSegment(core: Core, words: Uint32Array, name: string, offset: number): void {
  const { registers } = core
  const { selector, accessRights, limit, base } = segmentOf(name)
  const rights = registers[accessRights]!
  const attributes = (rights & unusable) !== 0 ? 0 : (rights & 0xff) | ((rights >>> 4) & 0xf00)
  words[at(offset)] = (attributes << 16) | registers[selector]!
  words[at(offset) + 1] = registers[limit]!
  words[at(offset) + 2] = registers[base]!
  words[at(offset) + 3] = registers[base + 1]!
}

/** 64-bit registers of the save area that VMRUN and #VMEXIT switch. */
export const WIDE = [
  [REGISTER.cr4, VMCB.cr4],
  [REGISTER.cr3, VMCB.cr3],
  [REGISTER.cr0, VMCB.cr0],
  [REGISTER.dr7, VMCB.dr7],
  [REGISTER.rflags, VMCB.rflags],
  [REGISTER.rip, VMCB.rip],
  [REGISTER.rsp, VMCB.rsp],
] as const
export const SYSENTER = [
  [REGISTER.sysenterEsp, VMCB.sysenterEsp],
  [REGISTER.sysenterEip, VMCB.sysenterEip],
] as const

/** Descriptor tables: base, limit, offset. */
export const TABLES = [
  [REGISTER.gdtrBase, REGISTER.gdtrLimit, VMCB.gdtr],
  [REGISTER.idtrBase, REGISTER.idtrLimit, VMCB.idtr],
] as const
