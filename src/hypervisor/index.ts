export { Hypervisor } from './hypervisor.ts'
export type * from './types.ts'
