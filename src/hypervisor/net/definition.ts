/** What an administrator says of a virtual switch and of a network device. */
import type { PortVlan } from './port-vlan.ts'
import type { RateLimit } from './token-bucket.ts'
import type { TeamOptions } from './uplink-team.ts'

/**
 * `emulated`: a register-level copy of a real adapter; `paravirtual`: virtio-net; `vmdq`: virtio-net whose frames the
 * adapter sorts into queues of its own; `sriov`: a virtual function; `direct`: the whole adapter.
 */
export const NETWORK_MODELS = ['emulated', 'paravirtual', 'vmdq', 'sriov', 'direct'] as const
export type NetworkModelName = (typeof NETWORK_MODELS)[number]

export interface SwitchDefinition {
  readonly name: string
  /** Addresses of adapters, in order of preference. */
  readonly uplinks: readonly string[]
  readonly team?: Omit<TeamOptions, 'name'>
  /** Of the team's port; default: a trunk whose untagged frames belong to VLAN 1. */
  readonly uplinkVlan?: PortVlan
}

export interface NetworkDeviceDefinition {
  readonly vm: string
  readonly model: NetworkModelName
  /** Six bytes. */
  readonly mac: Uint8Array
  /** Of `emulated` and `paravirtual`: the switch. */
  readonly switch?: string
  /** Of `vmdq` and `direct`: the adapter; of `sriov`: the virtual function. */
  readonly function?: string
  readonly vlan?: number
  /** Of `paravirtual`: it stands in for a function of the host with the same address. Default false. */
  readonly standby?: boolean
  /** What the virtual machine may send and receive. */
  readonly limit?: RateLimit
  /** Of `emulated` and `paravirtual`: of an uplink that is busy, 1 to 100; default 50. */
  readonly share?: number
}
