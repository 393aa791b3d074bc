/** Transfers of a device, as benchmarks of PCI Express make them. */
import { type Configuration, parseConfiguration, simulate } from '../../timing/index.ts'
import { valued } from '../prediction.ts'
import type { Scenario } from '../scenario.ts'
import { type Simulated, told } from './told.ts'

const OPERATIONS = {
  read: 'read',
  write: 'write',
  readWrite: 'readWrite',
  writeRead: 'writeThenRead',
} as const
const DEFAULT_BYTES = 64
const TRANSFER_TIMES = {
  bandwidth: { warmUp: 20_000, duration: 60_000 },
  latency: { warmUp: 10_000, duration: 120_000 },
}

function transfers(scenario: Scenario, measure: 'bandwidth' | 'latency'): Configuration {
  const { link, translated, superpages, direction, windowBytes, coldCache, remoteMemory } = scenario
  return parseConfiguration({
    ...TRANSFER_TIMES[measure],
    link,
    // A static map: nothing is unmapped, whatever the mode.
    iommu: { mode: translated ? 'strict' : 'off', pageSize: superpages ? '2MiB' : '4KiB' },
    workload: {
      kind: 'dma',
      operation: OPERATIONS[direction],
      measure,
      bytes: scenario.messageBytes ?? DEFAULT_BYTES,
      windowBytes,
      cache: coldCache ? 'cold' : 'warm',
      remote: remoteMemory,
    },
  })
}

export const bandwidth: Simulated = (scenario, costs) => {
  const modelled = told(simulate(transfers(scenario, 'bandwidth'), costs), 'throughput')
  // Benchmarks that read and write in turn tell the bytes of one direction.
  return scenario.direction === 'readWrite' ? valued(modelled, modelled.value / 2) : modelled
}

export const latency: Simulated = (scenario, costs) =>
  told(simulate(transfers(scenario, 'latency'), costs), 'latencyP50')
