/** The memory of a virtual machine as plain data. */
import type { PageNumber, Saved } from '../../core/index.ts'
import type { HugePages, MemoryBackingKind } from '../types.ts'

/** How its memory is backed, as plain data. */
export type SavedMachineMemory = {
  readonly backing: MemoryBackingKind
  readonly hugePages: HugePages
  readonly pages: Saved
  readonly ept: PageNumber
  /** Of a machine whose memory is paged. */
  readonly paged: Saved
}
