/** The whole state of a host kernel, as plain data: functions by address, domains and groups by number. */
import type { Saved } from '../core/index.ts'
import type { DriverCore } from './driver-core.ts'
import type { SavedErrors } from './error-service.ts'
import type { SavedHotplug } from './hotplug.ts'
import type { SavedInterrupts } from './interrupts.ts'
import type { SavedIommu } from './iommu/iommu-state.ts'
import type { SavedKernelDma } from './kernel-dma.ts'
import type { SavedFunction } from './pci/pci-function.ts'
import type { SavedAssigned } from './vfio/assigned-function.ts'
import type { SavedContainer } from './vfio/container.ts'

export type SavedHost = {
  readonly version: 4
  /** What firmware had left for it. */
  readonly firmware: Saved
  readonly memory: Saved
  /** In the order of discovery. */
  readonly functions: readonly SavedFunction[]
  /** Whether access control was asked for. */
  readonly accessControl: boolean
  readonly iommu: SavedIommu
  readonly interrupts: SavedInterrupts
  readonly drivers: ReturnType<DriverCore['save']>
  readonly hotplug: SavedHotplug
  readonly errors: SavedErrors
  readonly dma: SavedKernelDma
  readonly assigned: readonly SavedAssigned[]
  /** In the order in which they came into use. */
  readonly containers: readonly SavedContainer[]
  readonly halted: string | null
}
