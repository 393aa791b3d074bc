/** Which pools get a frame, against an independent model that works with sets and text. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Classifier, FilterTables, FrameHeaders, macHigh, macLow, VERDICT } from '../../src/net/index.ts'
import { frame } from './nic-rig.ts'

interface Pool {
  broadcast: boolean
  multicastHash: boolean
  unicastHash: boolean
  multicastAll: boolean
  untagged: boolean
  enabled: boolean
}
interface Configuration {
  pools: Pool[]
  macs: { mac: number[]; pools: number[] }[]
  vlans: { vlan: number; pools: number[] }[]
  vlanTable: number[]
  multicast: number[]
  unicast: number[]
  vlanFilter: boolean
  replication: boolean
  defaultPool: number
}

/** Few addresses, so that frames and filters meet. */
const address: fc.Arbitrary<number[]> = fc.constantFrom<number[][]>(
  [2, 0, 0, 0, 0, 1],
  [2, 0, 0, 0, 0, 2],
  [2, 0, 0, 0, 0, 3],
  [1, 0, 0x5e, 0, 0, 1],
  [0x33, 0x33, 0, 0, 0x12, 0x34],
  [255, 255, 255, 255, 255, 255],
)
const vlan = fc.constantFrom(1, 2, 3)
/** Pools on both sides of the border between the two words. */
const POOLS = [0, 1, 5, 31, 32, 40, 63]
const poolList = fc.subarray(POOLS)
const pool: fc.Arbitrary<Pool> = fc.record({
  broadcast: fc.boolean(),
  multicastHash: fc.boolean(),
  unicastHash: fc.boolean(),
  multicastAll: fc.boolean(),
  untagged: fc.boolean(),
  enabled: fc.boolean(),
})
const configuration: fc.Arbitrary<Configuration> = fc.record({
  pools: fc.array(pool, { minLength: POOLS.length, maxLength: POOLS.length }),
  macs: fc.array(fc.record({ mac: address, pools: poolList }), { maxLength: 4 }),
  vlans: fc.array(fc.record({ vlan, pools: poolList }), { maxLength: 3 }),
  vlanTable: fc.subarray([1, 2, 3]),
  multicast: fc.subarray([hash([1, 0, 0x5e, 0, 0, 1]), hash([0x33, 0x33, 0, 0, 0x12, 0x34])]),
  unicast: fc.subarray([hash([2, 0, 0, 0, 0, 1]), hash([2, 0, 0, 0, 0, 3])]),
  vlanFilter: fc.boolean(),
  replication: fc.boolean(),
  defaultPool: fc.constantFrom(-1, ...POOLS),
})

/** Twelve bits of the last two bytes, read as one number of 16 bits with the last byte first. */
function hash(mac: readonly number[]): number {
  return ((mac[5]! * 256 + mac[4]!) >> 4) & 0xfff
}

/** The same decisions, one sentence after the other. */
function slowly(
  c: Configuration,
  to: number[],
  tag: number | undefined,
  source: number,
): number[] | 'dropped' {
  const having = (key: keyof Pool): number[] => POOLS.filter((_, i) => c.pools[i]![key])
  const text = to.join(':')
  const isGroup = to[0]! % 2 === 1
  const isBroadcast = text === '255:255:255:255:255:255'
  if (c.vlanFilter && tag !== undefined && !c.vlanTable.includes(tag)) return 'dropped'
  const exact = c.macs.filter(({ mac }) => mac.join(':') === text)
  let chosen = new Set(exact.flatMap(({ pools }) => pools))
  if (isBroadcast) for (const p of having('broadcast')) chosen.add(p)
  else if (isGroup) {
    if (chosen.size === 0 && c.multicast.includes(hash(to))) chosen = new Set(having('multicastHash'))
    for (const p of having('multicastAll')) chosen.add(p)
  } else if (chosen.size === 0 && c.unicast.includes(hash(to))) chosen = new Set(having('unicastHash'))
  if (c.vlanFilter) {
    const members =
      tag === undefined
        ? having('untagged')
        : c.vlans.filter(entry => entry.vlan === tag).flatMap(({ pools }) => pools)
    chosen = new Set([...chosen].filter(p => members.includes(p)))
  }
  if (isGroup && !c.replication) {
    const lowest = Math.min(...chosen)
    if (exact.length === 0) chosen = new Set(c.defaultPool < 0 ? [] : [c.defaultPool])
    else chosen = new Set(chosen.size === 0 ? [] : [lowest])
  }
  if (!isGroup && chosen.size === 0 && source < 0 && c.defaultPool >= 0) chosen.add(c.defaultPool)
  const enabled = having('enabled')
  const left = [...chosen].filter(p => enabled.includes(p) && p !== source)
  return left.length === 0 ? 'dropped' : left.sort((a, b) => a - b)
}

function tablesOf(c: Configuration): FilterTables {
  const tables = new FilterTables(8, 8)
  const words = (list: number[]): [number, number] => [
    list.filter(p => p < 32).reduce((sum, p) => sum | (1 << p), 0),
    list.filter(p => p >= 32).reduce((sum, p) => sum | (1 << (p - 32)), 0),
  ]
  const bitTable = (list: number[]): Uint32Array => {
    const table = new Uint32Array(128)
    for (const value of list) table[value >>> 5]! |= 1 << (value & 31)
    return table
  }
  tables.pooling = true
  tables.vlanFilter = c.vlanFilter
  tables.replication = c.replication
  tables.defaultPool = c.defaultPool
  tables.vlanTable = bitTable(c.vlanTable)
  tables.multicastTable = bitTable(c.multicast)
  tables.unicastTable = bitTable(c.unicast)
  for (const { mac, pools } of c.macs) {
    const bytes = Uint8Array.from(mac)
    tables.addMac(macLow(bytes, 0), macHigh(bytes, 0), ...words(pools))
  }
  for (const [i, { vlan: id, pools }] of c.vlans.entries()) tables.addVlan(i, id, ...words(pools))
  for (const [i, number] of POOLS.entries()) {
    const p = c.pools[i]!
    if (p.broadcast) tables.broadcast.add(number)
    if (p.multicastHash) tables.multicastHash.add(number)
    if (p.unicastHash) tables.unicastHash.add(number)
    if (p.multicastAll) tables.multicastAll.add(number)
    if (p.untagged) tables.untagged.add(number)
    if (p.enabled) tables.enabled.add(number)
  }
  return tables
}

describe('the pools of a frame', () => {
  it('are those that the rules, taken one by one, choose', () => {
    const headers = new FrameHeaders()
    const tag = fc.option(vlan, { nil: undefined })
    const source = fc.constantFrom(-1, -1, ...POOLS)
    let delivered = 0
    fc.assert(
      fc.property(configuration, address, tag, source, (c, to, id, from) => {
        const bytes = frame(to, [2, 0, 0, 0, 9, 9], 64, id)
        headers.parse(bytes, bytes.length)
        const classifier = new Classifier(tablesOf(c))
        classifier.classify(headers, from, false)
        const got = Array.from({ length: 64 }, (_, p) => p).filter(p => classifier.pools.has(p))
        const wanted = slowly(c, to, id, from)
        expect(classifier.verdict === VERDICT.none ? got : 'dropped').toEqual(wanted)
        if (wanted !== 'dropped') delivered++
      }),
      { numRuns: 3000 },
    )
    expect(delivered).toBeGreaterThan(300)
  })
})
