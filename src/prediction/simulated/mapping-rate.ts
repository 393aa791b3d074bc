/** Processors that map and unmap. */
import { parseConfiguration, simulate } from '../../timing/index.ts'
import { valued } from '../prediction.ts'
import { iommuOf } from './iommu.ts'
import { type Simulated, told } from './told.ts'

const MAPPING_WARM_UP = 100_000
/** Of each processor that competes for the queue. */
const MAPPING_TIME = 5000
const LEAST_MAPPING_TIME = 200_000

/** Processors that do nothing but map and unmap, as benchmarks of the DMA interface do. */
export const mappingRate: Simulated = (scenario, costs) => {
  const { cores, pages, queuedOnce, invalidation } = scenario
  // Whoever defers does not meet the others: there is nothing to simulate.
  if (invalidation !== 'strict') return undefined
  const configuration = parseConfiguration({
    warmUp: MAPPING_WARM_UP,
    duration: Math.max(LEAST_MAPPING_TIME, cores * MAPPING_TIME),
    machine: { cores },
    iommu: iommuOf({ ...scenario, translated: true }),
    workload: { kind: 'mapping', cores, pages },
  })
  const queue = queuedOnce ? { lockWaiterExtra: costs.queuedWaiterExtra } : {}
  const modelled = told(simulate(configuration, { ...costs, ...queue }), 'operationsPerSecond')
  return valued(modelled, modelled.value / cores)
}
