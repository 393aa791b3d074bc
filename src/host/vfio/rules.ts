/**
 * VFIO's rules as far as they need no machine: what lets user space have a group, its interrupts, its reserved memory
 * and a VF. Sources: torvalds/linux drivers/iommu/iommu.c (iommu_device_claim_dma_owner, require_direct),
 * drivers/iommu/intel/iommu.c (device_rmrr_is_relaxable), drivers/vfio/pci/vfio_pci_core.c (vfio_pci_validate_vf_token).
 */
import { driverNamed } from '../driver-table.ts'

/** Errors by the names of their numbers. */
export type Errno = 'EPERM' | 'EACCES' | 'EBUSY' | 'EINVAL' | 'ENOENT' | 'ERANGE' | 'ENODEV'

/** VFIO drivers that bring device knowledge of their own follow this habit of naming. */
const VFIO_VARIANT = /(?:^|[-_])vfio(?:[-_]|$)/

/** Whether a driver does DMA through the kernel's interfaces, which keeps user space off its whole group. */
export function usesKernelDma(driver: string | null): boolean {
  if (driver === null) return false
  return driverNamed(driver)?.kernelDma ?? !VFIO_VARIANT.test(driver)
}

/** Whether user space may have devices: they must be unable to raise interrupts that are not theirs. */
export const interruptsSuffice = (isolated: boolean, allowUnsafe: boolean): boolean => isolated || allowUnsafe

/**
 * How taking a device is refused whose firmware demands an identity mapping: by the Intel driver, or since commit
 * a48ce36e2786 by the core, before any driver is asked.
 */
export type ReservedMemoryErrno = Extract<Errno, 'EPERM' | 'EINVAL'>

const DISPLAY = 0x03
const USB_CONTROLLER = 0x0c03

/** Reserved memory that firmware gives up once a driver takes over: that of USB controllers and graphics. */
export const isReservedMemoryRelaxable = (classCode: number): boolean =>
  classCode >>> 16 === DISPLAY || classCode >>> 8 === USB_CONTROLLER

/** What is asked of a function and of the PF it belongs to, before it is opened. */
export interface TokenSituation {
  readonly role: 'VF' | 'PF' | 'other'
  /** The token that the PF was given, if vfio-pci has the PF (a VF's, or the function itself). */
  readonly token: string | undefined
  /** Whether vfio-pci has the PF. */
  readonly vfioHasPf: boolean
  /** Users that have VFs open: a PF's token then is settled. */
  readonly users: number
}

/** Why a function is not opened with this token; undefined if it is. A token is a UUID that both sides agreed on. */
export function refuseToken(
  { role, token, vfioHasPf, users }: TokenSituation,
  given: string | undefined,
): { readonly errno: Errno; readonly text: string } | undefined {
  const mustMatch = role === 'VF' ? vfioHasPf : role === 'PF' && vfioHasPf && users > 0
  if (mustMatch) {
    if (given === undefined) return { errno: 'EACCES', text: "the PF's VF token is needed" }
    return given === token ? undefined : { errno: 'EACCES', text: "it is not the PF's VF token" }
  }
  if (given === undefined || (role === 'PF' && vfioHasPf)) return undefined
  return {
    errno: 'EINVAL',
    text: role === 'VF' ? 'a VF token is given, but vfio-pci does not have the PF' : 'it has no VF token',
  }
}
