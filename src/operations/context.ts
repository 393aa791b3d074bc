/** What operations work on: the catalogue of topologies, and running platforms. Narrow on purpose. */
import type { Topology } from '../platform/index.ts'
import type { SimulatedPlatform } from '../system/index.ts'
import { Registry } from './registry.ts'

/** One platform and what this server knows of it. */
export interface PlatformEntry {
  readonly id: string
  readonly running: SimulatedPlatform
}

export interface TopologyEntry {
  /** Shipped with Northbridge: cannot be changed. */
  readonly shipped: boolean
  /** Parsed on first use; throws `invalidDocument`. */
  readonly topology: Topology
}

export interface OperationContext {
  readonly topologies: Registry<TopologyEntry>
  readonly platforms: Registry<PlatformEntry>
  /** Folder of the files that disks of platforms may be put on; none may be without one. */
  readonly files: string | undefined
}

export interface ContextLimits {
  readonly topologies: number
  readonly platforms: number
}

const LIMITS: ContextLimits = { topologies: 10_000, platforms: 1_000 }

export const createContext = (
  { topologies, platforms }: ContextLimits = LIMITS,
  files?: string,
): OperationContext => ({
  topologies: new Registry('topology', 'topologies', topologies),
  platforms: new Registry('platform', 'platforms', platforms),
  files,
})
