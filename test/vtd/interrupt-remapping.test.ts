import { describe, expect, test } from 'vitest'
import * as F from './fixture.ts'
import { TestUnit } from './fixture.ts'

/** An IRTE: vector 41h, destination 12h in xAPIC place. */
const PLAIN = 0x0000_1200_0041_0001n
const remapping = (options = {}) => {
  const t = new TestUnit().enableInterruptRemapping(options)
  t.store(F.IRT + 5 * 16, PLAIN)
  return t
}
const REQUEST = 0xfee0_0010 + 5 * 32

describe('interrupt requests', () => {
  test('pass unchanged while IRES is 0, whatever their format', () => {
    const t = new TestUnit()
    expect(t.interrupt(0xfee3_400c, 0x8142)).toBe(0)
    expect(t.message).toMatchObject({
      destination: 0x34,
      logical: true,
      redirectionHint: true,
      deliveryMode: 1,
      vector: 0x42,
      levelTriggered: true,
      extended: false,
    })
    expect(t.interrupt(REQUEST, 0x33)).toBe(0)
    expect(t.request.interrupt).toMatchObject({ remapped: false, irteIndex: -1, vector: 0x33 })
  })

  test('in remappable format take everything from the entry', () => {
    const t = remapping()
    t.store(F.IRT + 5 * 16, 0x0000_3400_0055_003dn)
    expect(t.interrupt(REQUEST, 0xffff)).toBe(0)
    expect(t.message).toMatchObject({
      destination: 0x34,
      logical: true,
      redirectionHint: true,
      deliveryMode: 1,
      vector: 0x55,
      levelTriggered: true,
      extended: false,
    })
    expect(t.request.interrupt).toMatchObject({
      remapped: true,
      irteIndex: 5,
      destination: 0x34,
      logical: true,
      deliveryMode: 1,
      vector: 0x55,
    })
  })

  test('with EIME take the destination as 32 bits', () => {
    const t = remapping({ eime: true })
    t.store(F.IRT + 5 * 16, 0x8765_4321_0041_0001n)
    expect(t.interrupt(REQUEST)).toBe(0)
    expect(t.message).toMatchObject({ destination: 0x8765_4321, extended: true })
  })

  test('with SHV add the subhandle; without, data plays no part', () => {
    const t = remapping()
    expect(t.interrupt(0xfee0_0018 + 3 * 32, 2)).toBe(0)
    expect(t.request.interrupt.irteIndex).toBe(5)
    expect(t.interrupt(REQUEST, 0xffff_ffff)).toBe(0)
    expect(t.request.interrupt.irteIndex).toBe(5)
  })

  test('have handle bit 15 in address bit 2', () => {
    const t = new TestUnit()
    t.write64(0xb8, F.IRT + 15)
    t.command(24)
    t.command(25)
    t.store(F.IRT + 0x8005 * 16, PLAIN)
    expect(t.interrupt(REQUEST + 4)).toBe(0)
    expect(t.request.interrupt.irteIndex).toBe(0x8005)
  })

  test('in compatibility format pass with CFIS=1, and never with EIME=1', () => {
    for (const [eime, cfi, reason] of [
      [false, false, 0x25],
      [false, true, 0],
      [true, false, 0x25],
      [true, true, 0x25],
    ] as const) {
      const t = remapping({ eime })
      t.command(23, cfi ? 1 : 0)
      expect(t.interrupt(0xfee1_2000, 0x41)).toBe(reason)
      expect(t.request.interrupt.remapped).toBe(false)
    }
  })

  test('use the table that SIRTP latched', () => {
    const t = remapping()
    t.write64(0xb8, F.NOWHERE)
    expect(t.interrupt(REQUEST)).toBe(0)
    t.command(24)
    expect(t.interrupt(REQUEST)).toBe(0x21)
  })

  test('meet a table of 2^(S+1) entries', () => {
    const t = new TestUnit()
    t.write64(0xb8, F.IRT)
    t.command(24)
    t.command(25)
    expect(t.interrupt(0xfee0_0030)).toBe(0x22)
    expect(t.interrupt(0xfee0_0050)).toBe(0x21)
  })
})

describe('source validation', () => {
  const allowed = (high: number, sid: number) => {
    const t = remapping()
    t.store(F.IRT + 5 * 16 + 8, high)
    const reason = t.interrupt(REQUEST, 0, { sid })
    expect([0, 0x26]).toContain(reason)
    return reason === 0
  }
  const SVT_SID = 0x4_0000

  test('SVT=00 accepts anyone, whatever SQ and SID', () => {
    expect(allowed(0x3_0000 + 0x0100, 0x0311)).toBe(true)
  })

  test.each([
    [0, [0x0310]],
    [1, [0x0310, 0x0314]],
    [2, [0x0310, 0x0312, 0x0314, 0x0316]],
    [3, [0x0310, 0x0311, 0x0312, 0x0313, 0x0314, 0x0315, 0x0316, 0x0317]],
  ])('SVT=01 with SQ=%i accepts %j', (sq, accepted) => {
    const candidates = [0x0210, 0x0308, 0x0318, ...Array.from({ length: 8 }, (_, fn) => 0x0310 + fn)]
    expect(candidates.filter(sid => allowed(SVT_SID + sq * 0x1_0000 + 0x0310, sid))).toEqual(accepted)
  })

  test('SVT=10 accepts buses from SID bits 15:8 to SID bits 7:0, whatever SQ', () => {
    const high = 0x8_0000 + 0x3_0000 + 0x0305
    expect([0x02ff, 0x0300, 0x04a5, 0x05ff, 0x0600].filter(sid => allowed(high, sid))).toEqual([
      0x0300, 0x04a5, 0x05ff,
    ])
  })
})

describe('the interrupt entry cache', () => {
  test('answers until it is invalidated', () => {
    const t = remapping().enableQueue()
    t.interrupt(REQUEST)
    t.store(F.IRT + 5 * 16, PLAIN + 0x1_0000n)
    t.interrupt(REQUEST)
    expect(t.message.vector).toBe(0x41)
    t.submit(0x14n + (5n << 32n))
    t.interrupt(REQUEST)
    expect(t.message.vector).toBe(0x42)
  })

  test('validates the source of every request, cached or not', () => {
    const t = remapping()
    t.store(F.IRT + 5 * 16 + 8, 0x4_0000 + 0x0311)
    expect(t.interrupt(REQUEST)).toBe(0)
    expect(t.interrupt(REQUEST, 0, { sid: 0x0312 })).toBe(0x26)
    expect(t.record()).toMatchObject({ reason: 0x26, sid: 0x0312, address: 5n << 48n })
  })

  test('keeps apart indices that share a slot', () => {
    const t = new TestUnit({ caches: { interruptEntries: 1 } }).enableInterruptRemapping()
    t.store(F.IRT + 5 * 16, PLAIN)
    t.store(F.IRT + 6 * 16, PLAIN + 0x1_0000n)
    for (const [index, vector] of [
      [5, 0x41],
      [6, 0x42],
      [5, 0x41],
    ] as const) {
      expect(t.interrupt(0xfee0_0010 + index * 32)).toBe(0)
      expect(t.message.vector).toBe(vector)
    }
  })
})
