export { type BlockStore, SparseStore } from './block-store.ts'
export { BusCounters } from './bus.ts'
export { NVME_MODEL } from './model.ts'
export { type ControllerView, NvmeSubsystem } from './subsystem.ts'
