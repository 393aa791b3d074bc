import { assert } from '../../core/index.ts'
import type { NvmeDriver, PageAllocator } from '../../host/index.ts'
import type { MachinePort } from '../../platform/machine-port.ts'
import type { BlockBackend, SavedBackend } from './backend.ts'
import { LostBackend } from './lost-backend.ts'
import { MemoryBackend } from './memory-backend.ts'
import { NvmeBackend } from './nvme-backend.ts'
import { QueuePairBackend } from './queue-pair-backend.ts'

/**
 * What is behind a disk, as it was when it was saved.
 *
 * @param driver the host's, of the function behind the disk, if it has one
 */
export function restoreBackend(
  machine: MachinePort,
  allocator: PageAllocator,
  driver: NvmeDriver | undefined,
  saved: SavedBackend,
): BlockBackend {
  switch (saved.kind) {
    case 'memory':
      return MemoryBackend.restore(machine, allocator, saved)
    case 'nvme':
      assert(driver !== undefined, 'a disk on a namespace has the driver of its controller')
      return NvmeBackend.restore(driver, saved)
    case 'queuePair':
      assert(driver !== undefined, 'a disk on a queue pair has the driver of its controller')
      return QueuePairBackend.restore(driver, saved)
    case 'lost':
      return new LostBackend(saved.sectors)
  }
}
