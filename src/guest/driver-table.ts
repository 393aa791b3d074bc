/** The drivers that every guest kernel has. */
import type { DriverEntry } from './driver.ts'
import { guestKernelWith } from './kernel.ts'
import { virtioBalloon } from './memory/virtio-balloon.ts'
import { e1000 } from './net/e1000.ts'
import { igb } from './net/igb.ts'
import { igbvf } from './net/igbvf.ts'
import { ixgbe } from './net/ixgbe.ts'
import { ixgbevf } from './net/ixgbevf.ts'
import { virtioNet } from './net/virtio-net.ts'
import { ahci } from './storage/ahci.ts'
import { nvme } from './storage/nvme.ts'
import { virtioBlock } from './storage/virtio-block.ts'

export const DRIVERS: readonly DriverEntry[] = [
  e1000,
  igb,
  igbvf,
  ixgbe,
  ixgbevf,
  virtioNet,
  virtioBlock,
  nvme,
  ahci,
  virtioBalloon,
]

/** What a virtual machine runs. */
export const guestKernel = guestKernelWith(DRIVERS)
