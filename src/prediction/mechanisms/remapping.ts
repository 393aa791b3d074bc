/**
 * What buffers that are mapped for one use, or for long, do to the caches of the remapping unit: misses for 4 KiB of data, reads
 * of tables, and the time of the walkers.
 */
import type { Costs } from '../../timing/index.ts'
import { type Modelled, type Part, part, summed } from '../prediction.ts'
import type { Scenario } from '../scenario.ts'
import { readUse, writeUse } from './link.ts'

const PAGE = 4096
/** Tables above the one whose entries the IOTLB holds. */
const UPPER_LEVELS = 3

export interface Misses {
  readonly iotlb: number
  /** Walks for which the entry to the last table, the one above, the one above that was not cached. */
  readonly upper: number
  readonly reads: number
}

/** By 4 KiB of data. */
export function missesOf(scenario: Scenario, costs: Costs): Misses {
  const { translated, superpages, invalidation, cores, ring } = scenario
  if (!translated || (superpages && invalidation === 'none')) return { iotlb: 0, upper: 0, reads: 0 }
  const working = ring * Math.max(1, cores)
  // Mapped for one use, an address is new to the cache; mapped for long, it may still be there.
  const iotlb =
    invalidation === 'strict' || invalidation === 'batched'
      ? 1
      : Math.max(0, 1 - costs.iotlbEntries / working)
  // A page invalidated without the hint that only a leaf changed takes the entries above it along, for every walk that
  // would have used them: there is one such invalidation for each walk, so that it comes first half the time.
  const upper = invalidation === 'strict' ? iotlb / 2 : 0
  return { iotlb, upper, reads: iotlb + UPPER_LEVELS * upper }
}

/** Walkers that a device keeps busy: writes wait in order, and the buffer for them holds a few pages' worth. */
function walkersUsed({ link, receiving }: Scenario, { pageWalkers, postedWrites }: Costs): number {
  if (!receiving) return pageWalkers
  return Math.max(1, Math.min(pageWalkers, (postedWrites * link.mps) / PAGE))
}

export function remapping(scenario: Scenario, costs: Costs, payload: number): Part[] {
  const { iotlb, reads } = missesOf(scenario, costs)
  const pages = Math.ceil(payload / PAGE)
  const walk = pages * (iotlb * costs.walkStart + reads * costs.tableRead)
  return [part('page walkers', 'walks', walk / walkersUsed(scenario, costs))]
}

const count =
  (cause: string, of: (misses: Misses) => number) =>
  (scenario: Scenario, costs: Costs): Modelled =>
    summed('1/4 KiB', [part('remapping unit', cause, of(missesOf(scenario, costs)))])

export const iotlbMisses = count('translations not cached', ({ iotlb }) => iotlb)
export const upperMisses = count('entries above the leaf not cached', ({ upper }) => upper)

export function tableReads(scenario: Scenario, costs: Costs): Modelled {
  const { iotlb, upper } = missesOf(scenario, costs)
  return summed('reads', [
    part('remapping unit', 'leaf entries', iotlb),
    part('remapping unit', 'entries above', UPPER_LEVELS * upper),
  ])
}

/** Without translation: the data of a page on the link. */
export function baseTransferTime(scenario: Scenario, costs: Costs): Modelled {
  const { link, receiving } = scenario
  const { up, down } = receiving ? writeUse(link, costs, PAGE) : readUse(link, costs, PAGE)
  return summed('ns', [part('link', 'data of a page', receiving ? up : down)])
}

export const tableReadTime = (_scenario: Scenario, costs: Costs): Modelled =>
  summed('ns', [part('memory', 'read of a table entry', costs.tableRead)])
