/**
 * "VM-Exit Controls for MSRs", "VM-Entry Controls for MSRs": areas of 16-byte entries in memory, each with the index of
 * an MSR (bits 31:0) and its data (127:64).
 */
import type { Core } from './core.ts'
import { MSR } from './formats/msrs.ts'
import { readMsr, writeMsr, X2APIC_FIRST } from './msr-access.ts'

const ENTRY_BYTES = 16

const isForbidden = (msr: number): boolean => msr >>> 8 === X2APIC_FIRST >>> 8

/**
 * Loads MSRs from the area that two VMCS words name. Returns 0, or the number (from 1) of the first entry that fails;
 * the entries before it stay loaded.
 */
export function loadMsrArea(core: Core, addressField: number, countField: number): number {
  const count = core.vmcs[countField]!
  if (count === 0) return 0
  const base = core.vmcs[addressField]! + core.vmcs[addressField + 1]! * 2 ** 32
  for (let i = 0; i < count; i++) {
    const entry = base + i * ENTRY_BYTES
    const msr = core.map.readDword(entry)
    const loadable = msr !== MSR.IA32_FS_BASE && msr !== MSR.IA32_GS_BASE && !isForbidden(msr)
    if (!loadable || core.map.readDword(entry + 4) !== 0) return i + 1
    if (!writeMsr(core, msr, core.map.readDword(entry + 8), core.map.readDword(entry + 12))) return i + 1
  }
  return 0
}

/** Stores MSRs into the area that two VMCS words name. False if an entry is illegal. */
export function storeMsrArea(core: Core, addressField: number, countField: number): boolean {
  const count = core.vmcs[countField]!
  if (count === 0) return true
  const base = core.vmcs[addressField]! + core.vmcs[addressField + 1]! * 2 ** 32
  for (let i = 0; i < count; i++) {
    const entry = base + i * ENTRY_BYTES
    const msr = core.map.readDword(entry)
    if (isForbidden(msr) || core.map.readDword(entry + 4) !== 0 || !readMsr(core, msr)) return false
    core.map.writeDword(entry + 8, core.msrValue[0]!)
    core.map.writeDword(entry + 12, core.msrValue[1]!)
  }
  return true
}
