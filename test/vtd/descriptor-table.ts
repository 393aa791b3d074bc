/** Every type of invalidation descriptor with its granularities, its reserved bits and what it may not be used without. */
import { QUEUE, SID, STATUS_WORD, TestUnit } from './fixture.ts'
import { FULL, OnePage, PASID, S_DOMAIN, S_QUEUE, TYPE } from './one-page-fixture.ts'

type Range = readonly [high: number, low: number]

export interface DescriptorRow {
  readonly type: number
  readonly name: string
  /** Good descriptors, one for each granularity or use. */
  readonly good: readonly (readonly [use: string, low: bigint, high: bigint])[]
  /** Reserved bits of the first two quadwords; of 256-bit descriptors the rest is reserved too. */
  readonly reserved: readonly [low: readonly Range[], high: readonly Range[]]
  /** Reserved values of G, as bits to add to the type. */
  readonly badGranularities?: readonly bigint[]
  /** Whether it is one of 256-bit queues in scalable mode only. */
  readonly wideOnly?: boolean
}

const sid = BigInt(SID)
const did = BigInt(S_DOMAIN) << 16n
const pasid = BigInt(PASID) << 32n

export const DESCRIPTOR_ROWS: readonly DescriptorRow[] = [
  {
    type: 1,
    name: 'context-cache invalidate',
    good: [
      ['global', 0x11n, 0n],
      ['domain-selective', 0x21n | did, 0n],
      ['device-selective', 0x31n | did | (sid << 32n) | (3n << 48n), 0n],
    ],
    reserved: [
      [
        [8, 6],
        [15, 12],
        [63, 50],
      ],
      [[63, 0]],
    ],
    badGranularities: [0n],
  },
  {
    type: 2,
    name: 'IOTLB invalidate',
    good: [
      ['global, draining', 0xd2n, 0n],
      ['domain-selective', 0x22n | did, 0n],
      ['page-selective', 0x32n | did, 0x1234_5045n],
    ],
    reserved: [
      [
        [8, 8],
        [15, 12],
        [63, 32],
      ],
      [[11, 7]],
    ],
    badGranularities: [0n],
  },
  {
    type: 3,
    name: 'device-TLB invalidate',
    good: [
      ['one page', 3n | (4n << 16n) | (sid << 32n), 0x5000n],
      ['a range', 3n | (sid << 32n), 0x7001n],
    ],
    reserved: [
      [
        [8, 4],
        [31, 21],
        [51, 48],
      ],
      [[11, 1]],
    ],
  },
  {
    type: 4,
    name: 'interrupt entry cache invalidate',
    good: [
      ['global', 4n, 0n],
      ['index-selective', 0x14n | (2n << 27n) | (5n << 32n), 0n],
    ],
    reserved: [
      [
        [8, 5],
        [26, 12],
        [63, 48],
      ],
      [[63, 0]],
    ],
  },
  {
    type: 5,
    name: 'invalidation wait',
    good: [
      ['status', 0x2n * 2n ** 32n + 0x25n, BigInt(STATUS_WORD)],
      ['interrupt', 0x15n, 0n],
      ['fence', 0x45n, 0n],
      ['all three', 0x2n * 2n ** 32n + 0x75n, BigInt(STATUS_WORD)],
    ],
    reserved: [
      [
        [8, 8],
        [31, 12],
      ],
      [[1, 0]],
    ],
  },
  {
    type: 6,
    name: 'PASID-based IOTLB invalidate',
    good: [
      ['PASID-selective', 0x26n | did | pasid, 0n],
      ['page-selective', 0x36n | did | pasid, 0x1234_5042n],
    ],
    reserved: [
      [
        [8, 6],
        [15, 12],
        [63, 52],
      ],
      [[11, 7]],
    ],
    badGranularities: [0n, 0x10n],
    wideOnly: true,
  },
  {
    type: 7,
    name: 'PASID-cache invalidate',
    good: [
      ['domain-selective', 7n | did, 0n],
      ['PASID-selective', 0x17n | did | pasid, 0n],
      ['global', 0x37n, 0n],
    ],
    reserved: [
      [
        [8, 6],
        [15, 12],
        [63, 52],
      ],
      [[63, 0]],
    ],
    badGranularities: [0x20n],
    wideOnly: true,
  },
  {
    type: 8,
    name: 'PASID-based device-TLB invalidate',
    good: [
      ['of a PASID', 8n | (sid << 16n) | pasid, 0x5000n],
      ['of all PASIDs, a range', 8n | (sid << 16n), 0x7801n],
    ],
    reserved: [[], [[10, 1]]],
    wideOnly: true,
  },
  {
    type: 9,
    name: 'page group response',
    good: [
      ['with PASID', 0x19n | (sid << 16n) | pasid, 0x2cn],
      ['without PASID, failure', 0xf009n | (sid << 16n), 0x14n],
    ],
    reserved: [
      [
        [8, 5],
        [63, 52],
      ],
      [
        [1, 0],
        [63, 12],
      ],
    ],
    wideOnly: true,
  },
]

/** What became of one descriptor: the error of the queue, 0 if it was done. */
export type Verdict = number

const verdict = (t: TestUnit): Verdict => (t.read32(0x34) & 0x10 ? Number(t.read64(0xb0) & 15n) : 0)

/** Through a queue of 128-bit descriptors in legacy mode. */
export function narrow(
  low: bigint,
  high: bigint,
  capabilities: Readonly<Record<string, number>> = {},
): Verdict {
  const t = new TestUnit({ capabilities: { DT: 1, ...capabilities } })
  t.enableQueue()
  t.store(QUEUE, low)
  t.store(QUEUE + 8, high)
  t.write64(0x88, 16)
  return verdict(t)
}

/** Through a queue of 256-bit descriptors in scalable mode. */
export function wide(words: readonly bigint[], capabilities: Readonly<Record<string, number>> = {}): Verdict {
  const t = new OnePage(TYPE.second, { ...FULL, ...capabilities })
  t.enableWideQueue()
  for (const [i, word] of words.entries()) t.store(S_QUEUE + i * 8, word)
  t.write64(0x88, 32)
  return verdict(t)
}
