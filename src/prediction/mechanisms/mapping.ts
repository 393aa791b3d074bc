/** A buffer's way through the host's IOMMU layer: address, table entries, invalidation. */
import type { Costs } from '../../timing/index.ts'
import { type Modelled, type Part, paced, part, summed, valued } from '../prediction.ts'
import type { Scenario } from '../scenario.ts'

const PROCESSOR = 'processor'

/** What all processors share to invalidate: the queue of the unit, and the right to put something into it. */
export interface SharedQueue {
  /** Nanoseconds of the unit for an invalidation with its wait. */
  readonly unit: number
  /** Nanoseconds for which others cannot put commands in. */
  readonly entrance: number
}

export function sharedQueue(scenario: Scenario, costs: Costs): SharedQueue {
  const waiters = Math.max(0, scenario.cores - 1)
  const each = scenario.queuedOnce ? costs.queuedWaiterExtra : costs.lockWaiterExtra
  return {
    unit: costs.descriptorExecute + costs.waitExecute,
    entrance:
      costs.invalidationSubmit / costs.clockGHz +
      2 * costs.lockHandOff * Math.min(1, waiters) +
      each * waiters,
  }
}

export const UNIT = 'invalidation queue'
export const ENTRANCE = 'entrance of the invalidation queue'

const invalidationCycles = (costs: Costs): number =>
  costs.invalidationSubmit + (costs.descriptorExecute + costs.waitExecute) * costs.clockGHz

const deferred = ({ invalidation }: Scenario): boolean =>
  invalidation === 'deferred' || invalidation === 'optimistic'

/** The red-black tree finds a free range by visiting what is in use; a constant-time allocator takes one from a list. */
const TREE_VISITS = 256
/** Ranges that are given back together leave larger holes. */
const treeVisits = (scenario: Scenario): number => (deferred(scenario) ? TREE_VISITS / 2 : TREE_VISITS)
/** To allocate an address and to free it again. */
export const addressCycles = (scenario: Scenario, costs: Costs): number =>
  scenario.cachedAddresses ? 2 * costs.magazine : 3 * costs.treeUpdate + treeVisits(scenario) * costs.treeStep

/** One walk to the table; further entries of it are neighbours. */
export const tableCycles = (first: number, pages: number, { pageTableFurther }: Costs): number =>
  first + (pages - 1) * pageTableFurther

export const MAPPING_COMPONENTS: Readonly<Record<string, (scenario: Scenario, costs: Costs) => number>> = {
  map_iova_alloc: (scenario, costs) =>
    scenario.cachedAddresses ? 2 * costs.magazine : costs.treeUpdate + treeVisits(scenario) * costs.treeStep,
  map_page_table: (_scenario, costs) => costs.pageTableMap,
  map_other: (_scenario, costs) => costs.mapOther,
  unmap_iova_find: (_scenario, costs) => costs.treeUpdate + Math.log2(TREE_VISITS) * costs.treeStep,
  unmap_iova_free: (scenario, costs) => (scenario.cachedAddresses ? costs.magazine : 2 * costs.treeUpdate),
  unmap_page_table: (_scenario, costs) => costs.pageTableUnmap,
  unmap_iotlb_inv: (scenario, costs) =>
    invalidationCycles(costs) / (deferred(scenario) ? costs.flushQueueEntries : 1),
  unmap_other: (_scenario, costs) => costs.unmapOther,
}

/** One row of the cycle tables: `map_…` and `unmap_…`. */
export function mappingComponent(scenario: Scenario, costs: Costs): Modelled {
  const { metric } = scenario.record
  return summed('cycles', [
    part(PROCESSOR, metric.replaceAll('_', ' '), MAPPING_COMPONENTS[metric]!(scenario, costs)),
  ])
}

const nanoseconds = (costs: Costs, cycles: number): number => cycles / costs.clockGHz

/** What one processor does for a buffer of so many pages, without waiting for others. */
export function bufferParts(scenario: Scenario, costs: Costs): readonly Part[] {
  const { pages } = scenario
  const time = (cause: string, cycles: number): Part => part(PROCESSOR, cause, nanoseconds(costs, cycles))
  return [
    time('I/O virtual address', addressCycles(scenario, costs)),
    time('table entries written', tableCycles(costs.pageTableMap, pages, costs)),
    time('table entries cleared', tableCycles(costs.pageTableUnmap, pages, costs)),
    time('the rest', costs.mapOther + costs.unmapOther),
    time('invalidation', deferred(scenario) ? 0 : invalidationCycles(costs)),
  ]
}

/** Rate of map and unmap on each processor when all of them do nothing else. */
export function mappingRate(scenario: Scenario, costs: Costs): Modelled {
  const own = bufferParts(scenario, costs).map(({ cause, amount }) =>
    part('processors', cause, amount / scenario.cores),
  )
  const { unit, entrance } = sharedQueue(scenario, costs)
  const shared = deferred(scenario) ? 0 : 1
  const pace = paced('ns', [
    ...own,
    part(UNIT, 'commands of all processors', shared * unit),
    part(ENTRANCE, 'one processor after another', shared * entrance),
  ])
  return valued(pace, 1e9 / pace.value / scenario.cores)
}

/** A guest's commands are an exit, which its hypervisor answers with commands of its own. */
const guestExit = ({ guestIommu, backend }: Scenario, costs: Costs): number =>
  guestIommu === 'none' || backend === 'sidecore'
    ? 0
    : nanoseconds(costs, costs.exitRoundTrip + costs.kernelHandler + costs.userSpaceRoundTrip)

/** Whoever comes last waits for everybody else. */
export function invalidationTime(scenario: Scenario, costs: Costs): Modelled {
  const { unit, entrance } = sharedQueue(scenario, costs)
  const others = Math.max(0, scenario.cores - 1)
  return summed('ns', [
    part(ENTRANCE, 'commands written', entrance),
    part(UNIT, 'commands', unit),
    part(UNIT, 'those of the others', others * Math.max(unit, entrance)),
    part(PROCESSOR, 'exit of the guest', guestExit(scenario, costs)),
  ])
}

const tableTime =
  (name: 'pageTableMap' | 'pageTableUnmap') =>
  ({ pages }: Scenario, costs: Costs): Modelled =>
    summed('ns', [
      part(PROCESSOR, 'table entries', nanoseconds(costs, tableCycles(costs[name], pages, costs))),
    ])
export const pageTableMapTime = tableTime('pageTableMap')
export const pageTableUnmapTime = tableTime('pageTableUnmap')

/** Linux unmaps a scatter list as one range: entries by page, one address, one wait unless it is deferred. */
export function unmapListTime(scenario: Scenario, costs: Costs): Modelled {
  const time = (cause: string, cycles: number): Part => part(PROCESSOR, cause, nanoseconds(costs, cycles))
  const each = scenario.batchedCommands ? 1 : scenario.pages
  const commands = deferred(scenario) ? 0 : each * costs.descriptorExecute + costs.waitExecute
  return summed('ns', [
    time('I/O virtual address', addressCycles(scenario, costs) / 2),
    time('table entries cleared', tableCycles(costs.pageTableUnmap, scenario.pages, costs)),
    time('the rest', costs.unmapOther),
    time('commands written', deferred(scenario) ? 0 : costs.invalidationSubmit),
    part(UNIT, 'commands', commands),
    part(PROCESSOR, 'exit of the guest', deferred(scenario) ? 0 : guestExit(scenario, costs)),
  ])
}
