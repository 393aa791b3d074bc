/** What every system's policy is to the rest of the product. */
import { NorthbridgeError } from '../../core/index.ts'
import type { PolicyHost } from './host.ts'
import type { Placement, PlacementRequest } from './placement.ts'

export interface AssignmentPolicy {
  readonly system: PolicySystem
  /** Judges one virtual machine's needs on a host as it stands. Decides only: changes nothing. */
  place(host: PolicyHost, request: PlacementRequest): Placement
}

/** The systems whose rules are known, by the names that worked cases use. */
export const POLICY_SYSTEMS = [
  'nova',
  'sriov-network-device-plugin',
  'sriov-network-operator',
  'kubernetes-topology-manager',
  'kubernetes-dra',
  'libvirt',
  'kubevirt',
  'proxmox-qemu-server',
  'ovirt',
  'xapi',
  'linux-vfio',
  'linux-iommu-groups',
  'linux-sriov-sysfs',
  'linux-netdevsim',
  'northbridge',
] as const

export type PolicySystem = (typeof POLICY_SYSTEMS)[number]

/** Facts of a configuration that its system would refuse to start with. */
export interface PolicyFault {
  /** The system's own name of the error where it has one, else a label of ours. Stable. */
  readonly errorClass: string
  /** The field that is wrong. */
  readonly field?: string
  readonly [fact: string]: unknown
}

/** Throws `invalidDocument`: the configuration is refused as its system refuses it. */
export function refusePolicy(text: string, fault: PolicyFault): never {
  throw new NorthbridgeError('invalidDocument', text, { ...fault })
}
