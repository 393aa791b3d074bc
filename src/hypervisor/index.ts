export type { EmulatedDevice } from './emulated-device.ts'
export { Hypervisor } from './hypervisor.ts'
export {
  NETWORK_MODELS,
  type NetworkDeviceDefinition,
  type NetworkModelName,
  type SwitchDefinition,
} from './net/definition.ts'
export type { DropCause } from './net/drop-tally.ts'
export type { LacpOptions, LacpPortView } from './net/lacp/link-aggregation.ts'
export type { NetworkDevice } from './net/models.ts'
export type { FrameStep } from './net/network-device.ts'
export { Networking } from './net/networking.ts'
export type { PortVlan } from './net/port-vlan.ts'
export { MOST_SHARES } from './net/share-queue.ts'
export type { PortCounters, SwitchPort } from './net/switch-port.ts'
export { TEAM_POLICIES, type TeamPolicy } from './net/team-policy.ts'
export type { Uplink } from './net/uplink.ts'
export {
  type SavedTeam,
  TEAM_EVENT,
  TEAM_MODES,
  type TeamClock,
  type TeamMode,
  UplinkTeam,
} from './net/uplink-team.ts'
export { type SavedSwitch, VirtualSwitch } from './net/virtual-switch.ts'
export * from './storage/index.ts'
export * from './techniques/index.ts'
export type * from './types.ts'
export { GUEST_PROGRAMS, INTERRUPT_DELIVERY } from './types.ts'
export { VirtioDevice } from './virtio/index.ts'
