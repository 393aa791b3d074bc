/** "Loading Host State" of vmcs12: what L1 finds after an exit of L2, written as the guest state with which L1 goes on. */
import { EXIT_CONTROLS } from '../../vmx/formats/controls.ts'
import { ACCESS_RIGHTS } from '../../vmx/formats/events.ts'
import { CR4, EFER, RFLAGS } from '../../vmx/formats/msrs.ts'
import type { Word64 } from '../../vmx/formats/operations.ts'
import { VMCS, type VmcsFieldName } from '../../vmx/formats/vmcs.ts'
import type { Vmcs } from '../vmcs.ts'
import type { Vmcs12 } from './vmcs12.ts'

const { S, P, L, DB, G, unusable } = ACCESS_RIGHTS
const CODE = 11
const DATA = 3
const BUSY_TASK = 11
const ALL_ONES = 0xffff_ffff
const TASK_LIMIT = 0x67
const TABLE_LIMIT = 0xffff
const DR7_RESET = 0x400

const COPIED = ['Cr0', 'Cr3', 'Rsp', 'Rip', 'FsBase', 'GsBase', 'TrBase', 'GdtrBase', 'IdtrBase'] as const
const ALSO_COPIED = ['SysenterCs', 'SysenterEsp', 'SysenterEip'] as const

/** @param left where PAT and EFER are as the processor had them at the exit. */
export function loadHostState(vmcs12: Vmcs12, vmcs01: Vmcs, left: Vmcs): void {
  const write = (name: VmcsFieldName, value: number): void => vmcs01.write(VMCS[name], value)
  for (const name of [...COPIED, ...ALSO_COPIED]) {
    vmcs01.write(VMCS[`guest${name}`], ...vmcs12.read64(VMCS[`host${name}`]))
  }
  // L1 is in IA-32e mode whenever it enters L2, and returns to it.
  write('guestCr4', vmcs12.read(VMCS.hostCr4) | CR4.PAE)
  write('guestDr7', DR7_RESET)
  write('guestDebugctl', 0)
  const loads = (control: number): boolean => vmcs12.has('exitControls', control)
  vmcs01.write(
    VMCS.guestPat,
    ...(loads(EXIT_CONTROLS.loadPat) ? vmcs12.read64(VMCS.hostPat) : left.read64(VMCS.guestPat)),
  )
  const efer: Word64 = loads(EXIT_CONTROLS.loadEfer)
    ? vmcs12.read64(VMCS.hostEfer)
    : left.read64(VMCS.guestEfer)
  write('guestEfer', efer[0] | EFER.LMA | EFER.LME)
  write('guestCsSelector', vmcs12.read(VMCS.hostCsSelector))
  vmcs01.write(VMCS.guestCsBase, 0)
  write('guestCsLimit', ALL_ONES)
  write('guestCsAccessRights', CODE | S | P | L | G)
  for (const name of ['Ss', 'Ds', 'Es', 'Fs', 'Gs'] as const) {
    const selector = vmcs12.read(VMCS[`host${name}Selector`])
    write(`guest${name}Selector`, selector)
    if (name !== 'Fs' && name !== 'Gs') vmcs01.write(VMCS[`guest${name}Base`], 0)
    write(`guest${name}Limit`, ALL_ONES)
    write(`guest${name}AccessRights`, DATA | S | P | DB | G | (selector === 0 ? unusable : 0))
  }
  write('guestLdtrSelector', 0)
  write('guestLdtrAccessRights', unusable)
  write('guestTrSelector', vmcs12.read(VMCS.hostTrSelector))
  write('guestTrLimit', TASK_LIMIT)
  write('guestTrAccessRights', BUSY_TASK | P)
  write('guestGdtrLimit', TABLE_LIMIT)
  write('guestIdtrLimit', TABLE_LIMIT)
  vmcs01.write(VMCS.guestRflags, RFLAGS.fixed1)
  write('guestInterruptibilityState', 0)
  write('guestActivityState', 0)
  vmcs01.write(VMCS.guestPendingDebugExceptions, 0)
}
