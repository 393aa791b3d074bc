/** What the mapping of a packet's buffers adds: on the processor, and on the queue that all processors share. */
import type { Costs } from '../../../timing/index.ts'
import type { Scenario } from '../../scenario.ts'
import { addressCycles, ENTRANCE, sharedQueue, tableCycles, UNIT } from '../mapping.ts'
import { BACKEND, type Charge, GUEST, HOST, type Situation } from './charge.ts'

const PAGE = 4096
/** Unmaps that one invalidation covers where software batches them by contiguous ranges. */
const CONTIGUOUS_BATCH = 64

/** Of the packets, those that map and unmap at all, and of the unmaps, those that wait for an invalidation. */
function sharesOf({ invalidation }: Scenario, { mappingReuse, flushQueueEntries }: Costs) {
  switch (invalidation) {
    case 'none':
      return { mapped: 0, invalidated: 0 }
    case 'optimistic':
      return { mapped: 1 - mappingReuse, invalidated: 1 }
    case 'deferred':
      return { mapped: 1, invalidated: 1 / flushQueueEntries }
    case 'batched':
      return { mapped: 1, invalidated: 1 / CONTIGUOUS_BATCH }
    case 'strict':
      return { mapped: 1, invalidated: 1 }
  }
}

export function mappingCharges({ scenario, costs, packets }: Situation): readonly Charge[] {
  const { model, guestIommu, backend, bounced } = scenario
  const owner = model === 'native' ? HOST : GUEST
  const charge = (cause: string, nanoseconds: number, more: Partial<Charge> = {}): Charge => ({
    resource: owner,
    cause,
    nanoseconds,
    ...more,
  })
  const time = (cycles: number): number => cycles / costs.clockGHz
  if (bounced)
    return [charge('copy to a buffer that stays mapped', time(costs.copyPerByte * packets.payload))]
  if (model !== 'native' && guestIommu === 'none') return []

  const { perDescriptor, payload, parts } = packets
  const { mapped: share, invalidated } = sharesOf(scenario, costs)
  /** Mappings of a packet. */
  const mapped = (share * parts) / perDescriptor
  const waits = mapped * invalidated
  const pages = Math.ceil((perDescriptor * payload) / PAGE)
  const tables =
    tableCycles(costs.pageTableMap, pages, costs) + tableCycles(costs.pageTableUnmap, pages, costs)
  const cycles = addressCycles(scenario, costs) + tables / parts + costs.mapOther + costs.unmapOther
  const { unit, entrance } = sharedQueue(scenario, costs)
  // An emulated unit learns of new entries by an invalidation too ("Caching Mode"); a nested stage needs only the others.
  const told = guestIommu === 'none' ? 0 : (guestIommu === 'emulated' ? mapped : 0) + waits
  // A side core sees them in memory: nobody exits, but whoever waits for an invalidation waits for it.
  const aside = backend === 'sidecore'
  const exits = aside ? 0 : told
  const exit = costs.exitRoundTrip + costs.kernelHandler + costs.userSpaceRoundTrip
  return [
    charge('buffers mapped and unmapped', mapped * time(cycles)),
    charge('invalidations', waits * (time(costs.invalidationSubmit) + unit)),
    { resource: UNIT, cause: 'commands', nanoseconds: waits * unit },
    { resource: ENTRANCE, cause: 'one processor after another', nanoseconds: waits * entrance },
    charge('exits to the emulated unit', exits * time(exit), { exits, register: true }),
    charge('waits for the side core', aside && told > 0 ? waits * time(costs.kernelHandler) : 0),
    { resource: BACKEND, cause: 'unit emulated', nanoseconds: aside ? told * time(costs.kernelHandler) : 0 },
  ]
}
