/** RDMSR and WRMSR as they act on the processor: by the instructions, and by the MSR areas of VM entries and exits. */
import { capabilityMsrs } from './capabilities.ts'
import type { Core } from './core.ts'
import { CR0, EFER, FEATURE_CONTROL, MSR } from './formats/msrs.ts'
import { REGISTER } from './registers.ts'
import { isCanonical, isEferReserved, isPatHalfValid } from './values.ts'
import { HIGHEST_FIELD_INDEX } from './vmcs-layout.ts'

const CAPABILITIES = capabilityMsrs(HIGHEST_FIELD_INDEX)
const FIRST_CAPABILITY = MSR.IA32_VMX_BASIC
const LAST_CAPABILITY = FIRST_CAPABILITY + CAPABILITIES.length / 2 - 1

export const X2APIC_FIRST = 0x800
export const X2APIC_LAST = 0x8ff

/** DEBUGCTL bits of this core: LBR and BTF. */
export const DEBUGCTL_BITS = 3

/** MSRs that only hold a value: word in `storedMsrs`, and whether the value must be canonical. */
function storedAt(msr: number): number {
  switch (msr) {
    case MSR.IA32_STAR:
      return 0
    case MSR.IA32_LSTAR:
      return 2
    case MSR.IA32_FMASK:
      return 4
    case MSR.IA32_KERNEL_GS_BASE:
      return 6
  }
  return -1
}

/** MSRs that are registers of the processor: index in `registers`, or -1. All but SYSENTER_CS are 64 bits wide. */
function registerOf(msr: number): number {
  switch (msr) {
    case MSR.IA32_SYSENTER_CS:
      return REGISTER.sysenterCs
    case MSR.IA32_SYSENTER_ESP:
      return REGISTER.sysenterEsp
    case MSR.IA32_SYSENTER_EIP:
      return REGISTER.sysenterEip
    case MSR.IA32_DEBUGCTL:
      return REGISTER.debugctl
    case MSR.IA32_PAT:
      return REGISTER.pat
    case MSR.IA32_EFER:
      return REGISTER.efer
    case MSR.IA32_FS_BASE:
      return REGISTER.fsBase
    case MSR.IA32_GS_BASE:
      return REGISTER.gsBase
  }
  return -1
}

/** Reads an MSR into `core.msrValue`; false for #GP(0). */
export function readMsr(core: Core, msr: number): boolean {
  if (msr >= X2APIC_FIRST && msr <= X2APIC_LAST) {
    const low = core.apic.readMsr(msr - X2APIC_FIRST)
    return low >= 0 && give(core, low, core.apic.readMsrHigh(msr - X2APIC_FIRST))
  }
  if (msr >= FIRST_CAPABILITY && msr <= LAST_CAPABILITY) {
    const at = (msr - FIRST_CAPABILITY) * 2
    return give(core, CAPABILITIES[at]!, CAPABILITIES[at + 1]!)
  }
  const register = registerOf(msr)
  if (register >= 0) {
    const wide = register !== REGISTER.sysenterCs
    return give(core, core.registers[register]!, wide ? core.registers[register + 1]! : 0)
  }
  const stored = storedAt(msr)
  if (stored >= 0) return give(core, core.storedMsrs[stored]!, core.storedMsrs[stored + 1]!)
  switch (msr) {
    case MSR.IA32_TIME_STAMP_COUNTER: // Counts at 1 GHz of virtual time.
      return give(core, core.engine.now, core.engine.now / 2 ** 32)
    case MSR.IA32_APIC_BASE:
      return give(core, core.apic.baseLow, core.apic.baseHigh)
    case MSR.IA32_FEATURE_CONTROL:
      return give(core, core.featureControl, 0)
  }
  return false
}

function give(core: Core, low: number, high: number): true {
  core.msrValue[0] = low
  core.msrValue[1] = high
  return true
}

/** Writes an MSR; false for #GP(0), with nothing written. */
export function writeMsr(core: Core, msr: number, low: number, high: number): boolean {
  if (msr >= X2APIC_FIRST && msr <= X2APIC_LAST) {
    return core.apic.writeMsr(msr - X2APIC_FIRST, low >>> 0, high >>> 0)
  }
  const register = registerOf(msr)
  if (register >= 0) return writeRegister(core, msr, register, low >>> 0, high >>> 0)
  const stored = storedAt(msr)
  if (stored >= 0) {
    const mustBeCanonical = msr === MSR.IA32_LSTAR || msr === MSR.IA32_KERNEL_GS_BASE
    if (mustBeCanonical && !isCanonical(high)) return false
    core.storedMsrs[stored] = low
    core.storedMsrs[stored + 1] = high
    return true
  }
  if (msr === MSR.IA32_APIC_BASE) {
    return core.apic.writeBase(low >>> 0, high >>> 0, core.capabilities.physicalAddressWidth)
  }
  if (msr !== MSR.IA32_FEATURE_CONTROL) return false
  const { lock, vmxInsideSmx, vmxOutsideSmx } = FEATURE_CONTROL
  if ((core.featureControl & lock) !== 0) return false
  if ((low & ~(lock | vmxInsideSmx | vmxOutsideSmx)) !== 0 || high !== 0) return false
  core.featureControl = low
  return true
}

function writeRegister(core: Core, msr: number, register: number, low: number, high: number): boolean {
  const { registers } = core
  let value = low
  switch (msr) {
    case MSR.IA32_PAT:
      if (!isPatHalfValid(low) || !isPatHalfValid(high)) return false
      break
    case MSR.IA32_DEBUGCTL:
      if ((low & ~DEBUGCTL_BITS) !== 0 || high !== 0) return false
      break
    case MSR.IA32_EFER: {
      if (isEferReserved(low, high)) return false
      const changesMode = ((low ^ registers[register]!) & EFER.LME) !== 0
      if (changesMode && (registers[REGISTER.cr0]! & CR0.PG) !== 0) return false
      value = (low & ~EFER.LMA) | (registers[register]! & EFER.LMA)
      break
    }
    case MSR.IA32_SYSENTER_CS:
      registers[register] = low
      return true
    default:
      if (!isCanonical(high)) return false
  }
  registers[register] = value
  registers[register + 1] = high
  return true
}
