export { Chain, Pieces } from './chain.ts'
export type { DeviceQueue } from './device-queue.ts'
export { type TransportOptions, VirtioDevice, type VirtioLink, type VirtioModel } from './transport.ts'
