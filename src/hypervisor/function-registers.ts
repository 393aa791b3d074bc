/** What the hypervisor looks for in the configuration space of a function before it shows the function to a guest. */
import type { AssignedFunction } from '../host/index.ts'
import {
  AF,
  CAPABILITY,
  CONVENTIONAL_CONFIG_SIZE,
  EXPRESS,
  findCapability,
  listCapabilities,
} from '../pcie/formats/index.ts'
import type { TrappedSpan } from './device-memory.ts'
import type { VirtualMsix } from './virtual-msix.ts'

/** By what the function signals: offset of the capability, and of MSI the first dword as it was found. */
export type Messages =
  | { readonly kind: 'msix'; readonly at: number }
  | { readonly kind: 'msi'; readonly control: number }

/** Offsets of the registers by which the function is reset; -1 where it has none. */
export type ResetRegisters = { readonly express: number; readonly advancedFeatures: number }

export function resetRegisters(assigned: AssignedFunction): ResetRegisters {
  const read = (offset: number): number => assigned.readConfig(offset, 4)
  const capabilities = listCapabilities(read, CONVENTIONAL_CONFIG_SIZE)
  const has = (at: number | undefined, register: number, mask: number): at is number =>
    at !== undefined && (read(at + register) & mask) !== 0
  const express = findCapability(capabilities, CAPABILITY.EXPRESS)
  const advanced = findCapability(capabilities, CAPABILITY.AF)
  const { DEVICE_CAPABILITIES, DEVICE_CONTROL } = EXPRESS
  return {
    express: has(express, DEVICE_CAPABILITIES.offset, DEVICE_CAPABILITIES.f.FLR.mask)
      ? express + DEVICE_CONTROL.offset
      : -1,
    advancedFeatures: has(advanced, AF.CAPABILITIES.offset, AF.CAPABILITIES.f.FLR.mask)
      ? advanced + AF.CONTROL.offset
      : -1,
  }
}

export function messagesOf(assigned: AssignedFunction): Messages | null {
  const read = (offset: number): number => assigned.readConfig(offset, 4)
  const capabilities = listCapabilities(read, CONVENTIONAL_CONFIG_SIZE)
  const at = findCapability(capabilities, CAPABILITY.MSI_X)
  const { msix, msi, regions } = assigned
  // Without its BAR placed, an MSI-X table is out of reach of host and guest.
  if (at !== undefined && msix !== undefined && regions.some(({ index }) => index === msix.tableBar))
    return { kind: 'msix', at }
  return msi === undefined ? null : { kind: 'msi', control: read(msi.capability) }
}

/** The MSI-X table, which is the guest's own, and the PBA, which shows what waits in the hypervisor too. */
export function trappedSpans(msix: VirtualMsix | undefined): TrappedSpan[] {
  if (msix === undefined) return []
  const { tableBar, tableOffset, pbaBar, pbaOffset } = msix.layout
  return [
    { bar: tableBar, offset: tableOffset, size: msix.tableSize },
    { bar: pbaBar, offset: pbaOffset, size: msix.pbaSize },
  ]
}
