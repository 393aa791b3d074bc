/**
 * A machine as somebody would order it again: what it has, without what was in its memory. It says nothing of where it ran,
 * but what has to be known to find the same again elsewhere.
 */
import type {
  NetworkModelName,
  PortRules,
  PortVlan,
  VirtualUnitMode,
  VmOptions,
} from '../../../hypervisor/index.ts'
import type { DiskModel } from '../../storage/index.ts'
import type { MediumImage } from '../medium.ts'
import type { ConversionItem } from './report.ts'

/** Vendor and device: functions of the same ids have the same driver. */
export interface FunctionKind {
  readonly vendorId: number
  readonly deviceId: number
}

export interface NetworkInterface {
  readonly mac: Uint8Array
  /** `physical`: a network adapter of the machine's own. */
  readonly model: NetworkModelName | 'physical'
  /** Where it was, in words. */
  readonly place: string
  readonly driver: string | null
  /** Of the function behind it, where there is one. */
  readonly kind: FunctionKind | undefined
  readonly switch: string | undefined
  readonly rules: Omit<PortRules, 'vlan'>
  readonly standby: boolean
  /** What is done with its frames behind its back; undefined: they come and go as they are, without tag. */
  readonly vlan: PortVlan | undefined
  /** Mb/s that a virtual function may send; 0: no limit. */
  readonly maximumRate: number
}

export interface DiskDefinition {
  readonly model: DiskModel | 'physical'
  readonly place: string
  readonly driver: string
  readonly sectors: number
  /** What is on it; pages of zeros are left out. Null: a plan does not read it. */
  readonly contents: MediumImage | null
}

/** A function that the machine has beside network interfaces and disks. */
export interface FunctionDefinition extends FunctionKind {
  readonly address: string
  readonly driver: string | null
  readonly virtual: boolean
}

export interface ProcessorClaims {
  readonly shares: number
  readonly reservationPercent: number
  readonly limitPercent: number
}

export interface MachineDefinition {
  readonly origin: 'physical' | 'virtual'
  readonly name: string
  readonly processors: number
  readonly memoryMiB: number
  /** Of a virtual machine: what else was said when it was made. */
  readonly options: Omit<VmOptions, 'name' | 'vcpus' | 'memoryMiB' | 'viommu'>
  readonly remappingUnit: VirtualUnitMode | 'physical' | undefined
  readonly claims: ProcessorClaims | undefined
  readonly network: readonly NetworkInterface[]
  readonly disk: DiskDefinition | undefined
  readonly functions: readonly FunctionDefinition[]
  /** What no definition of a machine holds. */
  readonly left: readonly ConversionItem[]
}
