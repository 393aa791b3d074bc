/** Which configuration registers a guest may change: what vfio-pci neither emulates nor keeps for the host. */
import {
  BAR_COUNT,
  barOffset,
  CAPABILITY,
  COMMAND_STATUS,
  EXPRESS,
  EXTENDED_CAPABILITY,
  ID,
  INTERRUPT,
  ROM_OFFSET,
} from '../../pcie/formats/index.ts'
import type { HostPciFunction } from '../pci/pci-function.ts'

const { IOSE, MSE } = COMMAND_STATUS.f
/** Capabilities whose control bits are the host's. */
const HOST_OWNED: readonly number[] = [
  CAPABILITY.MSI,
  CAPABILITY.MSI_X,
  CAPABILITY.PM,
  CAPABILITY.AF,
  CAPABILITY.EA,
]
/** Extended capabilities that a guest may write; all others change routing, isolation or address space. */
const GUEST_OWNED: readonly number[] = [
  EXTENDED_CAPABILITY.AER,
  EXTENDED_CAPABILITY.VSEC,
  EXTENDED_CAPABILITY.DVSEC,
]

/** The dword that a guest reads: identity as the kernel knows it, everything else from the function. */
export function guestView(fn: HostPciFunction, offset: number): number {
  return offset === ID.offset ? ((fn.deviceId << 16) | fn.vendorId) >>> 0 : fn.config.read(offset)
}

/** Bits of a dword that a guest's write reaches. */
export function guestWritable(fn: HostPciFunction, offset: number): number {
  if (offset === COMMAND_STATUS.offset) return ~(IOSE.mask | MSE.mask) >>> 0
  if (offset < 0x40) {
    const hosts = offset === ID.offset || offset === ROM_OFFSET.type0 || offset === INTERRUPT.offset
    const bar = offset >= barOffset(0) && offset < barOffset(BAR_COUNT.type0)
    return hosts || bar ? 0 : 0xffff_ffff
  }
  const owner = fn.entries
    .filter(entry => entry.offset <= offset && entry.extended === offset >= 0x100)
    .reduce((best, entry) => (best === undefined || entry.offset > best.offset ? entry : best), NO_ENTRY)
  if (offset >= 0x100) return owner !== undefined && GUEST_OWNED.includes(owner.id) ? 0xffff_ffff : 0
  if (owner === undefined) return 0xffff_ffff
  if (HOST_OWNED.includes(owner.id)) return 0
  if (owner.id === CAPABILITY.EXPRESS && offset === owner.offset + EXPRESS.DEVICE_CONTROL.offset) {
    // A reset would lose what the host keeps in the function: it is asked for elsewhere.
    return ~EXPRESS.DEVICE_CONTROL.f.INITIATE_FLR.mask >>> 0
  }
  return 0xffff_ffff
}

const NO_ENTRY: HostPciFunction['entries'][number] | undefined = undefined
