/** IA32_APIC_BASE: the mode of a local APIC, and where its xAPIC page lies. */
import { APIC_BASE } from './formats/local-apic.ts'

const { BSP, EXTD, EN } = APIC_BASE

export class ApicBase {
  readonly words = new Uint32Array(2)
  /** Base of the xAPIC page as a page number, or -1 where there is none: disabled, or x2APIC mode. */
  page = -1

  set(low: number, high: number): void {
    this.words[0] = low
    this.words[1] = high
    this.page = (low & (EN | EXTD)) === EN ? high * 2 ** 20 + (low >>> 12) : -1
  }

  /** Globally enabled. */
  get enabled(): boolean {
    return (this.words[0]! & EN) !== 0
  }

  get x2apic(): boolean {
    return (this.words[0]! & EXTD) !== 0
  }
}

/**
 * "x2APIC State Transitions": which values WRMSR may give IA32_APIC_BASE. Disabled, xAPIC and x2APIC follow each other
 * in this order; from either of the last two back to disabled.
 */
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
