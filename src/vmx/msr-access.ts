/** RDMSR and WRMSR as they act on the processor: by the instructions, and by the MSR areas of VM entries and exits. */
import { type Core, MOMENT } from './core.ts'
import { EFER_SVME } from './formats/amd-v.ts'
import { PRIMARY, SECONDARY } from './formats/controls.ts'
import { CR0, EFER, FEATURE_CONTROL, MSR } from './formats/msrs.ts'
import { REGISTER } from './registers.ts'
import { isCanonical, isEferReserved, isPatHalfValid } from './values.ts'
import { slot } from './vmcs-layout.ts'

const FIRST_CAPABILITY = MSR.IA32_VMX_BASIC
const LAST_CAPABILITY = MSR.IA32_VMX_PROCBASED_CTLS3

export const X2APIC_FIRST = 0x800
export const X2APIC_LAST = 0x8ff

/** DEBUGCTL bits of this core: LBR and BTF. */
export const DEBUGCTL_BITS = 3

/** MSRs that only hold a value: word in `storedMsrs`, or -1. */
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
    case MSR.IA32_TSC_AUX:
      return 8
    case MSR.IA32_PERF_GLOBAL_CTRL:
      return STORED.perfGlobalCtrl
    case MSR.IA32_XSS:
      return STORED.xss
  }
  return -1
}

/** Words of `storedMsrs` that others use. */
export const STORED = { tscAux: 8, perfGlobalCtrl: 10, xss: 12 } as const

/** The one supervisor state component: hardware duty cycling. */
const XSS_BITS = 1 << 13

/** IA32_PERF_GLOBAL_CTRL: four general and three fixed counters. */
const PERF_GLOBAL = { low: 0xf, high: 7 } as const
export const isPerfGlobalReserved = (low: number, high: number): boolean =>
  (low & ~PERF_GLOBAL.low) !== 0 || (high & ~PERF_GLOBAL.high) !== 0

export function setPerfGlobalCtrl(core: Core, low: number, high: number): void {
  core.storedMsrs[STORED.perfGlobalCtrl] = low & PERF_GLOBAL.low
  core.storedMsrs[STORED.perfGlobalCtrl + 1] = high & PERF_GLOBAL.high
}

/** Whether a value has bits that an MSR of plain storage does not take. */
function storedReserved(msr: number, low: number, high: number): boolean {
  switch (msr) {
    case MSR.IA32_LSTAR:
    case MSR.IA32_KERNEL_GS_BASE:
      return !isCanonical(high)
    case MSR.IA32_TSC_AUX:
      return high !== 0
    case MSR.IA32_XSS:
      return (low & ~XSS_BITS) !== 0 || high !== 0
    case MSR.IA32_PERF_GLOBAL_CTRL:
      return isPerfGlobalReserved(low, high)
  }
  return false
}

const TSC_OFFSET = slot('tscOffset')
const TSC_MULTIPLIER = slot('tscMultiplier')

/**
 * "Use TSC offsetting", "Use TSC scaling": what the program reads of the time-stamp counter, into `core.msrValue`. The
 * product with the multiplier is formed from 16-bit pieces: bits 111:48 of a 128-bit number.
 */
export function readTimeStampCounter(core: Core): void {
  const now = core.timeStampCounter
  let low = now >>> 0
  let high = Math.floor(now / 2 ** 32) >>> 0
  if (core.guestHas(PRIMARY.useTscOffsetting)) {
    const { vmcs } = core
    if (core.guestHasSecondary(SECONDARY.useTscScaling)) {
      scale(core, low, high, vmcs[TSC_MULTIPLIER]!, vmcs[TSC_MULTIPLIER + 1]!)
      low = core.msrValue[0]!
      high = core.msrValue[1]!
    }
    const sum = low + vmcs[TSC_OFFSET]!
    low = sum >>> 0
    high = (high + vmcs[TSC_OFFSET + 1]! + (sum > 0xffff_ffff ? 1 : 0)) >>> 0
  }
  core.msrValue[0] = low
  core.msrValue[1] = high
}

const PIECE = 2 ** 16
const product = new Float64Array(8)

/** Into `core.msrValue`: (a * b) >> 48, modulo 2^64. */
function scale(core: Core, aLow: number, aHigh: number, bLow: number, bHigh: number): void {
  product.fill(0)
  for (let i = 0; i < 4; i++) {
    const a = ((i < 2 ? aLow : aHigh) >>> ((i & 1) * 16)) & 0xffff
    for (let j = 0; j < 4; j++) {
      const b = ((j < 2 ? bLow : bHigh) >>> ((j & 1) * 16)) & 0xffff
      product[i + j]! += a * b
    }
  }
  for (let i = 0; i < 7; i++) {
    const carry = Math.floor(product[i]! / PIECE)
    product[i]! -= carry * PIECE
    product[i + 1]! += carry
  }
  core.msrValue[0] = product[3]! + product[4]! * PIECE
  core.msrValue[1] = product[5]! + product[6]! * PIECE
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
    return give(core, core.capabilityWords[at]!, core.capabilityWords[at + 1]!)
  }
  const register = registerOf(msr)
  if (register >= 0) {
    const wide = register !== REGISTER.sysenterCs
    return give(core, core.registers[register]!, wide ? core.registers[register + 1]! : 0)
  }
  const stored = storedAt(msr)
  if (stored >= 0) return give(core, core.storedMsrs[stored]!, core.storedMsrs[stored + 1]!)
  switch (msr) {
    case MSR.IA32_TIME_STAMP_COUNTER:
      readTimeStampCounter(core)
      return true
    case MSR.IA32_TSC_ADJUST: {
      const adjust = core.moments[MOMENT.tscAdjust]!
      return give(core, adjust, Math.floor(adjust / 2 ** 32))
    }
    case MSR.IA32_TSC_DEADLINE:
      return give(core, core.apic.timer.deadlineLow, core.apic.timer.deadlineHigh)
    case MSR.IA32_BIOS_SIGN_ID:
      return give(core, 0, 0)
    case MSR.IA32_MISC_ENABLE:
      return give(core, 1, 0) // Fast strings.
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
    if (storedReserved(msr, low >>> 0, high >>> 0)) return false
    core.storedMsrs[stored] = low
    core.storedMsrs[stored + 1] = high
    return true
  }
  if (msr === MSR.IA32_APIC_BASE) {
    return core.apic.writeBase(low >>> 0, high >>> 0, core.capabilities.physicalAddressWidth)
  }
  if (writeTime(core, msr, low >>> 0, high | 0)) return true
  if (msr === MSR.IA32_TSC_DEADLINE) {
    core.apic.timer.setDeadline(low >>> 0, high >>> 0, core.timeStampCounter)
    return true
  }
  // A microcode update is ignored in a guest; this processor has none to load.
  if (msr === MSR.IA32_BIOS_UPDT_TRIG || msr === MSR.IA32_BIOS_SIGN_ID) return true
  if (msr !== MSR.IA32_FEATURE_CONTROL) return false
  const { lock, vmxInsideSmx, vmxOutsideSmx } = FEATURE_CONTROL
  if ((core.featureControl & lock) !== 0) return false
  if ((low & ~(lock | vmxInsideSmx | vmxOutsideSmx)) !== 0 || high !== 0) return false
  core.featureControl = low
  return true
}

/** The time-stamp counter and its adjustment, which follow each other. A guest's offset does not apply to writes. */
function writeTime(core: Core, msr: number, low: number, high: number): boolean {
  if (msr !== MSR.IA32_TIME_STAMP_COUNTER && msr !== MSR.IA32_TSC_ADJUST) return false
  const value = high * 2 ** 32 + low
  const isCounter = msr === MSR.IA32_TIME_STAMP_COUNTER
  core.moments[MOMENT.tscAdjust] = isCounter ? value - core.engine.now : value
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
      if (isEferReserved(core.capabilities.svm ? low & ~EFER_SVME : low, high)) return false
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
