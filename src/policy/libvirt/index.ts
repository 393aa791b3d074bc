export { type DomainDevices, parseDomain } from './domain.ts'
export {
  type DomainIdentity,
  type HostDevice,
  type HostDeviceOptions,
  LibvirtHostDevices,
} from './host-devices.ts'
export { firstFree, type HostDeviceNetwork, type LibvirtConfiguration, libvirtPolicy } from './policy.ts'
