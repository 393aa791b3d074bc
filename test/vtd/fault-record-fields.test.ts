/** "Fault Recording Registers": the fields that say what kind of request was blocked. */
import { describe, expect, test } from 'vitest'
import { IOVA, SERVER_FRCD, type TestUnit } from './fixture.ts'
import { type Asked, CONTEXT_ENTRY, OnePage, PASID, PASID_ENTRY, TYPE } from './one-page-fixture.ts'

/** Upper quadword of the first record, by the specification's bits of the 128-bit register. */
const fields = (t: TestUnit) => {
  const high = t.read64(SERVER_FRCD + 8)
  const bits = (from: number, to = from) =>
    Number((high >> BigInt(to - 64)) & ((1n << BigInt(from - to + 1)) - 1n))
  return {
    T: bits(126) * 2 + bits(92),
    AT: bits(125, 124),
    PV: bits(123, 104),
    FR: bits(103, 96),
    PP: bits(95),
    EXE: bits(94),
    PRIV: bits(93),
  }
}

/** A request that finds the PASID-table entry not present. */
const blocked = (asked: Asked) => {
  const t = new OnePage(TYPE.first)
  t.store(PASID_ENTRY, 0)
  expect(t.ask(IOVA, asked)).toBe(-0x59)
  return fields(t)
}

describe('a record', () => {
  test.each<[string, number, Asked]>([
    ['write', 0, { write: true }],
    ['read', 2, {}],
    ['atomic operation', 3, { write: true, atomic: true }],
  ])('of type %s has T %i', (_, type, asked) => {
    expect(blocked({ ...asked, pasid: PASID })).toEqual({
      T: type,
      AT: 0,
      PV: PASID,
      FR: 0x59,
      PP: 1,
      EXE: 0,
      PRIV: 0,
    })
  })

  test('of a request with PASID has its modes', () => {
    expect(blocked({ pasid: PASID, execute: true })).toMatchObject({ PP: 1, EXE: 1, PRIV: 0 })
    expect(blocked({ pasid: PASID, privileged: true })).toMatchObject({ PP: 1, EXE: 0, PRIV: 1 })
  })

  test('of a request without PASID has none, though RID_PASID supplied one', () => {
    expect(blocked({})).toMatchObject({ PP: 0, PV: 0, EXE: 0, PRIV: 0 })
  })

  test('of translated and translation requests has their address type', () => {
    for (const addressType of [1, 2]) {
      const t = new OnePage(TYPE.first)
      t.clear(CONTEXT_ENTRY, 4n)
      expect(t.ask(IOVA, { addressType })).toBe(-0x44)
      expect(fields(t)).toMatchObject({ AT: addressType, FR: 0x44 })
    }
  })
})
