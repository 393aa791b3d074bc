/** Pieces of an inspection that both chips show alike. */
import { type FilterTables, formatMac, PoolSet } from '../../../net/index.ts'
import type { RingInspection } from './nic-model.ts'

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
