/** What operations work on: the catalogue of topologies, and running platforms. Narrow on purpose. */
import type { Topology } from '../platform/index.ts'
import type { SimulatedPlatform } from '../system/index.ts'
import { type ExperimentJob, type LaunchExperiment, launchHere } from './experiment-job.ts'
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
  readonly experiments: Registry<ExperimentJob>
  /** Who simulates experiments. */
  readonly launch: LaunchExperiment
  /** Folder of the files that disks of platforms may be put on; none may be without one. */
  readonly files: string | undefined
}

export interface ContextLimits {
  readonly topologies: number
  readonly platforms: number
  readonly experiments: number
}

const LIMITS: ContextLimits = { topologies: 10_000, platforms: 1_000, experiments: 200 }

export interface InstallationOptions {
  readonly limits?: ContextLimits
  /** Folder of the files that disks of platforms may be put on; default: none may be. */
  readonly files?: string | undefined
  /** Who simulates experiments; default: this thread. */
  readonly launch?: LaunchExperiment
}

export const createContext = ({
  limits = LIMITS,
  files,
  launch = launchHere,
}: InstallationOptions = {}): OperationContext => ({
  topologies: new Registry('topology', 'topologies', limits.topologies),
  platforms: new Registry('platform', 'platforms', limits.platforms),
  experiments: new Registry('experiment', 'experiments', limits.experiments),
  launch,
  files,
})
