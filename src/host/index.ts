export { HostKernel } from './host-kernel.ts'
export type { InterruptPosting } from './interrupt-posting.ts'
export { type FreeWatcher, PageAllocator } from './page-allocator.ts'
export type * from './types.ts'
