/** Pieces of an inspection that both chips show alike. */
import { type FilterTables, formatMac, PoolSet } from '../../../net/index.ts'
import type { RingInspection } from './nic-model.ts'
import { COMPARE, type QueueFilters } from './queue-filters.ts'

interface Ring {
  readonly queue: number
  readonly enabled: boolean
  readonly stopped: boolean
  readonly baseLow: number
  readonly baseHigh: number
  readonly count: number
  readonly head: number
  readonly tail: number
  readonly frames: number
  readonly bytes: number
}

export const ringView = (ring: Ring, pool: number, virtualFunction: number): RingInspection => ({
  queue: ring.queue,
  pool,
  virtualFunction,
  enabled: ring.enabled,
  base: `0x${(ring.baseHigh * 2 ** 32 + ring.baseLow).toString(16)}`,
  descriptors: ring.count,
  head: ring.head,
  tail: ring.tail,
  stopped: ring.stopped,
  frames: ring.frames,
  bytes: ring.bytes,
})

function poolsOf(low: number, high: number): number[] {
  const pools = new PoolSet()
  pools.set(low, high)
  return Array.from({ length: 64 }, (_, pool) => pool).filter(pool => pools.has(pool))
}

export const macFilterViews = (tables: FilterTables) =>
  Array.from({ length: tables.macs }, (_, i) => ({
    address: formatMac(tables.macLow[i]!, tables.macHigh[i]!),
    pools: poolsOf(tables.macPoolsLow[i]!, tables.macPoolsHigh[i]!),
  }))

export const vlanFilterViews = (tables: FilterTables) =>
  Array.from({ length: tables.vlans }, (_, i) => ({
    vlan: tables.vlan[i]!,
    pools: poolsOf(tables.vlanPoolsLow[i]!, tables.vlanPoolsHigh[i]!),
  }))

const orNull = (number: number): number | null => (number < 0 ? null : number)
const dotted = (address: number): string => [0, 8, 16, 24].map(shift => (address >>> shift) & 0xff).join('.')
const swapped = (port: number): number => ((port & 0xff) << 8) | (port >>> 8)

export const queueFilterViews = (filters: QueueFilters) => ({
  etherTypes: [...filters.etherType].flatMap((etherType, i) =>
    etherType < 0
      ? []
      : [
          {
            etherType: `0x${etherType.toString(16).padStart(4, '0')}`,
            pool: orNull(filters.etherTypePool[i]!),
            queue: orNull(filters.etherTypeQueue[i]!),
          },
        ],
  ),
  synQueue: orNull(filters.synQueue),
  fiveTuples: filters.tuples.map(tuple => ({
    priority: tuple.priority,
    queue: tuple.queue,
    ...(tuple.compare & COMPARE.source && { source: dotted(tuple.source) }),
    ...(tuple.compare & COMPARE.destination && { destination: dotted(tuple.destination) }),
    ...(tuple.compare & COMPARE.sourcePort && { sourcePort: swapped(tuple.sourcePort) }),
    ...(tuple.compare & COMPARE.destinationPort && { destinationPort: swapped(tuple.destinationPort) }),
    ...(tuple.compare & COMPARE.protocol && { protocol: tuple.protocol }),
    ...(tuple.compare & COMPARE.pool && { pool: tuple.pool }),
  })),
})

/** What a pool accepts besides exact addresses, in words. */
export function acceptedBy(pool: number, tables: FilterTables): string[] {
  const modes = {
    broadcast: tables.broadcast,
    'multicast by hash': tables.multicastHash,
    'unicast by hash': tables.unicastHash,
    'all multicast': tables.multicastAll,
    untagged: tables.untagged,
  }
  return Object.entries(modes).flatMap(([name, set]) => (set.has(pool) ? [name] : []))
}
