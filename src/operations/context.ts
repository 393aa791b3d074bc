/** What operations work on: the catalogue of topologies, and running platforms. Narrow on purpose. */
import type { Topology } from '../platform/index.ts'
import { type ExperimentJob, type LaunchExperiment, launchHere } from './experiment-job.ts'
import { type History, NO_HISTORY } from './history.ts'
import { DEFAULT_LIMITS, type Limits } from './limits.ts'
import { PlatformRegistry } from './platform-registry.ts'
import { Registry } from './registry.ts'

export interface TopologyEntry {
  /** Shipped with Northbridge: cannot be changed. */
  readonly shipped: boolean
  /** Parsed on first use; throws `invalidDocument`. */
  readonly topology: Topology
}

export interface OperationContext {
  readonly topologies: Registry<TopologyEntry>
  readonly platforms: PlatformRegistry
  readonly experiments: Registry<ExperimentJob>
  /** Who simulates experiments. */
  readonly launch: LaunchExperiment
  /** Folder of the files that disks of platforms may be put on; none may be without one. */
  readonly files: string | undefined
  /** How much there may be of what. */
  limits: Limits
  /** Set by who keeps the installation. */
  history: History
}

export interface InstallationOptions {
  /** Default: some that a desk needs not think of. */
  readonly limits?: Partial<Limits>
  /** Folder of the files that disks of platforms may be put on; default: none may be. */
  readonly files?: string | undefined
  /** Who simulates experiments; default: this thread. */
  readonly launch?: LaunchExperiment
}

export const createContext = ({
  limits = {},
  files,
  launch = launchHere,
}: InstallationOptions = {}): OperationContext => {
  const context: OperationContext = {
    topologies: new Registry('topology', 'topologies', () => context.limits.topologies + shipped(context)),
    platforms: new PlatformRegistry(() => context.limits.platforms),
    experiments: new Registry('experiment', 'experiments', () => context.limits.experiments),
    launch,
    files,
    limits: { ...DEFAULT_LIMITS, ...limits },
    history: NO_HISTORY,
  }
  return context
}

/** What comes with Northbridge counts for nobody. */
function shipped({ topologies }: OperationContext): number {
  let count = 0
  for (const entry of topologies.values()) if (entry.shipped) count++
  return count
}
