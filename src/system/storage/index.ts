export { FileStore } from './file-store.ts'
export { DISK_MODELS, type DiskModel, type Transfer, type VmDisk, VmDisks } from './vm-disks.ts'
