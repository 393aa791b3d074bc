export type { DeviceReset, RemovalAnswer } from './device-requests.ts'
export type { EmulatedDevice } from './emulated-device.ts'
export { VIRTUAL_UNIT_MODES, type VirtualUnitMode } from './formats/virtual-unit.ts'
export type { GuestMemory } from './guest-memory.ts'
export { Hypervisor } from './hypervisor.ts'
export { SHARING_SCOPES, type SharingScope } from './memory/memory-manager.ts'
export type { MemorySettings } from './memory/memory-settings.ts'
export type { BalanceReport, HostMemoryView, VmMemoryView } from './memory/vm-memory.ts'
export type { Arrivals } from './moves/arrivals.ts'
export { DIRTY_TRACKING, type DirtyLog, type DirtyTracking, type TrackingCost } from './moves/dirty-log.ts'
export { type MachineImage, notMigratable, type Obstacle } from './moves/machine-image.ts'
export type { MachineMoves } from './moves/machine-moves.ts'
export type { MemoryImage } from './moves/memory-image.ts'
export {
  NETWORK_MODELS,
  type NetworkDeviceDefinition,
  type NetworkModelName,
  type SwitchDefinition,
} from './net/definition.ts'
export type { DropCause } from './net/drop-tally.ts'
export type { LacpOptions, LacpPortView } from './net/lacp/link-aggregation.ts'
export type { NetworkDevice } from './net/models.ts'
export type { NetworkDeviceImage } from './net/moving.ts'
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
export type { CpuSettings } from './scheduling/cpu-claims.ts'
export { type CpuView, DEFAULT_SLICE_NS, SLICE_RANGE_NS } from './scheduling/cpu-scheduler.ts'
export * from './storage/index.ts'
export * from './techniques/index.ts'
export type * from './types.ts'
export { GUEST_PROGRAMS, HUGE_PAGES, INTERRUPT_DELIVERY, MEMORY_BACKINGS } from './types.ts'
export type * from './viommu/unit-model.ts'
export type { UnitCounters, UnitObserver, VirtualUnitOptions, VirtualUnitView } from './viommu/unit-types.ts'
export type { VirtualUnit } from './viommu/virtual-unit.ts'
export { VirtioDevice } from './virtio/index.ts'
