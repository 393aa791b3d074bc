/** What drivers of disks offer to the rest of the guest, whatever the disk. */
import type { Software } from '../../engine/index.ts'
import type { GuestDriver } from '../driver.ts'

export interface BlockCommand {
  readonly kind: 'read' | 'write' | 'flush'
  /** Of 512 bytes; both zero for a flush. */
  readonly sector: number
  readonly count: number
  /** Guest-physical: where a read ends and a write begins. */
  readonly address: number
}

/** What a driver has done since it was started. */
export interface BlockCounters {
  /** Commands that the disk was told of. */
  readonly commands: number
  /** Register writes that told it of commands, or that their completions were seen. */
  readonly doorbells: number
  /** Messages that came for commands. */
  readonly interrupts: number
}

export interface BlockDriver extends GuestDriver {
  /** Of 512 bytes. */
  readonly sectors: number
  /** Most sectors of one transfer. */
  readonly mostSectors: number
  /** Most commands that are under way together. */
  readonly depth: number
  /** Guest memory that the driver keeps for data: where reads end and writes begin unless told otherwise. */
  readonly buffer: number
  readonly bufferSize: number
  readonly counters: BlockCounters
  /** Moves whole sectors between the disk and memory at a guest-physical address. False: the disk reported an error. */
  transfer(write: boolean, sector: number, count: number, address?: number): Software<boolean>
  flush(): Software<boolean>
  /** Makes a command ready, of which the next {@link commit} tells the disk. Returns its tag; -1 while all are in use. */
  prepare(command: BlockCommand): Software<number>
  /** Tells the disk of what was made ready, all at once. */
  commit(): Software
  /** Looks for commands that the disk is done with. */
  reap(): Software
  /** How a command ended that was reaped; after that its tag is free again. undefined: it is under way. */
  outcome(tag: number): boolean | undefined
}

/** Whether a driver is one of a disk. */
export const isBlockDriver = (driver: GuestDriver | undefined): driver is BlockDriver =>
  driver !== undefined && 'transfer' in driver && 'sectors' in driver
