/** Models of input and output for disks, and what this room needs of its platform. */
import type { HostKernel } from '../../host/index.ts'
import type { Hypervisor } from '../../hypervisor/index.ts'
import type { PcieFunction } from '../../pcie/index.ts'
import type { MachinePort } from '../../platform/index.ts'

export const DISK_MODELS = ['emulation', 'paravirtual', 'queuePair', 'virtualFunction', 'direct'] as const
export type DiskModel = (typeof DISK_MODELS)[number]

export interface DiskOptions {
  readonly vm: string
  readonly model: DiskModel
  /** The NVMe function behind it; the host's memory if absent (emulation and paravirtual only). */
  readonly function?: string
  /** Of the function, for disks that the host serves; default: the first with blocks of 512 bytes. */
  readonly namespace?: number
  /** Of 512 bytes, of a disk in the host's memory; default: 64 MiB. */
  readonly sectors?: number
}

/** What this room needs of its platform. */
export interface DiskHost {
  readonly host: HostKernel
  readonly hypervisor: Hypervisor
  readonly port: MachinePort
  /** Folder of the files that may be media of namespaces. */
  readonly files: string | undefined
  functionAt(address: string): PcieFunction
}
