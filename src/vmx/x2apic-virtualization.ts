/** "Virtualizing MSR-Based APIC Accesses": RDMSR and WRMSR of 800H to 8FFH that the MSR bitmaps let through. */
import { LOCAL_APIC, x2apicMsr } from '../interrupts/formats/local-apic.ts'
import type { Core } from './core.ts'
import { SECONDARY, TERTIARY } from './formats/controls.ts'
import { EXIT_REASON } from './formats/exit-reasons.ts'
import { virtualizeIpi } from './ipi-virtualization.ts'
import { virtualApicWords } from './virtual-apic-page.ts'
import { virtualizeEoi, virtualizeSelfIpi, virtualizeTpr } from './virtual-interrupts.ts'

const MSR_TPR = x2apicMsr(LOCAL_APIC.TPR)
const MSR_EOI = x2apicMsr(LOCAL_APIC.EOI)
const MSR_ICR = x2apicMsr(LOCAL_APIC.ICR_LOW)
const MSR_SELF_IPI = x2apicMsr(LOCAL_APIC.SELF_IPI)

/** How a WRMSR was taken. */
export const X2APIC_WRITE = { notVirtualized: 0, done: 1, generalProtection: 2 } as const

/** True: virtualized, and the value is in `core.msrValue`. No register is reserved, and the APIC's own mode is of no account. */
export function readVirtualX2apic(core: Core, msr: number): boolean {
  const controls = core.secondaryControls
  if ((controls & SECONDARY.virtualizeX2apicMode) === 0) return false
  if (msr !== MSR_TPR && (controls & SECONDARY.apicRegisterVirtualization) === 0) return false
  const page = virtualApicWords(core)
  const at = (msr & 0xff) << 2
  core.msrValue[0] = page[at]!
  core.msrValue[1] = page[at + 1]!
  return true
}

/** One of {@link X2APIC_WRITE}. */
export function writeVirtualX2apic(core: Core, msr: number, low: number, high: number): number {
  const controls = core.secondaryControls
  const { notVirtualized, done, generalProtection } = X2APIC_WRITE
  if ((controls & SECONDARY.virtualizeX2apicMode) === 0) return notVirtualized
  const delivers = (controls & SECONDARY.virtualInterruptDelivery) !== 0
  switch (msr) {
    case MSR_TPR: {
      if ((low & ~0xff) !== 0 || high !== 0) return generalProtection
      const page = store(core, msr, low, high)
      virtualizeTpr(core, page)
      return done
    }
    case MSR_EOI: {
      if (!delivers) return notVirtualized
      if (low !== 0 || high !== 0) return generalProtection
      const page = store(core, msr, low, high)
      virtualizeEoi(core, page)
      return done
    }
    case MSR_SELF_IPI: {
      if (!delivers) return notVirtualized
      if ((low & ~0xff) !== 0 || high !== 0) return generalProtection
      const page = store(core, msr, low, high)
      if (low >= 16) virtualizeSelfIpi(core, page, low)
      else core.virtualApic.setTrap(EXIT_REASON.apicWrite, LOCAL_APIC.SELF_IPI)
      return done
    }
    case MSR_ICR: {
      if ((core.tertiaryControls & TERTIARY.ipiVirtualization) === 0) return notVirtualized
      if ((low & RESERVED_COMMAND) !== 0) return generalProtection
      store(core, msr, low, high)
      if (!virtualizeIpi(core, low, high)) core.virtualApic.setTrap(EXIT_REASON.apicWrite, LOCAL_APIC.ICR_LOW)
      return done
    }
  }
  return notVirtualized
}

/** ICR bits 31:20, 17:16 and 13. */
const RESERVED_COMMAND = 0xfff3_2000

/** The 8 bytes of the register's field; the high half beside the xAPIC registers. */
function store(core: Core, msr: number, low: number, high: number): Uint32Array {
  const page = virtualApicWords(core)
  const at = (msr & 0xff) << 2
  page[at] = low
  page[at + 1] = high
  return page
}
