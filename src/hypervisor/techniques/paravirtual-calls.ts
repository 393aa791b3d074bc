/**
 * What a paravirtual kernel does in the place of each sensitive operation: a hypercall, or memory that it shares with the
 * hypervisor. Two interfaces: Xen's, compiled into the kernel; and VMI's, by which the same kernel runs on bare metal.
 */
import type { Operation } from '../../vmx/formats/operations.ts'

/** `shared`: done in memory that both see; `call`: into the hypervisor. */
export interface ParavirtualCall {
  readonly name: string
  readonly number: number
  readonly way: 'shared' | 'call'
}

const call = (name: string, number: number): ParavirtualCall => ({ name, number, way: 'call' })
const shared = (name: string, number: number): ParavirtualCall => ({ name, number, way: 'shared' })

type Calls = Readonly<Partial<Record<Operation['op'], ParavirtualCall>>>

/** Xen's hypercalls (public/xen.h): `number` is that of the hypercall; for shared memory that of the call it spares. */
export const XEN_CALLS: Calls = {
  lidt: call('set_trap_table', 0),
  lgdt: call('set_gdt', 2),
  ltr: call('stack_switch', 3),
  clts: call('fpu_taskswitch', 5),
  lmsw: call('fpu_taskswitch', 5),
  movToDr: call('set_debugreg', 8),
  movFromDr: call('get_debugreg', 9),
  movToCr: call('mmuext_op NEW_BASEPTR', 26),
  invlpg: call('mmuext_op INVLPG_LOCAL', 26),
  invd: call('mmuext_op FLUSH_CACHE', 26),
  wbinvd: call('mmuext_op FLUSH_CACHE', 26),
  lldt: call('mmuext_op SET_LDT', 26),
  iretFrame: call('iret', 23),
  sysexit: call('iret', 23),
  hlt: call('sched_op block', 29),
  wrmsr: call('callback_op', 30),
  rdmsr: call('callback_op', 30),
  in: call('physdev_op', 33),
  out: call('physdev_op', 33),
  cli: shared('evtchn_upcall_mask', 32),
  sti: shared('evtchn_upcall_mask', 32),
  pushf: shared('evtchn_upcall_mask', 32),
  popf: shared('evtchn_upcall_mask', 32),
  movFromCr: shared('vcpu_info', 24),
}

/** VMI's calls (major version 3), whose ROM does in shared memory what needs no hypervisor. */
export const VMI_CALLS: Calls = {
  wrmsr: call('WRMSR', 1),
  rdmsr: call('RDMSR', 2),
  lgdt: call('SetGDT', 3),
  lldt: call('SetLDT', 4),
  lidt: call('SetIDT', 5),
  ltr: call('SetTR', 6),
  movToCr: call('SetCR3', 17),
  movFromCr: shared('GetCR', 20),
  wbinvd: call('WBINVD', 23),
  movToDr: call('SetDR', 24),
  movFromDr: call('GetDR', 25),
  clts: call('CLTS', 28),
  sti: shared('EnableInterrupts', 29),
  cli: shared('DisableInterrupts', 30),
  pushf: shared('GetInterruptMask', 31),
  popf: shared('SetInterruptMask', 32),
  iretFrame: call('IRET', 33),
  sysexit: call('SYSEXIT', 34),
  hlt: call('Halt', 35),
  invlpg: call('InvalPage', 46),
}

export const MMU_UPDATE = { paravirtual: 'mmu_update', vmi: 'SetPxE' } as const
export const MULTICALL = { paravirtual: 'multicall', vmi: 'SetLazyMode' } as const

/** "Relocation types" of the VMI ROM: what becomes of a call site in the kernel. */
export const RELOCATION = { none: 0, callRelative: 1, jumpRelative: 2, nop: 3 } as const

/** The ROM answers the kernel's question at boot; the one of bare metal leaves every site as it is. */
export const relocationOf = (call: ParavirtualCall | undefined, rom: 'native' | 'hypervisor'): number =>
  rom === 'native' || call === undefined ? RELOCATION.none : RELOCATION.callRelative
