import { describe, expect, test } from 'vitest'
import * as F from './fixture.ts'
import { SERVER_FRCD, TestUnit } from './fixture.ts'

const PPF = 2
const PFO = 1
const unmapped = 0x10_0000_0000

function withEvent(mask: number, capabilities: Record<string, number> = {}): TestUnit {
  const t = new TestUnit({ capabilities }).enableTranslation()
  t.write32(0x3c, 0x00ef)
  t.write32(0x40, 0xfee1_2000)
  t.write32(0x38, mask)
  return t
}

describe('fault records', () => {
  test('hold reason, source-id, type and page, with bits from MGAW on clear', () => {
    const t = new TestUnit({ capabilities: { MGAW: 38 } }).enableTranslation()
    t.dma(2 ** 40 + 0x12_3456, { write: true })
    t.dma(0x5_4321_0987)
    expect(t.read64(SERVER_FRCD)).toBe(0x12_3000n)
    expect(t.read64(SERVER_FRCD + 8)).toBe(0x8000_0004_0000_0311n)
    expect(t.read64(SERVER_FRCD + 16)).toBe(0x5_4321_0000n)
    expect(t.read64(SERVER_FRCD + 24)).toBe(0xc000_0006_0000_0311n)
  })

  test('hold the address type, and the PASID of a request that has one', () => {
    const t = new TestUnit().enableTranslation()
    t.dma(0x1000, { addressType: 2 })
    t.dma(0x1000, { pasid: 0x54321 })
    expect(t.read64(SERVER_FRCD + 8)).toBe(0xe000_000d_0000_0311n)
    expect(t.read64(SERVER_FRCD + 24)).toBe(0xc543_2131_8000_0311n)
  })

  test('hold the index of an interrupt in bits 63:48', () => {
    const t = new TestUnit().enableInterruptRemapping()
    t.interrupt(0xfee0_0010 + 0xab * 32)
    expect(t.read64(SERVER_FRCD)).toBe(0x00ab_0000_0000_0000n)
    expect(t.read64(SERVER_FRCD + 8)).toBe(0x8000_0022_0000_0311n)
    expect(t.unit.faultRecords()).toMatchObject([
      { index: 0, reason: '0x22', source: '03:02.1', interruptIndex: 0xab },
    ])
  })

  test('are views with every field by name', () => {
    const t = new TestUnit().enableTranslation()
    t.dma(F.IOVA + 0x1000)
    expect(t.unit.faultRecords()).toEqual([
      {
        index: 0,
        value: '0xc0000006000003110000000240608000',
        reason: '0x06',
        name: 'read without read permission',
        source: '03:02.1',
        address: '0x240608000',
        access: 'read',
        fields: {
          FI: '0x240608000',
          SID: '0x311',
          T2: 0,
          PRIV: 0,
          EXE: 0,
          PP: 0,
          FR: 6,
          PV: '0x0',
          AT: 0,
          T1: 1,
          F: 1,
        },
      },
    ])
  })

  test('fill in turn; the one after the last overflows', () => {
    const t = new TestUnit({ capabilities: { NFR: 2 } }).enableTranslation()
    for (let i = 0; i < 3; i++) t.dma(unmapped + i * 4096)
    expect(t.read32(0x34)).toBe(PPF)
    t.dma(unmapped + 0x9000)
    expect(t.read32(0x34)).toBe(PPF | PFO)
    expect([0, 1, 2].map(n => t.record(n).address)).toEqual([
      0x10_0000_0000n,
      0x10_0000_1000n,
      0x10_0000_2000n,
    ])
  })

  test('after an overflow nothing is recorded until PFO is cleared; recording goes on where it was', () => {
    const t = new TestUnit({ capabilities: { NFR: 1 } }).enableTranslation()
    for (let i = 0; i < 3; i++) t.dma(unmapped)
    t.write32(SERVER_FRCD + 12, 0x8000_0000)
    t.dma(unmapped)
    expect(t.record(0).set).toBe(false)
    t.write32(0x34, PFO)
    t.dma(unmapped + 0x5000)
    expect(t.record(0)).toMatchObject({ set: true, address: 0x10_0000_5000n })
  })

  test('PPF is the OR of all F bits and cannot be written; FRI is the first record since PPF was 0', () => {
    const t = new TestUnit().enableTranslation()
    t.dma(unmapped)
    t.dma(unmapped)
    t.write32(0x34, 0xffff_ffff)
    expect(t.read32(0x34)).toBe(PPF)
    t.write32(SERVER_FRCD + 12, 0x8000_0000)
    expect(t.read32(0x34)).toBe(PPF)
    t.write32(SERVER_FRCD + 28, 0x8000_0000)
    expect(t.read32(0x34)).toBe(0)
    t.dma(unmapped)
    t.dma(unmapped)
    expect(t.read32(0x34)).toBe(0x200 | PPF)
  })

  test('the next record is 0 again once both translation and interrupt remapping are off', () => {
    for (const interrupts of [false, true]) {
      const t = new TestUnit().enableTranslation()
      if (interrupts) t.enableInterruptRemapping()
      t.dma(unmapped)
      t.clearFaults()
      t.command(31, 0)
      t.command(31)
      t.dma(unmapped)
      expect(t.record(0).set).toBe(!interrupts)
      expect(t.record(1).set).toBe(interrupts)
    }
  })

  test('are announced on the trace', () => {
    const t = new TestUnit().enableTranslation()
    t.dma(unmapped)
    expect(t.engine.trace.since(0).filter(({ kind }) => kind === 'fault')).toMatchObject([
      { detail: { unit: 'unit0', reason: '0x06', source: '03:02.1', address: '0x1000000000' } },
    ])
  })
})

describe('the fault event', () => {
  test('is sent for the first condition only, until all are serviced', () => {
    const t = withEvent(0)
    t.dma(unmapped)
    t.dma(unmapped)
    expect(t.messages).toMatchObject([{ vector: 0xef, destination: 0x12, levelTriggered: false }])
    t.write32(SERVER_FRCD + 12, 0x8000_0000)
    t.dma(unmapped)
    expect(t.messages).toHaveLength(1)
    t.clearFaults()
    t.dma(unmapped)
    expect(t.messages).toHaveLength(2)
  })

  test('is held while masked and sent on unmasking', () => {
    const t = withEvent(0x8000_0000)
    t.dma(unmapped)
    expect(t.messages).toHaveLength(0)
    expect(t.read32(0x38)).toBe(0xc000_0000)
    t.write32(0x38, 0)
    expect(t.messages).toHaveLength(1)
    expect(t.read32(0x38)).toBe(0)
  })

  test('is withdrawn when all conditions are serviced while it is held', () => {
    const t = withEvent(0x8000_0000)
    t.dma(unmapped)
    t.write32(SERVER_FRCD + 12, 0x8000_0000)
    expect(t.read32(0x38)).toBe(0x8000_0000)
    t.write32(0x38, 0)
    expect(t.messages).toHaveLength(0)
  })

  test('is not raised by an overflow', () => {
    const t = withEvent(0, { NFR: 0 })
    t.dma(unmapped)
    t.dma(unmapped)
    expect(t.read32(0x34)).toBe(PPF | PFO)
    expect(t.messages).toHaveLength(1)
  })

  test('is not remapped, and has a 32-bit destination with extended interrupt mode', () => {
    const t = withEvent(0)
    t.enableInterruptRemapping({ eime: true })
    t.write32(0x44, 0xabcd_ef00)
    t.dma(unmapped)
    expect(t.messages).toMatchObject([{ destination: 0xabcd_ef12, extended: true, vector: 0xef }])
  })
})
