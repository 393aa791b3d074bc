/** What the IOMMU driver is made with, what it keeps for groups, and its whole state as plain data. */
import type { Engine, Trace } from '../../engine/index.ts'
import type { Dmar } from '../../platform/formats/acpi/index.ts'
import type { MachinePort } from '../../platform/machine-port.ts'
import type { KernelParameters } from '../command-line.ts'
import type { Group, GroupingRules, SavedGrouping } from '../grouping/groups.ts'
import type { HostPciFunction } from '../pci/pci-function.ts'
import type { TableMemory } from '../table-memory.ts'
import type { SavedIdentity } from './default-domains.ts'
import type { ReservedPages } from './device-scopes.ts'
import type { SavedDomain, TranslationDomain } from './domain.ts'
import type { SavedUnit } from './remapping-unit-driver.ts'

/** A group with what the kernel keeps for it. */
export interface GroupState {
  readonly group: Group<HostPciFunction>
  /** For the kernel's own drivers; undefined where no modelled unit translates. */
  readonly defaultDomain: TranslationDomain | undefined
  /** Where the group's requesters point now. */
  domain: TranslationDomain | undefined
  /** User space that owns the group's DMA. */
  user: string | undefined
}

export interface IommuOptions {
  readonly machine: MachinePort
  readonly memory: TableMemory
  readonly dmar: Dmar | undefined
  readonly parameters: KernelParameters
  readonly trace: Trace
  readonly engine: Engine
  /** Stops the kernel. */
  readonly halt: (reason: string) => never
  /** All usable memory. */
  readonly usable: readonly ReservedPages[]
  /** What units are called, by register base. */
  readonly unitNames: ReadonlyMap<number, string>
  /** Name of an address-range unit, which translates but isolates nobody. */
  readonly aperture: string | undefined
  /** How groups are made. */
  readonly rules: GroupingRules
  /** A state to go on from; {@link Iommu.load} takes over what is about functions. */
  readonly saved?: SavedIommu | undefined
}

export type SavedIommu = {
  readonly version: 1
  readonly extendedMode: boolean
  readonly units: readonly SavedUnit[]
  readonly domains: readonly SavedDomain[]
  readonly identity: readonly SavedIdentity[]
  readonly foreign: string | null
  readonly pageRequesters: readonly string[]
  readonly grouping: SavedGrouping
  /** What the kernel keeps for groups, by the number of the group. */
  readonly states: readonly {
    readonly group: number
    readonly defaultDomain: number | null
    readonly domain: number | null
    readonly user: string | null
  }[]
}
