export { NvmeDriver, type NvmeDriverOptions } from './nvme-driver.ts'
export type { NamespaceDefinition } from './nvme-namespaces.ts'
export type { NvmeQueue } from './nvme-queue.ts'
export type { NvmeNamespace } from './nvme-setup.ts'
