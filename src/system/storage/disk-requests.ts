/** What can be asked of a guest's disk, and what it has cost. */
import { NorthbridgeError } from '../../core/index.ts'
import type { BusCounters } from '../../devices/nvme/index.ts'
import type { BlockCounters, BlockDriver, BlockWorkload, BlockWorkloadResult } from '../../guest/index.ts'
import type { ExitRecord } from '../../hypervisor/index.ts'

export const SECTOR = 512

/** What one transfer has cost. */
export interface TransferCost {
  readonly exits: readonly ExitRecord[]
  /** Bytes that the hypervisor copied. */
  readonly copiedBytes: number
  /** Of the controller behind the disk; undefined without one. */
  readonly requests: BusCounters | undefined
}

export interface Transfer extends TransferCost {
  readonly ok: boolean
  /** What a read brought into the guest's buffer. */
  readonly data: Uint8Array
}

export interface WorkloadReport extends BlockWorkloadResult, TransferCost {
  /** Of the guest's driver. */
  readonly driver: BlockCounters
}

export function checkCount(driver: BlockDriver, count: number, path = '/count'): void {
  if (count < 1 || count > driver.mostSectors) {
    throw invalid(path, `must be from 1 to ${driver.mostSectors} sectors`)
  }
}

export function checkWorkload(
  driver: BlockDriver,
  { sectors, depth, firstSector, span }: BlockWorkload,
): void {
  checkCount(driver, sectors, '/sectors')
  const most = Math.min(driver.depth, Math.floor(driver.bufferSize / (sectors * SECTOR)))
  if (depth < 1 || depth > most) {
    const message = `must be from 1 to ${most}: the driver ${driver.name} has ${driver.depth} commands and a buffer of ${driver.bufferSize} bytes`
    throw invalid('/depth', message)
  }
  if (firstSector >= driver.sectors) throw invalid('/firstSector', `must be below ${driver.sectors}`)
  if (span < sectors || firstSector + span > driver.sectors) {
    throw invalid('/span', `must be from ${sectors} to ${driver.sectors - firstSector} sectors`)
  }
}

export const invalid = (path: string, message: string): NorthbridgeError =>
  new NorthbridgeError('invalidArgument', `${path.slice(1)} ${message}`, { issues: [{ path, message }] })

/** What was counted between two moments. */
export function difference<Counters extends Readonly<Record<keyof Counters, number>>>(
  before: Counters,
  after: Counters,
): Counters {
  const keys = Object.keys(after) as (keyof Counters)[]
  return Object.fromEntries(keys.map(key => [key, after[key] - before[key]])) as unknown as Counters
}
