/** What the mapping of a packet's buffers adds: on the processor, and on the queue that all processors share. */
import { addressCycles, ENTRANCE, sharedQueue, tableCycles, UNIT } from '../mapping.ts'
import type { Charge, Situation } from './charges.ts'

const PAGE = 4096
/** Unmaps that one invalidation covers where software batches them by contiguous ranges. */
const CONTIGUOUS_BATCH = 64

export function mappingCharges({ scenario, costs, packets }: Situation): readonly Charge[] {
  const { invalidation, model, guestIommu, backend } = scenario
  const owner = model === 'native' ? 'host processor' : 'virtual processor'
  const bounced = scenario.record.configuration['bounceCopy'] === true
  const charge = (cause: string, nanoseconds: number, more: Partial<Charge> = {}): Charge => ({
    resource: owner,
    cause,
    nanoseconds,
    ...more,
  })
  if (bounced)
    return [
      charge('copy to a buffer that stays mapped', (costs.copyPerByte * packets.payload) / costs.clockGHz),
    ]
  const dynamic = invalidation !== 'none' && (model === 'native' || guestIommu !== 'none')
  if (!dynamic) return []

  const pages = Math.ceil(packets.payload / PAGE)
  const together = { strict: 1, deferred: costs.flushQueueEntries, batched: CONTIGUOUS_BATCH }[invalidation]
  const tables =
    tableCycles(costs.pageTableMap, pages, costs) + tableCycles(costs.pageTableUnmap, pages, costs)
  const cycles = addressCycles(scenario, costs) + tables + costs.mapOther + costs.unmapOther
  const { unit, entrance } = sharedQueue(scenario, costs)
  const wait = (costs.invalidationSubmit / costs.clockGHz + unit) / together
  const charges = [
    charge('buffers mapped and unmapped', cycles / costs.clockGHz),
    charge('invalidations', wait),
    { resource: UNIT, cause: 'commands', nanoseconds: unit / together },
    { resource: ENTRANCE, cause: 'one processor after another', nanoseconds: entrance / together },
  ]
  if (guestIommu === 'none' || backend === 'sidecore') return charges
  // An emulated unit learns of new entries by an invalidation too ("Caching Mode"); a nested stage needs only the others.
  const exits = (guestIommu === 'emulated' ? 1 : 0) + 1 / together
  const exit = costs.exitRoundTrip + costs.kernelHandler + costs.userSpaceRoundTrip
  return [
    ...charges,
    charge('exits to the emulated unit', (exits * exit) / costs.clockGHz, { exits, register: true }),
  ]
}
