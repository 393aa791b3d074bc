/** The MSR areas of vmcs12: L1's MSRs are virtual, so the hypervisor goes through the areas, not the processor. */
import { MSR } from '../../vmx/formats/msrs.ts'
import type { Word64 } from '../../vmx/formats/operations.ts'
import { VMCS } from '../../vmx/formats/vmcs.ts'
import type { GuestWords } from './guest-words.ts'
import type { Vmcs12 } from './vmcs12.ts'

const ENTRY_BYTES = 16
/** x2APIC MSRs, 800H to 8FFH, are in no area. */
const isForbidden = (msr: number): boolean => msr >>> 8 === 8

export interface VirtualMsrs {
  read(msr: number): Word64 | undefined
  /** False: WRMSR would fault. */
  write(msr: number, value: Word64): boolean
}

type LoadArea = 'entryMsrLoad' | 'exitMsrLoad'

/** Returns 0, or the number (from 1) of the first entry that fails. */
export function loadArea(area: LoadArea, vmcs12: Vmcs12, memory: GuestWords, msrs: VirtualMsrs): number {
  const count = vmcs12.read(VMCS[`${area}Count`])
  const base = join(vmcs12.read64(VMCS[`${area}Address`]))
  for (let i = 0; i < count; i++) {
    const at = base + i * ENTRY_BYTES
    const msr = memory.read(at)
    const loadable = msr !== MSR.IA32_FS_BASE && msr !== MSR.IA32_GS_BASE && !isForbidden(msr)
    if (!loadable || memory.read(at + 4) !== 0) return i + 1
    if (!msrs.write(msr, [memory.read(at + 8), memory.read(at + 12)])) return i + 1
  }
  return 0
}

/** False if an entry cannot be stored. */
export function storeArea(vmcs12: Vmcs12, memory: GuestWords, msrs: VirtualMsrs): boolean {
  const count = vmcs12.read(VMCS.exitMsrStoreCount)
  const base = join(vmcs12.read64(VMCS.exitMsrStoreAddress))
  for (let i = 0; i < count; i++) {
    const at = base + i * ENTRY_BYTES
    const msr = memory.read(at)
    const value = isForbidden(msr) || memory.read(at + 4) !== 0 ? undefined : msrs.read(msr)
    if (value === undefined) return false
    memory.write(at + 8, value[0])
    memory.write(at + 12, value[1])
  }
  return true
}

const join = ([low, high]: Word64): number => high * 2 ** 32 + low
