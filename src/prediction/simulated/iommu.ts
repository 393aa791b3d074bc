/** Who maps buffers, and how they are unmapped, as a simulation is asked. */
import type { ConfigurationInput } from '../../timing/index.ts'
import type { Scenario } from '../scenario.ts'

const CONTIGUOUS_BATCH = 64

export function iommuOf(scenario: Scenario): NonNullable<ConfigurationInput['iommu']> {
  const { translated, invalidation, superpages } = scenario
  const allocator = scenario.cachedAddresses ? 'cached' : 'tree'
  const pageSize = superpages ? '2MiB' : '4KiB'
  if (!translated) return { mode: 'off' }
  if (invalidation === 'none') return { mode: 'passThrough' }
  if (invalidation === 'deferred') return { mode: 'deferred', allocator, pageSize }
  if (invalidation === 'optimistic') return { mode: 'strict', allocator, pageSize, buffers: 'pool' }
  const batched = { leafOnly: true, contiguous: true, batch: CONTIGUOUS_BATCH }
  return { mode: 'strict', allocator, pageSize, ...(invalidation === 'batched' && batched) }
}
