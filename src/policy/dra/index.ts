export { type Allocation, allocate, type Claim, type DeviceClass } from './allocator.ts'
export {
  type AttributeValue,
  discoverSriovDevices,
  type PublishedDevice,
  type ResourcePool,
  SRIOV_DRIVER,
} from './devices.ts'
export { type DraConfiguration, parseClaim, parseDraManifests } from './documents.ts'
export { draPolicy } from './policy.ts'
export {
  type DeviceAttributes,
  matchesFilters,
  parseSriovResourcePolicy,
  publishedDevices,
  selectsNode,
} from './sriov-policies.ts'
