/** Simulations for tests: short, of a machine that is told completely. */
import {
  type ConfigurationInput,
  type DmaWorkload,
  type MappingWorkload,
  type NetworkWorkload,
  parseConfiguration,
  type Result,
  type StorageWorkload,
  simulate,
} from '../../src/timing/index.ts'

type Around = Omit<ConfigurationInput, 'workload'>

export const dma = (workload: Partial<DmaWorkload>, around: Around = {}): Result =>
  simulate(
    parseConfiguration({ warmUp: 2e4, duration: 1e5, ...around, workload: { kind: 'dma', ...workload } }),
  )

export const mapping = (workload: Partial<MappingWorkload>, around: Around = {}): Result =>
  simulate(
    parseConfiguration({
      warmUp: 1e5,
      duration: 3e5,
      ...around,
      machine: { cores: 64, ...around.machine },
      workload: { kind: 'mapping', ...workload },
    }),
  )

export const network = (workload: Partial<NetworkWorkload>, around: Around = {}): Result =>
  simulate(
    parseConfiguration({
      warmUp: 1e6,
      duration: 2e6,
      ...around,
      machine: { cores: 64, ...around.machine },
      workload: { kind: 'network', ...workload },
    }),
  )

export const storage = (workload: Partial<StorageWorkload>, around: Around = {}): Result =>
  simulate(
    parseConfiguration({ warmUp: 1e6, duration: 5e6, ...around, workload: { kind: 'storage', ...workload } }),
  )
