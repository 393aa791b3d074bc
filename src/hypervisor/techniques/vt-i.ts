/**
 * VT-i, the virtualization extension of Itanium, as a profile: this simulator has no Itanium core, so nothing runs. Each
 * operation of a stream is looked up in a table of what its Itanium counterpart does with PSR.vm = 1.
 */
import type { Operation } from '../../vmx/formats/operations.ts'

/** With PSR.vm set every privileged instruction, and the sensitive ones that are not, raise a virtualization fault. */
interface ProfileRow {
  readonly counterpart: string
  /** `fault`: virtualization fault; `accelerated`: none once the VMM enables the optimization; `native`: runs as it is. */
  readonly behaviour: 'fault' | 'accelerated' | 'native'
}

const row = (counterpart: string, behaviour: ProfileRow['behaviour']): ProfileRow => ({
  counterpart,
  behaviour,
})

export const VT_I_PROFILE: Readonly<Partial<Record<Operation['op'], ProfileRow>>> = {
  cli: row('rsm psr.i', 'accelerated'),
  sti: row('ssm psr.i', 'accelerated'),
  popf: row('mov psr.l', 'fault'),
  pushf: row('mov from psr', 'fault'),
  cpuid: row('mov from cpuid', 'fault'),
  movToCr: row('mov to cr, mov to rr', 'fault'),
  movFromCr: row('mov from cr', 'accelerated'),
  rdmsr: row('mov from msr', 'fault'),
  wrmsr: row('mov to msr', 'fault'),
  invlpg: row('ptc.l', 'fault'),
  hlt: row('PAL_HALT_LIGHT', 'fault'),
  iretFrame: row('rfi', 'accelerated'),
  lidt: row('mov to cr.iva', 'fault'),
  lgdt: row('mov to cr.kr', 'fault'),
  int: row('break', 'native'),
  sysenter: row('epc', 'native'),
  sysexit: row('br.ret', 'native'),
  in: row('load from I/O port space', 'fault'),
  out: row('store to I/O port space', 'fault'),
}

export interface ViEstimate {
  readonly faults: number
  readonly accelerated: number
  readonly native: number
}

/** Counts how a stream's operations would fare. Memory references that miss the TLB are not counted. */
export function profileOf(operations: Iterable<Operation>): ViEstimate {
  const counts = { fault: 0, accelerated: 0, native: 0 }
  for (const { op } of operations) counts[VT_I_PROFILE[op]?.behaviour ?? 'native']++
  return { faults: counts.fault, accelerated: counts.accelerated, native: counts.native }
}
