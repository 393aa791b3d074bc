import { describe, expect, test } from 'vitest'
import { TestUnit } from './fixture.ts'

/** Offset, width, name; then what reads after reset, after writing all ones, and after writing zeros, where no effect differs. */
const ATTRIBUTES: readonly (readonly [number, 32 | 64, string, bigint, bigint])[] = [
  [0x000, 32, 'VER', 0x10n, 0x10n],
  [0x008, 64, 'CAP', 0xc0d2_078c_406f_0666n, 0xc0d2_078c_406f_0666n],
  [0x010, 64, 'ECAP', 0xf0_50dbn, 0xf0_50dbn],
  [0x020, 64, 'RTADDR', 0n, 0xffff_ffff_ffff_fc00n],
  [0x034, 32, 'FSTS', 0n, 0n],
  [0x038, 32, 'FECTL', 0x8000_0000n, 0x8000_0000n],
  [0x03c, 32, 'FEDATA', 0n, 0xffffn],
  [0x040, 32, 'FEADDR', 0n, 0xffff_fffcn],
  [0x044, 32, 'FEUADDR', 0n, 0xffff_ffffn],
  [0x058, 64, 'AFLOG (no AFL)', 0n, 0n],
  [0x068, 32, 'PLMBASE', 0n, 0xffe0_0000n],
  [0x06c, 32, 'PLMLIMIT', 0n, 0xffe0_0000n],
  [0x070, 64, 'PHMBASE', 0n, 0xffff_ffe0_0000n],
  [0x078, 64, 'PHMLIMIT', 0n, 0xffff_ffe0_0000n],
  [0x080, 64, 'IQH', 0n, 0n],
  [0x088, 64, 'IQT', 0n, 0x7_fff0n],
  [0x09c, 32, 'ICS', 0n, 0n],
  [0x0a0, 32, 'IECTL', 0x8000_0000n, 0x8000_0000n],
  [0x0a4, 32, 'IEDATA', 0n, 0xffffn],
  [0x0a8, 32, 'IEADDR', 0n, 0xffff_fffcn],
  [0x0ac, 32, 'IEUADDR', 0n, 0xffff_ffffn],
  [0x0b0, 64, 'IQERCD', 0n, 0n],
  [0x0b8, 64, 'IRTA', 0n, 0xffff_ffff_ffff_f80fn],
  [0x0c0, 64, 'PQH (no PRS)', 0n, 0n],
  [0x0e0, 32, 'PECTL (no PRS)', 0n, 0n],
  [0x100, 64, 'MTRRCAP (no MTS)', 0n, 0n],
  [0x400, 64, 'FRCD0 low', 0n, 0n],
  [0x408, 64, 'FRCD0 high', 0n, 0n],
  [0x500, 64, 'IVA', 0n, 0n],
]

describe('the register table', () => {
  test.each(ATTRIBUTES)('%s/%s %s: reset value and writable bits', (offset, width, _name, reset, ones) => {
    const t = new TestUnit()
    const read = () => (width === 64 ? t.read64(offset) : BigInt(t.read32(offset)))
    expect(read()).toBe(reset)
    if (width === 64) t.write64(offset, 0xffff_ffff_ffff_ffffn)
    else t.write32(offset, 0xffff_ffff)
    expect(read()).toBe(ones)
  })

  test('IQA keeps QS, DW and the base; CCMD keeps DID and CIRG, and its write-only fields read 0', () => {
    const t = new TestUnit()
    t.write64(0x90, 0xffff_ffff_ffff_ffffn)
    expect(t.read64(0x90)).toBe(0xffff_ffff_ffff_f807n)
    t.write64(0x28, 0x7fff_ffff_ffff_ffffn)
    expect(t.read64(0x28)).toBe(0x6000_0000_0000_ffffn)
    t.write64(0x508, 0x7fff_ffff_ffff_ffffn)
    expect(t.read64(0x508)).toBe(0x3003_ffff_0000_0000n)
  })

  test('GCMD is write-only and reads 0', () => {
    const t = new TestUnit()
    t.write32(0x18, 0x4000_0000)
    expect(t.read32(0x18)).toBe(0)
  })

  test('without EIM the upper address registers and EIME are reserved', () => {
    const t = new TestUnit({ capabilities: { EIM: 0 } })
    for (const offset of [0x44, 0xac]) {
      t.write32(offset, 0xffff_ffff)
      expect(t.read32(offset)).toBe(0)
    }
    t.write64(0xb8, 0x800)
    expect(t.read64(0xb8)).toBe(0n)
  })

  test('without QI, IR and protected memory their registers are reserved and their commands ignored', () => {
    const t = new TestUnit({ capabilities: { QI: 0, IR: 0, EIM: 0, PLMR: 0, PHMR: 0 } })
    for (const offset of [0x64, 0x68, 0x78, 0x88, 0x90, 0xa4, 0xb8]) {
      t.write32(offset, 0xffff_ffff)
      expect(t.read32(offset), offset.toString(16)).toBe(0)
    }
    for (const bit of [23, 24, 25, 26]) t.command(bit)
    expect(t.read32(0x1c)).toBe(0)
  })

  test('a byte access changes only its own lanes', () => {
    const t = new TestUnit()
    t.write32(0x3c, 0xffff_abcd, 0xff00)
    expect(t.read32(0x3c)).toBe(0xab00)
  })

  test('accesses beyond the register window read 0 and change nothing', () => {
    const t = new TestUnit()
    expect(t.unit.registerSize).toBe(4096)
    t.write32(0x1018, 0x4000_0000)
    expect(t.read32(0x1018)).toBe(0)
    expect(t.read32(0x1c)).toBe(0)
  })

  test('reset returns every register to its reset value', () => {
    const t = new TestUnit()
    t.enableTranslation().enableInterruptRemapping().enableQueue()
    t.dma(0x1000)
    t.unit.reset()
    expect(t.unit.registers()).toEqual(new TestUnit().unit.registers())
    expect(t.unit.caches()).toEqual({ context: [], pasid: [], iotlb: [], paging: [], interruptEntries: [] })
  })
})

describe('the global command protocol', () => {
  test('SRTP latches RTADDR; a raw write to RTADDR has no effect before it, nor has toggling TE', () => {
    const t = new TestUnit().enableTranslation()
    expect(t.dma(0x2_4060_7010)).toBe(0x1_2345_6010)
    t.write64(0x20, 0x1_0008_0000)
    t.command(31, 0)
    t.command(31)
    t.write64(0x28, 0xa000_0000_0000_0000n)
    expect(t.dma(0x2_4060_7010)).toBe(0x1_2345_6010)
    t.command(30)
    expect(t.dma(0x2_4060_7010)).toBe(-0x01)
  })

  test('RTPS and IRTPS are set by SRTP and SIRTP and stay set', () => {
    const t = new TestUnit()
    t.command(30)
    t.command(24)
    expect(t.read32(0x1c)).toBe(0x4100_0000)
    t.write32(0x18, 0)
    expect(t.read32(0x1c)).toBe(0x4100_0000)
  })

  test('level bits follow what is written: TE, IRE, QIE, CFI', () => {
    const t = new TestUnit()
    for (const bit of [31, 26, 25, 23]) {
      t.command(bit)
      expect(t.read32(0x1c)).toBe(2 ** bit)
      t.command(bit, 0)
      expect(t.read32(0x1c)).toBe(0)
    }
  })

  test('a one-shot bit is not triggered again by a write that leaves it 0', () => {
    const t = new TestUnit()
    t.write64(0xb8, 0x1_0001_0000)
    t.command(24)
    t.write64(0xb8, 0x9000_0000)
    t.command(25)
    // The first table is in memory, the second is not: entry not present, rather than not accessible.
    expect(t.interrupt(0xfee0_0010)).toBe(0x22)
  })

  test('a byte write to GCMD leaves level bits of the other bytes as they are', () => {
    const t = new TestUnit()
    t.command(31)
    t.write32(0x18, 0x0080_0000, 0x00ff_0000)
    expect(t.read32(0x1c)).toBe(0x8080_0000)
  })

  test('WBF completes at once', () => {
    const t = new TestUnit({ capabilities: { RWBF: 1 } })
    t.command(27)
    expect(t.read32(0x1c)).toBe(0)
  })

  test('with ESRTPS, SRTP empties the DMA caches; without, stale entries stay', () => {
    for (const ESRTPS of [0, 1]) {
      const t = new TestUnit({ capabilities: { ESRTPS } }).enableTranslation()
      t.dma(0x2_4060_7000)
      t.command(30)
      expect(t.unit.caches().iotlb).toHaveLength(1 - ESRTPS)
      expect(t.unit.caches().context).toHaveLength(1 - ESRTPS)
    }
  })

  test('with ESIRTPS, SIRTP and clearing IRE empty the interrupt entry cache; without, entries stay', () => {
    for (const ESIRTPS of [0, 1]) {
      const t = new TestUnit({ capabilities: { ESIRTPS } }).enableInterruptRemapping()
      t.store(0x1_0001_0000, 1)
      t.interrupt(0xfee0_0010)
      t.command(24)
      expect(t.unit.caches().interruptEntries).toHaveLength(1 - ESIRTPS)
      t.interrupt(0xfee0_0010)
      t.command(25, 0)
      expect(t.unit.caches().interruptEntries).toHaveLength(1 - ESIRTPS)
    }
  })

  test('PRS follows EPM', () => {
    const t = new TestUnit()
    t.write32(0x64, 0x8000_0000)
    expect(t.read32(0x64)).toBe(0x8000_0001)
    t.write32(0x64, 0)
    expect(t.read32(0x64)).toBe(0)
  })
})
