/** What a virtual disk's blocks come from, and what serving them has cost. */
import type { Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'

/** Addressed by sectors of 512 bytes; every range lies inside `sectors`. False: the medium failed. */
export interface BlockBackend {
  readonly sectors: number
  read(sector: number, target: Uint8Array, start: number, length: number): Software<boolean>
  write(sector: number, source: Uint8Array, start: number, length: number): Software<boolean>
  /** Zeros from now on. */
  discard(sector: number, count: number): Software<boolean>
  flush(): Software<boolean>
  /** Gives back what the host lent it. */
  close(): Software
  save(): Saved
}

/** Work of the hypervisor for one virtual disk. */
export class DiskCounters {
  commands = 0
  /** Commands that ended with an error. */
  errors = 0
  /** Bytes that the hypervisor copied between the guest's memory and its own. */
  copiedBytes = 0
  copies = 0
}
