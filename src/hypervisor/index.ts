export type { EmulatedDevice } from './emulated-device.ts'
export { Hypervisor } from './hypervisor.ts'
export {
  NETWORK_MODELS,
  type NetworkDeviceDefinition,
  type NetworkModelName,
  type SwitchDefinition,
} from './net/definition.ts'
export type { NetworkDevice } from './net/models.ts'
export type { FrameStep } from './net/network-device.ts'
export { Networking } from './net/networking.ts'
export type { PortVlan } from './net/port-vlan.ts'
export type { DropCause, PortCounters, SwitchPort } from './net/switch-port.ts'
export { TEAM_POLICIES, type TeamPolicy } from './net/team-policy.ts'
export { TEAM_MODES, type TeamMode, type UplinkTeam } from './net/uplink-team.ts'
export type { VirtualSwitch } from './net/virtual-switch.ts'
export * from './storage/index.ts'
export * from './techniques/index.ts'
export type * from './types.ts'
export { GUEST_PROGRAMS, INTERRUPT_DELIVERY } from './types.ts'
export { VirtioDevice } from './virtio/index.ts'
