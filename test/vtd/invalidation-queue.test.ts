import { describe, expect, test } from 'vitest'
import * as F from './fixture.ts'
import { TestUnit } from './fixture.ts'

const leaf = F.L1 + 7 * 8
const MOVED = 0x1_7777_7000
const IQE = 0x10
const wait = (data: number, bits = 0x20) => BigInt(data) * 2n ** 32n + BigInt(bits) + 5n

const queued = (capabilities: Record<string, number> = {}) => {
  const t = new TestUnit({ capabilities }).enableTranslation().enableQueue()
  t.dma(F.IOVA)
  t.store(leaf, MOVED + 3)
  return t
}
const iqei = (t: TestUnit) => Number(t.read64(0xb0) & 15n)

describe('descriptors', () => {
  test.each([
    ['global', 0x12n, 0n],
    ['domain-selective', 0x22n + (7n << 16n), 0n],
    ['page-selective', 0x32n + (7n << 16n), BigInt(F.IOVA)],
    ['page-selective with drain', 0xf2n + (7n << 16n), BigInt(F.IOVA) + 0x40n],
  ])('IOTLB invalidate, %s', (_name, low, high) => {
    const t = queued()
    expect(t.dma(F.IOVA)).toBe(F.TARGET)
    t.submit(low, high)
    expect(t.dma(F.IOVA)).toBe(MOVED)
    expect(t.read64(0x80)).toBe(16n)
  })

  test('context-cache invalidate, device-selective', () => {
    const t = queued()
    t.store(F.CONTEXT + 0x11 * 16, 0)
    t.submit(0x31n + (7n << 16n) + (BigInt(F.SID) << 32n))
    expect(t.dma(F.IOVA)).toBe(-0x02)
  })

  test('interrupt entry cache invalidate: all, or the indices that agree above the mask', () => {
    for (const [descriptor, stale] of [
      [0x4n, []],
      [0x14n + (5n << 32n), [4, 6, 7, 8]],
      [0x14n + (1n << 27n) + (5n << 32n), [6, 7, 8]],
      [0x14n + (2n << 27n) + (5n << 32n), [8]],
    ] as const) {
      const t = new TestUnit().enableInterruptRemapping().enableQueue()
      for (let index = 4; index < 9; index++) {
        t.store(F.IRT + index * 16, 1)
        t.interrupt(0xfee0_0010 + index * 32)
      }
      t.submit(descriptor)
      expect(t.unit.caches().interruptEntries.map(({ index }) => index)).toEqual(stale)
    }
  })

  test('device-TLB invalidate goes to the function: one page, or a range by trailing ones', () => {
    const t = queued({ DT: 1 })
    const low = 0x3n + (BigInt(F.SID) << 32n)
    t.submit(low, 0x5000n)
    t.submit(low, 0x4001n)
    t.submit(low, 0xb001n)
    t.submit(low, 0x7fff_ffff_ffff_f001n)
    expect(t.deviceTlbInvalidations).toEqual([
      [F.SID, 5, 1],
      [F.SID, 4, 2],
      [F.SID, 8, 8],
      [F.SID, 0, 2 ** 52],
    ])
  })

  test('invalidation wait writes its status, 32 bits, to a host address', () => {
    const t = queued()
    t.store(F.STATUS_WORD, 0xaaaa_bbbb_cccc_ddddn)
    t.submit(wait(0x1234_5678), F.STATUS_WORD + 4)
    expect(t.load(F.STATUS_WORD)).toBe(0x1234_5678_cccc_ddddn)
  })

  test('a wait may have fence only, and status and interrupt together', () => {
    const t = queued()
    t.write32(0xa4, 0x55)
    t.write32(0xa8, 0xfee0_2000)
    t.write32(0xa0, 0)
    t.submit(wait(0, 0x40))
    expect(t.messages).toHaveLength(0)
    t.submit(wait(1, 0x30), F.STATUS_WORD)
    expect(t.messages).toMatchObject([{ vector: 0x55, destination: 2 }])
    expect(t.load(F.STATUS_WORD)).toBe(1n)
    expect(t.read32(0x9c)).toBe(1)
    expect(t.read32(0x34)).toBe(0)
  })

  test('the completion event is held while masked, sent on unmasking, and not raised again while IWC is set', () => {
    const t = queued()
    t.submit(wait(0, 0x10))
    t.submit(wait(0, 0x10))
    expect(t.read32(0xa0)).toBe(0xc000_0000)
    t.write32(0xa0, 0)
    expect(t.messages).toHaveLength(1)
    t.submit(wait(0, 0x10))
    expect(t.messages).toHaveLength(1)
    t.write32(0x9c, 1)
    t.submit(wait(0, 0x10))
    expect(t.messages).toHaveLength(2)
  })

  test('a held completion event is withdrawn when software clears IWC', () => {
    const t = queued()
    t.submit(wait(0, 0x10))
    t.write32(0x9c, 1)
    expect(t.read32(0xa0)).toBe(0x8000_0000)
    t.write32(0xa0, 0)
    expect(t.messages).toHaveLength(0)
  })
})

describe('the ring', () => {
  test('runs from head to tail, wraps at its size, and stops at the tail', () => {
    const t = queued()
    for (let i = 0; i < 300; i++) t.submit(wait(i), F.STATUS_WORD)
    expect(t.load(F.STATUS_WORD)).toBe(299n)
    expect(t.read64(0x80)).toBe(300n * 16n - 4096n)
  })

  test('spans 2^QS pages', () => {
    const t = new TestUnit().enableQueue({ size: 1 })
    t.store(F.QUEUE + 8176, wait(7))
    t.store(F.QUEUE + 8184, F.STATUS_WORD)
    for (let at = 0; at < 8176; at += 16) t.store(F.QUEUE + at, wait(0, 0x40))
    t.write64(0x88, 0)
    t.write64(0x88, 8176)
    expect(t.read64(0x80)).toBe(8176n)
    t.write64(0x88, 0)
    expect(t.load(F.STATUS_WORD)).toBe(7n)
    expect(t.read64(0x80)).toBe(0n)
  })

  test('does nothing before QIE, starts with it where it stands, and returns to 0 without it', () => {
    const t = new TestUnit()
    t.write64(0x90, F.QUEUE)
    t.submit(wait(9), F.STATUS_WORD)
    expect(t.load(F.STATUS_WORD)).toBe(0n)
    t.command(26)
    expect(t.load(F.STATUS_WORD)).toBe(9n)
    expect(t.read64(0x80)).toBe(16n)
    t.command(26, 0)
    expect(t.read64(0x80)).toBe(0n)
  })
})

describe('queue errors', () => {
  test.each<[string, number, bigint, bigint, Record<string, number>?]>([
    ['type 0', 3, 0x0n, 0n],
    ['type 6 of scalable mode', 3, 0x6n, 0n],
    ['a type in bits 11:9', 3, 0x205n, 0n],
    ['a device-TLB descriptor without DT', 3, 0x3n, 0n],
    ['context-cache: granularity 0', 4, 0x1n, 0n],
    ['context-cache: bit 6', 4, 0x51n, 0n],
    ['context-cache: bit 50', 4, 0x11n + (1n << 50n), 0n],
    ['context-cache: upper half', 4, 0x11n, 1n],
    ['IOTLB: granularity 0', 4, 0x2n, 0n],
    ['IOTLB: bit 8', 4, 0x112n, 0n],
    ['IOTLB: bit 32', 4, 0x12n + (1n << 32n), 0n],
    ['IOTLB: bit 75', 4, 0x12n, 0x800n],
    ['IOTLB: address mask beyond MAMV', 4, 0x32n, 19n],
    ['device-TLB: bit 4', 4, 0x13n, 0n, { DT: 1 }],
    ['device-TLB: bit 65', 4, 0x3n, 2n, { DT: 1 }],
    ['interrupt entry cache: bit 5', 4, 0x24n, 0n],
    ['interrupt entry cache: bit 48', 4, 0x4n + (1n << 48n), 0n],
    ['wait: bit 8', 4, 0x125n, 0n],
    ['wait: page-request drain without PDS', 4, 0x85n, 0n],
    ['wait: bit 65', 4, 0x25n, 2n],
  ])('%s: IQEI %i', (_name, info, low, high, capabilities = {}) => {
    const t = queued(capabilities)
    t.submit(wait(1), F.STATUS_WORD)
    t.submit(low, high)
    t.submit(wait(2), F.STATUS_WORD)
    expect(t.read32(0x34)).toBe(IQE)
    expect(iqei(t)).toBe(info)
    expect(t.read64(0x80)).toBe(16n)
    expect(t.load(F.STATUS_WORD)).toBe(1n)
  })

  test('a tail beyond the ring is IQEI 1', () => {
    const t = queued()
    t.write64(0x88, 4096)
    expect([t.read32(0x34), iqei(t)]).toEqual([IQE, 1])
  })

  test('a ring that is not in memory is IQEI 2', () => {
    const t = new TestUnit()
    t.write64(0x90, F.NOWHERE)
    t.command(26)
    t.write64(0x88, 16)
    expect([t.read32(0x34), iqei(t)]).toEqual([IQE, 2])
  })

  test('256-bit descriptors without SMTS and ADMS are IQEI 5, a tail in the middle of one is IQEI 6', () => {
    const t = new TestUnit().enableQueue({ size: 0x800 })
    expect([t.read32(0x34), iqei(t)]).toEqual([IQE, 5])
    const wide = new TestUnit({ capabilities: { ADMS: 1 } }).enableQueue({ size: 0x800 })
    wide.store(F.QUEUE, wait(3))
    wide.store(F.QUEUE + 8, F.STATUS_WORD)
    wide.write64(0x88, 32)
    expect([wide.read32(0x34), wide.load(F.STATUS_WORD), wide.read64(0x80)]).toEqual([0, 3n, 32n])
    wide.store(F.QUEUE + 48, 1)
    wide.store(F.QUEUE + 32, wait(4))
    wide.write64(0x88, 64)
    expect(iqei(wide)).toBe(4)
    wide.write32(0x34, IQE)
    wide.write64(0x88, 48)
    expect(iqei(wide)).toBe(4)
    wide.store(F.QUEUE + 48, 0)
    wide.write32(0x34, IQE)
    expect([wide.read32(0x34), iqei(wide)]).toEqual([IQE, 6])
  })

  test('the queue resumes at the head when IQE is cleared', () => {
    const t = queued()
    const at = t.submit(0)
    t.submit(wait(2), F.STATUS_WORD)
    t.store(at, wait(1))
    t.store(at + 8, F.STATUS_WORD + 4)
    expect(t.load(F.STATUS_WORD)).toBe(0n)
    t.write32(0x34, IQE)
    expect(t.load(F.STATUS_WORD)).toBe(0x1_0000_0002n)
    expect([t.read32(0x34), iqei(t), t.read64(0x80)]).toEqual([0, 0, 32n])
  })

  test('an error raises the fault event', () => {
    const t = queued()
    t.write32(0x3c, 0x61)
    t.write32(0x38, 0)
    t.submit(0)
    expect(t.messages).toMatchObject([{ vector: 0x61 }])
  })
})
