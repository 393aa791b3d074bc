export { parseCommandLine } from './command-line.ts'
export type { DeviceAccess } from './device-access.ts'
export { HostKernel } from './host-kernel.ts'
export type { InterruptPosting } from './interrupt-posting.ts'
export type { IsolationDefect } from './isolation-defect.ts'
export type { HostRun, LentMemory } from './kernel-dma.ts'
export type * from './net/adapter.ts'
export { openAdapter, restoreAdapter } from './net/open.ts'
export { type FreeWatcher, PageAllocator } from './page-allocator.ts'
export {
  type NamespaceDefinition,
  NvmeDriver,
  type NvmeDriverOptions,
  type NvmeNamespace,
  type NvmeQueue,
} from './storage/index.ts'
export type * from './types.ts'
export { DeviceMigration, MIGRATION_STATES, type MigrationState } from './vfio/device-migration.ts'
