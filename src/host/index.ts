export { HostKernel } from './host-kernel.ts'
export { PageAllocator } from './page-allocator.ts'
export type * from './types.ts'
