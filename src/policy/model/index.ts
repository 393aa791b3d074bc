export { type Device, type DeviceRole, isVirtual, type NetworkFacts, type SriovFacts } from './device.ts'
export {
  childrenOf,
  deviceAt,
  groupOf,
  type NumaNode,
  type PolicyHost,
  perDevices,
  tenantOf,
} from './host.ts'
export {
  type Candidate,
  type DeviceNeed,
  type Grant,
  nearestMiss,
  type Placement,
  type PlacementRequest,
  type Refusal,
  type Refused,
  refusedInShort,
} from './placement.ts'
export {
  type AssignmentPolicy,
  POLICY_SYSTEMS,
  type PolicyFault,
  type PolicySystem,
  refusePolicy,
} from './policy.ts'
