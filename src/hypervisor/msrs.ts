/** Model-specific registers of a guest. What is not here raises a general protection fault in the guest. */
import { LOCAL_APIC, XAPIC_BASE } from '../interrupts/formats/local-apic.ts'
import { MSR } from '../vmx/formats/msrs.ts'
import type { Word64 } from '../vmx/formats/operations.ts'
import type { VirtualApic } from './virtual-apic.ts'

const X2APIC_FIRST = 0x800
const X2APIC_LAST = 0x8ff

const isX2apic = (msr: number): boolean => msr >= X2APIC_FIRST && msr <= X2APIC_LAST
const offsetOf = (msr: number): number => (msr - X2APIC_FIRST) << 4

/** @param now nanoseconds: the guest's time-stamp counter runs at 1 GHz. */
export function readVirtualMsr(msr: number, apic: VirtualApic, now: number): Word64 | undefined {
  if (msr === MSR.IA32_APIC_BASE) return [(XAPIC_BASE | apic.base) >>> 0, 0]
  if (msr === MSR.IA32_TIME_STAMP_COUNTER) return [now >>> 0, Math.floor(now / 2 ** 32)]
  if (!isX2apic(msr) || !apic.x2apic) return undefined
  const low = apic.read(offsetOf(msr))
  if (low === undefined) return undefined
  return [low, offsetOf(msr) === LOCAL_APIC.ICR_LOW ? apic.interruptCommandHigh : 0]
}

/** False: a general protection fault. */
export function writeVirtualMsr(msr: number, [low, high]: Word64, apic: VirtualApic): boolean {
  if (msr === MSR.IA32_APIC_BASE) {
    // The page cannot be moved.
    const address = (low & 0xffff_f000) >>> 0
    return high === 0 && address === XAPIC_BASE && apic.writeBase(low)
  }
  if (!isX2apic(msr) || !apic.x2apic) return false
  const offset = offsetOf(msr)
  if (high !== 0 && offset !== LOCAL_APIC.ICR_LOW) return false
  return apic.write(offset, low, high)
}
