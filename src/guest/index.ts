export type { GuestPort, GuestResult } from './guest-port.ts'
export { GuestKernel, guestKernel, interruptCountAddress } from './kernel.ts'
export type { GuestDevice } from './pci-driver.ts'
export { checkMemory, interruptCount } from './self-check.ts'
