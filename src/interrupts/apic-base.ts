/** "x2APIC State Transitions": which values WRMSR may give IA32_APIC_BASE. */
import { APIC_BASE } from './formats/local-apic.ts'

const { BSP, EXTD, EN } = APIC_BASE

/** Disabled, xAPIC and x2APIC follow each other in this order; from either of the last two back to disabled. */
export function isBaseLegal(
  current: number,
  low: number,
  high: number,
  physicalAddressWidth: number,
): boolean {
  if ((low & 0xfff & ~(BSP | EXTD | EN)) !== 0 || high >= 2 ** (physicalAddressWidth - 32)) return false
  const from = current & (EN | EXTD)
  switch (low & (EN | EXTD)) {
    case 0:
      return true
    case EN:
      return from !== (EN | EXTD)
    case EN | EXTD:
      return from !== 0
  }
  return false
}
