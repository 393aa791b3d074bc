/** What a virtual disk's blocks come from, and what serving them has cost. */
import type { PageNumber } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import type { LentMemory, NvmeNamespace } from '../../host/index.ts'
import type { Pieces } from '../virtio/index.ts'

/** Memory of a guest that a controller reaches. */
export interface GuestWindow extends LentMemory {
  readonly guestPage: PageNumber
}

/** What {@link restoreBackend} makes a back end of. */
export type SavedBackend =
  | {
      readonly kind: 'memory'
      readonly sectors: number
      /** Page of the disk and page of the host, ascending. */
      readonly pages: readonly (readonly [number, PageNumber])[]
    }
  | {
      readonly kind: 'nvme'
      readonly namespace: { readonly [Key in keyof NvmeNamespace]: number }
      /** Address of its buffer. */
      readonly buffer: number
    }
  | {
      readonly kind: 'queuePair'
      readonly namespace: { readonly [Key in keyof NvmeNamespace]: number }
      readonly queue: number
      /** Address of its buffer. */
      readonly list: number
      /** The guest's memory, where the controller finds it. */
      readonly windows: readonly { readonly [Key in keyof GuestWindow]: number }[]
    }
  | { readonly kind: 'lost'; readonly sectors: number }

/** Addressed by sectors of 512 bytes; every range lies inside `sectors`. False: the medium failed. */
interface Backend {
  readonly sectors: number
  /** Zeros from now on. */
  discard(sector: number, count: number): Software<boolean>
  flush(): Software<boolean>
  /** Gives back what the host lent it. */
  close(): Software
  /** Who made it restores it: a device saves nothing of what is behind it. */
  save(): SavedBackend
}

/** Its blocks go through memory of the hypervisor. */
export interface CopyingBackend extends Backend {
  readonly kind: 'copying'
  read(sector: number, target: Uint8Array, start: number, length: number): Software<boolean>
  write(sector: number, source: Uint8Array, start: number, length: number): Software<boolean>
}

/** Its blocks go to and from the guest's memory, and nobody copies them. */
export interface DirectBackend extends Backend {
  readonly kind: 'direct'
  /** Bytes of the largest transfer. */
  readonly largestTransfer: number
  /** @param pieces of guest memory, whole sectors in all. False also if they are not all memory of the guest. */
  transfer(write: boolean, sector: number, count: number, pieces: Pieces): Software<boolean>
}

export type BlockBackend = CopyingBackend | DirectBackend

export type SavedDiskCounters = {
  readonly commands: number
  readonly errors: number
  readonly copiedBytes: number
  readonly copies: number
}

/** Hears of each copy of the hypervisor's. */
export type CopyListener = (bytes: number) => void

/** Work of the hypervisor for one virtual disk. */
export class DiskCounters {
  /** Whoever follows a block; nobody most of the time. */
  listener: CopyListener | undefined = undefined
  commands = 0
  /** Commands that ended with an error. */
  errors = 0
  /** Bytes that the hypervisor copied between the guest's memory and its own. */
  copiedBytes = 0
  copies = 0

  copied(bytes: number): void {
    this.copies++
    this.copiedBytes += bytes
    if (this.listener !== undefined) this.listener(bytes)
  }

  save(): SavedDiskCounters {
    const { commands, errors, copiedBytes, copies } = this
    return { commands, errors, copiedBytes, copies }
  }

  load(saved: SavedDiskCounters): void {
    this.commands = saved.commands
    this.errors = saved.errors
    this.copiedBytes = saved.copiedBytes
    this.copies = saved.copies
  }
}
