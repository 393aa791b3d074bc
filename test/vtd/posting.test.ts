/** "Interrupt Posting": remapping table entries with IM=1 and the descriptors they point to. */
import { describe, expect, test } from 'vitest'
import * as F from './fixture.ts'
import { TestUnit } from './fixture.ts'

const ENTRY = F.IRT + 5 * 16
const REQUEST = 0xfee0_0010 + 5 * 32
const DESCRIPTOR = 0x1_0004_0fc0
const VECTOR = 0xa1
const CONTROL = DESCRIPTOR + 32
const ON = 1n
const SN = 2n
const NV = 0xf2n << 16n
/** Notified processor in the xAPIC place. */
const NDST = 0x1200n << 32n

const low = (flags = 0n) =>
  0x8001n + flags + (BigInt(VECTOR) << 16n) + ((BigInt(DESCRIPTOR) & 0xffff_ffc0n) << 32n)
const high = (source = 0n) => source + ((BigInt(DESCRIPTOR) >> 32n) << 32n)
const URG = 1n << 14n

const posting = ({ eime = false, flags = 0n, control = 0n } = {}) => {
  const t = new TestUnit({ capabilities: { PI: 1 } }).enableInterruptRemapping({ eime })
  t.store(ENTRY, low(flags))
  t.store(ENTRY + 8, high())
  t.store(CONTROL, NV + (eime ? 0x8765_4321n << 32n : NDST) + control)
  return t
}
const isPosted = (t: TestUnit) => ((t.load(DESCRIPTOR + 16) >> BigInt(VECTOR - 128)) & 1n) === 1n
const outcome = (t: TestUnit) => t.request.interrupt

describe('a posted interrupt', () => {
  test('sets its bit of PIR and ON, and notifies the processor with NV', () => {
    const t = posting()
    expect(t.interrupt(REQUEST)).toBe(0)
    expect(isPosted(t)).toBe(true)
    expect(t.load(CONTROL)).toBe(NV + NDST + ON)
    expect(t.message).toMatchObject({
      destination: 0x12,
      vector: 0xf2,
      deliveryMode: 0,
      logical: false,
      redirectionHint: false,
      levelTriggered: false,
      extended: false,
    })
    expect(outcome(t)).toMatchObject({
      remapped: true,
      posted: true,
      notified: true,
      irteIndex: 5,
      vector: 0xf2,
    })
  })

  test('with EIME notifies a 32-bit destination', () => {
    const t = posting({ eime: true })
    t.interrupt(REQUEST)
    expect(t.message).toMatchObject({ destination: 0x8765_4321, extended: true })
  })

  test('is posted, but not notified again, while ON is set; ON is never cleared', () => {
    const t = posting({ control: ON })
    expect(t.interrupt(REQUEST)).toBe(0)
    expect([isPosted(t), outcome(t).posted, outcome(t).notified]).toEqual([true, true, false])
    expect(t.load(CONTROL)).toBe(NV + NDST + ON)
  })

  test.each([
    ['suppressed by SN', 0n, SN, false],
    ['notified in spite of SN if urgent', URG, SN, true],
    ['urgent, with a notification outstanding', URG, ON + SN, false],
  ])('%s', (_name, flags, control, notified) => {
    const t = posting({ flags, control })
    expect(t.interrupt(REQUEST)).toBe(0)
    expect([isPosted(t), outcome(t).notified]).toEqual([true, notified])
    expect(t.load(CONTROL) & ON).toBe(notified ? ON : control & ON)
  })

  test.each([0, 31, 32, 128, 255])('of vector %i sets that bit and no other', vector => {
    const t = posting()
    t.store(ENTRY, (low() & ~0xff_0000n) + (BigInt(vector) << 16n))
    t.interrupt(REQUEST)
    const words = [0, 1, 2, 3].map(n => t.load(DESCRIPTOR + n * 8))
    expect(words).toEqual([0, 1, 2, 3].map(n => (n === vector >> 6 ? 1n << BigInt(vector & 63) : 0n)))
  })

  test('is subject to source validation like any other', () => {
    const t = posting()
    t.store(ENTRY + 8, high(0x4_0000n + BigInt(F.SID)))
    expect(t.interrupt(REQUEST)).toBe(0)
    expect(t.interrupt(REQUEST, 0, { sid: F.SID + 1 })).toBe(0x26)
  })

  test('follows the descriptor as it is now, through a cached entry', () => {
    const t = posting()
    t.interrupt(REQUEST)
    t.store(CONTROL, NV + (0x3400n << 32n))
    t.interrupt(REQUEST)
    expect(t.message.destination).toBe(0x34)
  })
})

describe('faults', () => {
  test.each<[string, bigint, bigint]>([
    ['bit 2', low(4n), high()],
    ['bit 7', low(0x80n), high()],
    ['bit 12', low(0x1000n), high()],
    ['bit 24', low(1n << 24n), high()],
    ['bit 32', low(1n << 32n), high()],
    ['bit 37', low(1n << 37n), high()],
    ['bit 84', low(), high(1n << 20n)],
    ['a descriptor beyond the host address width', low(), high() + (1n << 48n)],
  ])('reserved in the entry: %s', (_name, entryLow, entryHigh) => {
    const t = posting()
    t.store(ENTRY, entryLow)
    t.store(ENTRY + 8, entryHigh)
    expect(t.interrupt(REQUEST)).toBe(0x24)
    expect(isPosted(t)).toBe(false)
  })

  test('without PI the mode bit is reserved', () => {
    const t = new TestUnit().enableInterruptRemapping()
    t.store(ENTRY, low())
    expect(t.interrupt(REQUEST)).toBe(0x24)
  })

  test('a descriptor that is not in memory', () => {
    const t = posting()
    t.store(ENTRY, 0x8001n + (BigInt(F.NOWHERE) << 32n))
    t.store(ENTRY + 8, 0)
    expect(t.interrupt(REQUEST)).toBe(0x27)
    expect(outcome(t).posted).toBe(false)
    expect(t.record()).toMatchObject({ reason: 0x27, address: 5n << 48n })
  })

  test.each([
    ['bit 258', CONTROL, 4n],
    ['bit 271', CONTROL, 0x8000n],
    ['bit 280', CONTROL, 1n << 24n],
    ['NDST bit 288 without EIME', CONTROL, 1n << 32n],
    ['NDST bit 304 without EIME', CONTROL, 1n << 48n],
    ['bit 320', DESCRIPTOR + 40, 1n],
    ['bit 511', DESCRIPTOR + 56, 1n << 63n],
  ])('reserved in the descriptor: %s; nothing is posted', (_name, address, bit) => {
    const t = posting()
    t.store(address, t.load(address) | bit)
    expect(t.interrupt(REQUEST)).toBe(0x28)
    expect(isPosted(t)).toBe(false)
    expect(t.load(CONTROL) & ON).toBe(0n)
  })

  test('are not recorded with Fault Processing Disable', () => {
    const t = posting({ flags: 2n })
    t.store(DESCRIPTOR + 56, 1n)
    expect(t.interrupt(REQUEST)).toBe(0x28)
    expect(t.record().set).toBe(false)
  })
})

describe('explaining', () => {
  test('decodes entry and descriptor, and posts nothing', () => {
    const t = posting()
    const { steps, outcome: result } = t.unit.explain(F.SID, Math.floor(REQUEST / 4096), REQUEST % 4096, true)
    expect(result).toBe('interrupt')
    expect(steps.at(-2)).toMatchObject({
      entryAddress: '0x100010050',
      fields: { IM: 1, URG: 0, V: VECTOR },
      outcome: 'passed',
    })
    expect(steps.at(-1)).toMatchObject({
      check: 'posted interrupt descriptor',
      fields: { ON: 0, SN: 0, NV: 0xf2, PIR: 0, vector: VECTOR },
      outcome: 'passed',
    })
    expect(isPosted(t)).toBe(false)
  })

  test('ends at the descriptor if that is where it fails', () => {
    const t = posting()
    t.store(DESCRIPTOR + 56, 1n)
    const { steps, fault } = t.unit.explain(F.SID, Math.floor(REQUEST / 4096), REQUEST % 4096, true)
    expect(steps.at(-1)).toMatchObject({ check: 'posted interrupt descriptor', outcome: 'failed' })
    expect(fault).toMatchObject({ reason: '0x28' })
  })
})
