export { Chain, Pieces } from './chain.ts'
export type { DeviceQueue } from './device-queue.ts'
export type { VirtioLink, VirtioModel } from './model.ts'
export { type TransportOptions, VirtioDevice } from './transport.ts'
