/** "Queued Invalidation Interface" with 256-bit descriptors: the types that scalable mode adds, and their checks. */
import { describe, expect, test } from 'vitest'
import { IOVA, NOWHERE, SID, STATUS_WORD } from './fixture.ts'
import { FS, FULL, INDEX, OnePage, PASID, PASID_ENTRY, S_DOMAIN, TYPE } from './one-page-fixture.ts'

const IQE = 0x10
const did = BigInt(S_DOMAIN) << 16n
const pasid = (value: number) => BigInt(value) << 32n
const MOVED = 0x1_7777_7000
const leaf = FS[1] + INDEX[1] * 8

const queued = (type: number = TYPE.first, capabilities: Record<string, number> = FULL) => {
  const t = new OnePage(type, capabilities)
  t.enableWideQueue()
  return t
}
const iqei = (t: OnePage) => Number(t.read64(0xb0) & 15n)

/** First-stage translations of the PASID in use, and the page moved since. */
const stale = () => {
  const t = queued()
  t.ask(IOVA, { pasid: PASID })
  t.store(leaf, MOVED + 0x67)
  return t
}
const isStale = (t: OnePage) => t.ask(IOVA, { pasid: PASID }) !== MOVED

describe('PASID-based IOTLB invalidate', () => {
  test.each([
    ['all pages of the PASID', 0x26n + did + pasid(PASID), 0n],
    ['the page', 0x36n + did + pasid(PASID), BigInt(IOVA)],
    ['pages around it', 0x36n + did + pasid(PASID), BigInt(IOVA - 0x7000 + 3)],
    ['leaf entries only', 0x36n + did + pasid(PASID), BigInt(IOVA + 0x40)],
  ])('drops %s', (_name, low, high) => {
    const t = stale()
    expect(isStale(t)).toBe(true)
    expect(t.submitWide(low, high)).toBe(true)
    expect(isStale(t)).toBe(false)
  })

  test.each([
    ['another PASID', 0x26n + did + pasid(PASID + 1), 0n],
    ['another domain', 0x26n + did + 0x1_0000n + pasid(PASID), 0n],
    ['another page', 0x36n + did + pasid(PASID), BigInt(IOVA + 0x1000)],
  ])('leaves the translation alone for %s', (_name, low, high) => {
    const t = stale()
    expect(t.submitWide(low, high)).toBe(true)
    expect(isStale(t)).toBe(true)
  })
})

describe('PASID-cache invalidate', () => {
  const NOT_PRESENT = -0x59
  test.each([
    ['all of a domain', 0x07n + did, NOT_PRESENT],
    ['one PASID', 0x17n + did + pasid(PASID), NOT_PRESENT],
    ['everything', 0x37n, NOT_PRESENT],
    ['another PASID', 0x17n + did + pasid(PASID + 1), MOVED],
    ['another domain', 0x07n + did + 0x1_0000n, MOVED],
  ])('of %s', (_name, descriptor, answer) => {
    const t = stale()
    t.store(PASID_ENTRY, 0)
    t.submitWide(0x26n + did + pasid(PASID))
    expect(t.submitWide(descriptor)).toBe(true)
    expect(t.ask(IOVA, { pasid: PASID })).toBe(answer)
  })
})

describe('PASID-based device-TLB invalidate', () => {
  test('goes to the function: a page, a range, and with G every PASID', () => {
    const t = queued()
    const low = 0x8n + (BigInt(SID) << 16n) + pasid(0x45)
    t.submitWide(low, 0x5000n)
    t.submitWide(low, 0xb800n)
    t.submitWide(low, 0x7fff_ffff_ffff_f801n)
    expect(t.deviceTlbInvalidations).toEqual([
      [SID, 5, 1, 0x45],
      [SID, 8, 8, 0x45],
      [SID, 0, 2 ** 52, -2],
    ])
  })
})

describe('page group response', () => {
  test('reaches the function for the last request of a group, with PASID if PP is set', () => {
    const t = queued()
    const low = 0x9n + (BigInt(SID) << 16n) + pasid(0x45)
    t.submitWide(low + 0x10n + 0x1000n, 4n + (0x155n << 3n))
    t.submitWide(low + 0xf000n, 4n + (7n << 3n))
    t.submitWide(low, 8n)
    expect(t.pageGroupResponses).toEqual([
      [SID, 0x45, 0x155, 1],
      [SID, -1, 7, 15],
    ])
  })
})

describe('queue errors', () => {
  test.each<[string, number, bigint, bigint, bigint?, bigint?]>([
    ['type 0', 3, 0x0n, 0n],
    ['type 10', 3, 0xan, 0n],
    ['PASID-based IOTLB: granularity 0', 4, 0x06n, 0n],
    ['PASID-based IOTLB: granularity 1', 4, 0x16n, 0n],
    ['PASID-based IOTLB: bit 6', 4, 0x66n, 0n],
    ['PASID-based IOTLB: bit 52', 4, 0x26n + (1n << 52n), 0n],
    ['PASID-based IOTLB: bit 75', 4, 0x26n, 0x800n],
    ['PASID-based IOTLB: address mask beyond MAMV', 4, 0x36n, 19n],
    ['PASID-cache: granularity 2', 4, 0x27n, 0n],
    ['PASID-cache: bit 12', 4, 0x1007n, 0n],
    ['PASID-cache: upper half', 4, 0x07n, 1n],
    ['PASID-based device-TLB: bit 65', 4, 0x8n, 2n],
    ['PASID-based device-TLB: bit 74', 4, 0x8n, 0x400n],
    ['page group response: bit 5', 4, 0x29n, 4n],
    ['page group response: bit 76', 4, 0x9n, 0x1000n],
    ['third quadword', 4, 0x12n, 0n, 1n],
    ['fourth quadword', 4, 0x12n, 0n, 0n, 1n << 63n],
  ])('%s: IQEI %i', (_name, info, ...words) => {
    const t = queued()
    expect(t.submitWide(...(words as [bigint, bigint, bigint?, bigint?]))).toBe(false)
    expect([t.read32(0x34), iqei(t), t.read64(0x80)]).toEqual([IQE, info, 0n])
  })

  test('types of a feature that the unit lacks are IQEI 3', () => {
    const { PRS: _prs, PDS: _pds, ...withoutPrs } = FULL
    const { DT: _dt, ...withoutDt } = withoutPrs
    for (const [capabilities, type] of [
      [withoutPrs, 9n],
      [withoutDt, 8n],
      [withoutDt, 3n],
    ] as const) {
      const t = queued(TYPE.first, capabilities)
      expect(t.submitWide(type)).toBe(false)
      expect(iqei(t)).toBe(3)
    }
  })

  test('a 128-bit queue in scalable mode is IQEI 5', () => {
    const t = new OnePage(TYPE.first)
    t.enableQueue()
    t.submit(0x12)
    expect([t.read32(0x34), iqei(t)]).toEqual([IQE, 5])
  })

  test('a table mode that the unit has not is IQEI 7', () => {
    const t = queued()
    t.write64(0x20, NOWHERE + 0x800)
    t.command(30)
    expect(t.submitWide(0x12n)).toBe(false)
    expect(iqei(t)).toBe(7)
  })

  test('a tail in the middle of a descriptor is IQEI 6', () => {
    const t = queued()
    t.write64(0x88, 16)
    expect([t.read32(0x34), iqei(t)]).toEqual([IQE, 6])
  })
})

describe('disabling translation', () => {
  test('makes a unit with scalable mode forget every translation', () => {
    const t = stale()
    t.command(31, 0)
    t.command(31)
    expect(isStale(t)).toBe(false)
  })
})

test('the wait descriptor may drain page requests if the unit has PDS', () => {
  const t = queued()
  expect(t.submitWide(0x9_0000_00a5n, BigInt(STATUS_WORD + 8))).toBe(true)
  expect(t.load(STATUS_WORD + 8)).toBe(9n)
})
