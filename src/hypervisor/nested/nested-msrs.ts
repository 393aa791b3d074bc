/** MSRs of a guest with VMX that its VMCS holds, beside those that every guest has. */
import { EFER, FEATURE_CONTROL, MSR } from '../../vmx/formats/msrs.ts'
import type { Word64 } from '../../vmx/formats/operations.ts'
import { VMCS, type VmcsFieldName } from '../../vmx/formats/vmcs.ts'
import type { Vmcs } from '../vmcs.ts'

/** In the guest-state area of whichever guest runs. */
const IN_VMCS: Readonly<Record<number, VmcsFieldName>> = {
  [MSR.IA32_SYSENTER_CS]: 'guestSysenterCs',
  [MSR.IA32_SYSENTER_ESP]: 'guestSysenterEsp',
  [MSR.IA32_SYSENTER_EIP]: 'guestSysenterEip',
  [MSR.IA32_PAT]: 'guestPat',
  [MSR.IA32_EFER]: 'guestEfer',
  [MSR.IA32_FS_BASE]: 'guestFsBase',
  [MSR.IA32_GS_BASE]: 'guestGsBase',
}
const CANONICAL: readonly number[] = [
  MSR.IA32_SYSENTER_ESP,
  MSR.IA32_SYSENTER_EIP,
  MSR.IA32_FS_BASE,
  MSR.IA32_GS_BASE,
]
const EFER_WRITABLE = EFER.SCE | EFER.NXE
const EFER_MODE = EFER.LME | EFER.LMA

export const isVmcsMsr = (msr: number): boolean => IN_VMCS[msr] !== undefined

export function readVmcsMsr(msr: number, vmcs: Vmcs): Word64 {
  return vmcs.read64(VMCS[IN_VMCS[msr]!])
}

/** False: a general protection fault. */
export function writeVmcsMsr(msr: number, [low, high]: Word64, vmcs: Vmcs): boolean {
  const field = VMCS[IN_VMCS[msr]!]
  if (CANONICAL.includes(msr) && !isCanonical(high)) return false
  if (msr === MSR.IA32_PAT && !(isPat(low) && isPat(high))) return false
  if (msr !== MSR.IA32_EFER) {
    vmcs.write(field, low, high)
    return true
  }
  // With paging on, LME cannot change; LMA is not software's to write.
  const now = vmcs.read(field)
  if (high !== 0 || (low & ~(EFER_WRITABLE | EFER_MODE)) !== 0 || ((low ^ now) & EFER.LME) !== 0) return false
  vmcs.write(field, (low & EFER_WRITABLE) | (now & EFER_MODE))
  return true
}

/** IA32_FEATURE_CONTROL: once locked it can no longer be written. */
export class FeatureControl {
  value = 0

  write([low, high]: Word64): boolean {
    const { lock, vmxOutsideSmx } = FEATURE_CONTROL
    if ((this.value & lock) !== 0 || high !== 0 || (low & ~(lock | vmxOutsideSmx)) !== 0) return false
    this.value = low
    return true
  }

  get enablesVmx(): boolean {
    const enabled = FEATURE_CONTROL.lock | FEATURE_CONTROL.vmxOutsideSmx
    return (this.value & enabled) === enabled
  }
}

const isCanonical = (high: number): boolean => high >>> 15 === 0 || high >>> 15 === 0x1_ffff

/** Memory types 0, 1, 4, 5, 6 and 7 in every byte. */
const isPat = (word: number): boolean =>
  [0, 8, 16, 24].every(shift => [0, 1, 4, 5, 6, 7].includes((word >>> shift) & 0xff))
