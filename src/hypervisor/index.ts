export { Hypervisor } from './hypervisor.ts'
export * from './techniques/index.ts'
export type * from './types.ts'
export { GUEST_PROGRAMS, INTERRUPT_DELIVERY } from './types.ts'
