/** The virtual-APIC page: where the registers of the guest's local APIC lie in memory. */
import { LOCAL_APIC } from '../interrupts/formats/local-apic.ts'
import type { Core } from './core.ts'
import { slot } from './vmcs-layout.ts'

const ADDRESS = slot('virtualApicAddress')

/** Words of the registers, which are 16 bytes apart as in the xAPIC page. */
export const VAPIC = {
  STRIDE: 4,
  TPR: LOCAL_APIC.TPR >>> 2,
  PPR: LOCAL_APIC.PPR >>> 2,
  EOI: LOCAL_APIC.EOI >>> 2,
  ISR: LOCAL_APIC.ISR >>> 2,
  IRR: LOCAL_APIC.IRR >>> 2,
  ICR_LOW: LOCAL_APIC.ICR_LOW >>> 2,
  ICR_HIGH: LOCAL_APIC.ICR_HIGH >>> 2,
} as const

/** Where no RAM answers, writes are lost. */
const NOWHERE = new Uint32Array(1024)

/** Page number in a 64-bit address field of the current VMCS. */
export const pageField = (core: Core, field: number): number =>
  core.vmcs[field + 1]! * 2 ** 20 + (core.vmcs[field]! >>> 12)

export function virtualApicWords(core: Core): Uint32Array {
  const page = core.memory.pageForWrite(pageField(core, ADDRESS))
  return page === undefined ? NOWHERE.fill(0xffff_ffff) : page.words
}
