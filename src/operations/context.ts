/** What operations work on: the catalogue of topologies, and running platforms. Narrow on purpose. */
import type { Topology } from '../platform/index.ts'
import type { Protection, RecoveryOptions, SimulatedPlatform, VmDocument } from '../system/index.ts'
import { type ExperimentJob, type LaunchExperiment, launchHere } from './experiment-job.ts'
import { type History, NO_HISTORY } from './history.ts'
import { DEFAULT_LIMITS, type Limits } from './limits.ts'
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

export interface SnapshotEntry {
  readonly name: string
  /** Whose it is, and where it was taken; null if it was brought from elsewhere. */
  readonly platform: string | null
  readonly document: VmDocument
}

/** A virtual machine that is to go on elsewhere when its platform dies. */
export interface ProtectionEntry {
  readonly platform: string
  /** The platform that takes it then. */
  readonly to: string
  readonly protection: Protection
  readonly options: RecoveryOptions
}

export interface OperationContext {
  readonly topologies: Registry<TopologyEntry>
  readonly platforms: Registry<PlatformEntry>
  readonly experiments: Registry<ExperimentJob>
  /** Virtual machines as they were. */
  readonly snapshots: Registry<SnapshotEntry>
  /** By platform and machine. */
  readonly protections: Registry<ProtectionEntry>
  /** Who simulates experiments. */
  readonly launch: LaunchExperiment
  /** Folder of the files that disks of platforms may be put on; none may be without one. */
  readonly files: string | undefined
  /** How much there may be of what. */
  limits: Limits
  /** Set by who keeps the installation. */
  history: History
}

/** Of virtual machines; and protections. */
const MOST_SNAPSHOTS = 1_000

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
    platforms: new Registry('platform', 'platforms', () => context.limits.platforms),
    experiments: new Registry('experiment', 'experiments', () => context.limits.experiments),
    snapshots: new Registry('snapshot', 'snapshots', () => MOST_SNAPSHOTS),
    protections: new Registry('protection', 'protections', () => MOST_SNAPSHOTS),
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
