/** Device-TLBs of functions: "ATS Extended Capability" and "Page Request Extended Capability" switched on and off. */
import { ATS, EXTENDED_CAPABILITY, PRI } from '../../pcie/formats/index.ts'
import type { HostPciFunction } from '../pci/pci-function.ts'
import type { DeviceTlb } from './invalidation.ts'

/** What a function's device-TLB is addressed by; undefined if it has none that fits pages. */
export function deviceTlbOf(fn: HostPciFunction): DeviceTlb | undefined {
  const at = fn.extendedCapability(EXTENDED_CAPABILITY.ATS)
  if (at === undefined || fn.bridge) return undefined
  return {
    rid: fn.rid,
    physicalRid: (fn.physical ?? fn).rid,
    // "Invalidate Queue Depth": 0 stands for 32, and so it does in the descriptor.
    queueDepth: fn.config.get(at, ATS.CONTROL, ATS.CONTROL.f.QUEUE_DEPTH),
  }
}

/** Smallest Translation Unit 0: 4 KiB. */
export function enableDeviceTlb(fn: HostPciFunction): void {
  const at = fn.extendedCapability(EXTENDED_CAPABILITY.ATS)!
  fn.config.set(at, ATS.CONTROL, ATS.CONTROL.f.STU, 0)
  fn.config.set(at, ATS.CONTROL, ATS.CONTROL.f.ENABLE, 1)
}

/** "Disabling ATS": the function drops what its device-TLB holds. */
export function disableDeviceTlb(fn: HostPciFunction): void {
  const at = fn.extendedCapability(EXTENDED_CAPABILITY.ATS)!
  fn.config.set(at, ATS.CONTROL, ATS.CONTROL.f.ENABLE, 0)
}

/** Page requests that a function may have outstanding. VFs share the PF's interface. */
const OUTSTANDING = 32

export const hasPageRequests = (fn: HostPciFunction): boolean =>
  (fn.physical ?? fn).extendedCapability(EXTENDED_CAPABILITY.PRI) !== undefined

export function enablePageRequests(fn: HostPciFunction): void {
  const { config } = fn.physical ?? fn
  const at = (fn.physical ?? fn).extendedCapability(EXTENDED_CAPABILITY.PRI)!
  if (config.get(at, PRI.CONTROL, PRI.CONTROL.f.ENABLE) === 1) return
  config.write(at + PRI.ALLOCATION.offset, OUTSTANDING)
  config.set(at, PRI.CONTROL, PRI.CONTROL.f.ENABLE, 1)
}

export function disablePageRequests(fn: HostPciFunction): void {
  const { config } = fn.physical ?? fn
  const at = (fn.physical ?? fn).extendedCapability(EXTENDED_CAPABILITY.PRI)!
  config.set(at, PRI.CONTROL, PRI.CONTROL.f.ENABLE, 0)
}
