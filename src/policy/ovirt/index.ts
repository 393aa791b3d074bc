export { addHostDevice, type PinnedMachine } from './host-devices.ts'
export { type MdevCard, type MdevPlacement, placeMdev } from './mediated-devices.ts'
export { type OvirtConfiguration, ovirtPolicy } from './policy.ts'
export { type SchedulableVf, scheduleVfs, type VfsConfiguration, type VirtualNic } from './vf-scheduler.ts'
