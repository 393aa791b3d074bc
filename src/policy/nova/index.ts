export {
  type Alias,
  NUMA_POLICIES,
  type NumaPolicy,
  type PciRequest,
  parseAliases,
  type RequestSpec,
  requestsOfFlavor,
} from './aliases.ts'
export { looseBoolean } from './booleans.ts'
export { type NovaConfiguration, parseNovaConfiguration } from './configuration.ts'
export { type DeviceSpec, inReach, parseDeviceSpec, whyNotMatched } from './device-spec.ts'
export { type DeviceStatus, DeviceTracker, type TrackedDevice } from './device-states.ts'
export { normalTraits, resourceClassOf } from './placement-names.ts'
export { placementView, refuseUnreporting } from './placement-view.ts'
export { novaPolicy } from './policy.ts'
export { nodesOfSockets, PciPools, specOf } from './pools.ts'
