/** "Page Request Queue": what functions ask for arrives in memory, and what cannot is answered by the unit. */
import { describe, expect, test } from 'vitest'
import type { PageRequest } from '../../src/pcie/index.ts'
import { IOVA, NOWHERE, SID, TestUnit } from './fixture.ts'
import { CONTEXT_ENTRY, OnePage, PASID, S_ROOT, TYPE } from './one-page-fixture.ts'

const RING = 0x1_0002_8000
const [PQH, PQT, PQA, PRS, PECTL, PEDATA, PEADDR] = [0xc0, 0xc8, 0xd0, 0xdc, 0xe0, 0xe4, 0xe8]
const PPR = 1
const PRO = 2
/** Page Request Enable of the scalable-mode context entry. */
const PRE = 16n

const ready = () => {
  const t = new OnePage(TYPE.first)
  t.set(CONTEXT_ENTRY, PRE)
  t.write64(0x28, 0)
  t.write64(PQA, RING)
  t.write32(PEDATA, 0x77)
  t.write32(PEADDR, 0xfee0_3000)
  t.write32(PECTL, 0)
  return t
}

const ask = (t: TestUnit, more: Partial<PageRequest> = {}) =>
  t.unit.pageRequest({
    sourceId: SID,
    pasid: PASID,
    page: IOVA / 4096,
    read: true,
    write: false,
    execute: false,
    privileged: false,
    groupIndex: 0x12,
    last: true,
    ...more,
  })

describe('a page request', () => {
  test('is entered into the ring in memory, 32 bytes, and PQT moves', () => {
    const t = ready()
    ask(t, { write: true, privileged: true, groupIndex: 0x1ff })
    expect([0, 8, 16, 24].map(at => t.load(RING + at))).toEqual([
      // TYPE, PP, RID, PASID, PRIV; R, W, LPIG, group, address
      0x1n + 0x100n + (BigInt(SID) << 16n) + (BigInt(PASID) << 32n) + (1n << 53n),
      0x7n + (0x1ffn << 3n) + BigInt(IOVA),
      0n,
      0n,
    ])
    expect([t.read64(PQT), t.read64(PQH)]).toEqual([32n, 0n])
  })

  test('without PASID has PP=0, and none of the fields that belong to a PASID', () => {
    const t = ready()
    ask(t, { pasid: -1, privileged: true, execute: true })
    expect(t.load(RING)).toBe(0x1n + (BigInt(SID) << 16n))
  })

  test('that is the last of its group sets PPR and raises the event; others do not', () => {
    const t = ready()
    ask(t, { last: false })
    expect([t.read32(PRS), t.messages.length]).toEqual([0, 0])
    ask(t)
    expect(t.read32(PRS)).toBe(PPR)
    expect(t.messages).toMatchObject([{ vector: 0x77, destination: 3 }])
    ask(t)
    expect(t.messages).toHaveLength(1)
    t.write32(PRS, PPR)
    ask(t)
    expect(t.messages).toHaveLength(2)
  })

  test('the event is held while masked, and withdrawn when software clears PPR', () => {
    const t = ready()
    t.write32(PECTL, 0x8000_0000)
    ask(t)
    expect([t.read32(PECTL), t.messages.length]).toEqual([0xc000_0000, 0])
    t.write32(PRS, PPR)
    expect(t.read32(PECTL)).toBe(0x8000_0000)
    ask(t)
    t.write32(PECTL, 0)
    expect([t.read32(PECTL), t.messages.length]).toEqual([0, 1])
  })
})

describe('the ring', () => {
  test('has 2^(PQS+7) entries, of which one stays free, and wraps', () => {
    const t = ready()
    for (let i = 0; i < 127; i++) ask(t, { last: false, groupIndex: i })
    expect([t.read64(PQT), t.read32(PRS)]).toEqual([127n * 32n, 0])
    t.write64(PQH, 64)
    ask(t, { last: false })
    expect(t.read64(PQT)).toBe(0n)
    t.write64(PQA, RING + 1)
    t.write64(PQT, 127 * 32)
    ask(t, { last: false })
    expect(t.read64(PQT)).toBe(4096n)
  })

  test('that is full overflows: PRO; the request is dropped, and answered with success if it ends its group', () => {
    const t = ready()
    t.write64(PQH, 32)
    ask(t, { last: false })
    expect([t.read32(PRS), t.pageGroupResponses]).toEqual([PRO, []])
    ask(t, { groupIndex: 5 })
    expect(t.pageGroupResponses).toEqual([[SID, PASID, 5, 0]])
    expect([t.read64(PQT), t.load(RING)]).toEqual([0n, 0n])
  })

  test('takes no more until software has cleared PRO, even if there is room', () => {
    const t = ready()
    t.write64(PQH, 32)
    ask(t)
    t.write64(PQH, 0)
    ask(t)
    expect(t.read64(PQT)).toBe(0n)
    t.write32(PRS, PRO)
    ask(t)
    expect([t.read64(PQT), t.read32(PRS)]).toEqual([32n, PPR])
  })

  test('that is not in memory takes nothing', () => {
    const t = ready()
    t.write64(PQA, NOWHERE)
    ask(t)
    expect([t.read32(PRS), t.pageGroupResponses]).toEqual([PRO, [[SID, PASID, 0x12, 0]]])
  })

  test('a stop marker is entered, and never answered', () => {
    const t = ready()
    ask(t, { read: false, page: 0 })
    expect(t.load(RING + 8)).toBe(4n + (0x12n << 3n))
    t.write32(PRS, PPR)
    t.write64(PQH, 64)
    ask(t, { read: false, page: 0 })
    expect([t.read32(PRS), t.pageGroupResponses]).toEqual([PRO, []])
  })
})

describe('a page request that the tables do not allow', () => {
  const record = (t: TestUnit) => ({
    reason: t.record().reason,
    /** T2 and T1: 01 is a page request. */
    type: Number((t.read64(0x408) >> 28n) & 1n) * 1 + Number((t.read64(0x408) >> 62n) & 1n) * 2,
    pasid: Number((t.read64(0x408) >> 40n) & 0xf_ffffn),
    present: Number((t.read64(0x408) >> 31n) & 1n),
  })

  test.each<[string, number, (t: OnePage) => void]>([
    ['PRE clear', 0x47, t => t.clear(CONTEXT_ENTRY, PRE)],
    ['a context entry that is not present', 0x41, t => t.clear(CONTEXT_ENTRY, 1n)],
    ['a root entry that is not present', 0x39, t => t.store(S_ROOT + (SID >> 8) * 16, 0)],
    ['DTE clear', 0x44, t => t.clear(CONTEXT_ENTRY, 4n + PRE)],
    ['PASIDE clear', 0x45, t => t.clear(CONTEXT_ENTRY, 8n)],
    [
      'legacy mode',
      0x32,
      t => {
        t.write64(0x20, S_ROOT)
        t.command(30)
      },
    ],
  ])('%s: reason %s, type page request, and the function learns of it', (_name, reason, spoil) => {
    const t = ready()
    spoil(t)
    ask(t)
    expect(record(t)).toMatchObject({ reason, type: 1, pasid: PASID, present: 1 })
    expect(t.pageGroupResponses).toEqual([[SID, PASID, 0x12, 1]])
    expect(t.read64(PQT)).toBe(0n)
  })

  test('nothing is recorded with Fault Processing Disable', () => {
    const t = ready()
    t.clear(CONTEXT_ENTRY, PRE)
    t.set(CONTEXT_ENTRY, 2n)
    ask(t)
    expect(t.record().set).toBe(false)
    expect(t.pageGroupResponses).toHaveLength(1)
  })

  test('with translation disabled it is refused without a fault', () => {
    const t = ready()
    t.command(31, 0)
    ask(t)
    expect([t.record().set, t.read64(PQT), t.pageGroupResponses.length]).toEqual([false, 0n, 1])
  })
})

test('a unit without PRS has no such registers and takes no page requests', () => {
  const t = new TestUnit()
  t.write64(PQA, RING)
  ask(t)
  expect([t.read64(PQA), t.read32(PECTL), t.pageGroupResponses.length]).toEqual([0n, 0, 0])
})
