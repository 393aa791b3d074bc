/** CPUID: the leaves by which software finds what this core has. Everything else reads as zero. */
import type { Core } from './core.ts'

/** "GenuineIntel" in EBX, EDX, ECX. */
const VENDOR = { ebx: 0x756e_6547, ecx: 0x6c65_746e, edx: 0x4965_6e69 } as const
const HIGHEST_BASIC = 0x1f
const HIGHEST_EXTENDED = 0x8000_0008

const SIGNATURE = 0x0005_0657
const FEATURES_ECX =
  (1 << 5) | // VMX
  (1 << 21) | // x2APIC
  (1 << 24) // TSC deadline of the APIC timer
const FEATURES_EDX =
  (1 << 4) | // TSC
  (1 << 5) | // MSR
  (1 << 6) | // PAE
  (1 << 9) | // APIC
  (1 << 11) | // SEP
  (1 << 16) // PAT
/** SYSCALL, execute disable, Intel 64. */
const EXTENDED_EDX = (1 << 11) | (1 << 20) | (1 << 29)
const LINEAR_ADDRESS_WIDTH = 48

export function cpuid(core: Core, leaf: number, subleaf: number): void {
  const { result, apic } = core
  switch (leaf >>> 0) {
    case 0:
      result.setRegisters(HIGHEST_BASIC, VENDOR.ebx, VENDOR.ecx, VENDOR.edx)
      break
    case 1:
      result.setRegisters(SIGNATURE, (apic.apicId & 0xff) << 24, FEATURES_ECX, FEATURES_EDX)
      break
    case 0xb: // Extended topology: one thread, one level; EDX is the x2APIC identifier.
    case 0x1f:
      result.setRegisters(0, subleaf === 0 ? 1 : 0, subleaf === 0 ? 0x100 : subleaf, apic.apicId)
      break
    case 0x8000_0000:
      result.setRegisters(HIGHEST_EXTENDED, 0, 0, 0)
      break
    case 0x8000_0001:
      result.setRegisters(0, 0, 0, EXTENDED_EDX)
      break
    case 0x8000_0008:
      result.setRegisters(core.capabilities.physicalAddressWidth | (LINEAR_ADDRESS_WIDTH << 8), 0, 0, 0)
      break
  }
}
