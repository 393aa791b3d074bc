/** `sriov_numvfs` of sysfs: what may be written when. Source: torvalds/linux drivers/pci/iov.c (sriov_numvfs_store). */
import type { Errno } from './vfio/rules.ts'

export interface VfCounts {
  /** VFs that device and driver allow. */
  readonly limit: number
  readonly numVfs: number
  /** Whether the PF's driver configures SR-IOV. */
  readonly configurable: boolean
}

/** What a write does: nothing, or which error it ends with, or that VFs come or go. In the kernel's order. */
export function judgeNumVfs(
  count: number,
  { limit, numVfs, configurable }: VfCounts,
): 'same' | 'enable' | 'disable' | Extract<Errno, 'ERANGE' | 'ENOENT' | 'EBUSY'> {
  if (count > limit) return 'ERANGE'
  if (count === numVfs) return 'same'
  if (!configurable) return 'ENOENT'
  if (count === 0) return 'disable'
  return numVfs > 0 ? 'EBUSY' : 'enable'
}
