/** What drivers of disks offer to the rest of the guest, whatever the disk. */
import type { Software } from '../../engine/index.ts'
import type { GuestDriver } from '../driver.ts'

export interface BlockDriver extends GuestDriver {
  /** Of 512 bytes. */
  readonly sectors: number
  /** Most sectors of one transfer. */
  readonly mostSectors: number
  /** Guest memory that the driver keeps for data: where reads end and writes begin unless told otherwise. */
  readonly buffer: number
  /** Moves whole sectors between the disk and memory at a guest-physical address. False: the disk reported an error. */
  transfer(write: boolean, sector: number, count: number, address?: number): Software<boolean>
  flush(): Software<boolean>
}

/** Whether a driver is one of a disk. */
export const isBlockDriver = (driver: GuestDriver | undefined): driver is BlockDriver =>
  driver !== undefined && 'transfer' in driver && 'sectors' in driver
