import { describe, expect, test } from 'vitest'
import { FAULT_REASONS } from '../../src/vtd/formats/index.ts'
import * as F from './fixture.ts'
import { TestUnit } from './fixture.ts'

const P63 = 2n ** 63n
const BIT62 = 2n ** 62n

interface Scenario {
  readonly reason: number
  readonly title: string
  readonly capabilities?: Record<string, number>
  readonly hostAddressWidth?: number
  /** Software breaks something; then one request is made. Returns what came of it: minus the reason code. */
  readonly run: (t: TestUnit) => number | null
}

const dma =
  (prepare: (t: TestUnit) => void, request: Parameters<TestUnit['dma']>[1] = {}, address = F.IOVA) =>
  (t: TestUnit) => {
    prepare(t)
    return t.dma(address, request)
  }
const nothing = () => {}
const irq =
  (prepare: (t: TestUnit) => void, address = 0xfee0_0010, data = 0) =>
  (t: TestUnit) => {
    t.enableInterruptRemapping()
    prepare(t)
    return -t.interrupt(address, data)
  }
const context = F.CONTEXT + 0x11 * 16
const leaf = F.L1 + 7 * 8
const pde = F.L2 + 3 * 8
const pdpe = F.L3 + 9 * 8

const SCENARIOS: readonly Scenario[] = [
  {
    reason: 0x01,
    title: 'the root entry of the bus has P clear',
    run: dma(t => t.store(F.ROOT + 48, F.CONTEXT)),
  },
  { reason: 0x02, title: 'the context entry has P clear', run: dma(t => t.store(context, F.L4)) },
  { reason: 0x03, title: 'AW is not in SAGAW', run: dma(t => t.store(context + 8, F.DOMAIN * 256 + 3)) },
  { reason: 0x03, title: 'AW is reserved', run: dma(t => t.store(context + 8, F.DOMAIN * 256 + 4)) },
  { reason: 0x03, title: 'TT is reserved', run: dma(t => t.store(context, F.L4 + 13)) },
  { reason: 0x03, title: 'TT=01 without device-TLBs', run: dma(t => t.store(context, F.L4 + 5)) },
  {
    reason: 0x03,
    title: 'TT=10 without pass-through',
    capabilities: { PT: 0 },
    run: dma(t => t.store(context, 9)),
  },
  { reason: 0x03, title: 'SSPTPTR points nowhere', run: dma(t => t.store(context, F.NOWHERE + 1)) },
  { reason: 0x04, title: 'the address is beyond AW (48 bits)', run: dma(nothing, {}, 2 ** 48) },
  {
    reason: 0x04,
    title: 'the address is beyond MGAW, though within AW',
    capabilities: { MGAW: 33 },
    run: dma(nothing, {}, 2 ** 34),
  },
  {
    reason: 0x04,
    title: 'the address is beyond AW of 39 bits, though within MGAW',
    run: dma(t => t.store(context + 8, F.DOMAIN * 256 + 1), {}, 2 ** 39),
  },
  {
    reason: 0x04,
    title: 'a pass-through address is beyond the host',
    run: dma(t => t.store(context, 9), {}, 2 ** 48),
  },
  {
    reason: 0x04,
    title: 'a translated address is beyond the host',
    capabilities: { DT: 1 },
    run: dma(t => t.store(context, F.L4 + 5), { addressType: 2 }, 2 ** 48),
  },
  {
    reason: 0x05,
    title: 'a write to a page without W',
    run: dma(t => t.store(leaf, F.TARGET + 1), { write: true }),
  },
  {
    reason: 0x05,
    title: 'a write under a table entry without W',
    run: dma(t => t.store(pde, F.L1 + 1), { write: true }),
  },
  { reason: 0x06, title: 'a read of a page without R', run: dma(t => t.store(leaf, F.TARGET + 2)) },
  {
    reason: 0x06,
    title: 'a not-present entry, whose reserved bits are not examined',
    run: dma(t => t.store(leaf, BIT62)),
  },
  {
    reason: 0x06,
    title: 'a zero-length read of a write-only page without ZLR',
    capabilities: { ZLR: 0 },
    run: dma(t => t.store(leaf, F.TARGET + 2), { length: 0 }),
  },
  { reason: 0x07, title: 'a lower table is not in memory', run: dma(t => t.store(pde, F.NOWHERE + 3)) },
  {
    reason: 0x08,
    title: 'the root table is not in memory',
    run: dma(t => {
      t.write64(0x20, F.NOWHERE)
      t.command(30)
    }),
  },
  {
    reason: 0x09,
    title: 'the context table is not in memory',
    run: dma(t => t.store(F.ROOT + 48, F.NOWHERE + 1)),
  },
  { reason: 0x0a, title: 'bit 1 of the root entry', run: dma(t => t.store(F.ROOT + 48, F.CONTEXT + 3)) },
  { reason: 0x0a, title: 'CTP beyond the host', run: dma(t => t.store(F.ROOT + 48, 2 ** 48 + 1)) },
  { reason: 0x0a, title: 'the upper half of the root entry', run: dma(t => t.store(F.ROOT + 56, 1)) },
  { reason: 0x0b, title: 'bit 4 of the context entry', run: dma(t => t.store(context, F.L4 + 17)) },
  { reason: 0x0b, title: 'SSPTPTR beyond the host', run: dma(t => t.store(context, 2 ** 48 + F.L4 + 1)) },
  { reason: 0x0b, title: 'bit 71 of the context entry', run: dma(t => t.store(context + 8, 0x82)) },
  { reason: 0x0b, title: 'bit 88 of the context entry', run: dma(t => t.store(context + 8, 0x100_0002)) },
  {
    reason: 0x0b,
    title: 'a domain-id wider than ND',
    capabilities: { ND: 2 },
    run: dma(t => t.store(context + 8, 0x100 * 256 + 2)),
  },
  { reason: 0x0c, title: 'bit 62 of a leaf', run: dma(t => t.store(leaf, BIT62 | BigInt(F.TARGET + 3))) },
  { reason: 0x0c, title: 'an address beyond the host', run: dma(t => t.store(leaf, 2 ** 48 + 3)) },
  { reason: 0x0c, title: 'bit 11 of an entry that is no leaf', run: dma(t => t.store(pde, F.L1 + 0x803)) },
  { reason: 0x0c, title: 'PS in a PML4E', run: dma(t => t.store(F.L4, F.L3 + 0x83)) },
  {
    reason: 0x0c,
    title: 'SNP without SC',
    capabilities: { SC: 0 },
    run: dma(t => t.store(leaf, F.TARGET + 0x803)),
  },
  { reason: 0x0c, title: 'a 2-MiB page with address bit 12', run: dma(t => t.store(pde, 0x1_0020_1083)) },
  { reason: 0x0c, title: 'a 1-GiB page with address bit 21', run: dma(t => t.store(pdpe, 0x1_0020_0083)) },
  {
    reason: 0x0c,
    title: 'a 1-GiB page without SSLPS bit 1',
    capabilities: { SSLPS: 1 },
    run: dma(t => t.store(pdpe, 0x1_4000_0083)),
  },
  {
    reason: 0x0c,
    title: 'a 2-MiB page without SSLPS',
    capabilities: { SSLPS: 0 },
    run: dma(t => t.store(pde, 0x1_0020_0083)),
  },
  { reason: 0x0d, title: 'a translated request where TT blocks it', run: dma(nothing, { addressType: 2 }) },
  { reason: 0x0d, title: 'a translation request where TT blocks it', run: dma(nothing, { addressType: 1 }) },
  { reason: 0x0e, title: 'a page mapped to the interrupt range', run: dma(t => t.store(leaf, 0xfee0_0003)) },
  {
    reason: 0x0e,
    title: 'the part of a large page that is the interrupt range',
    run: dma(t => t.store(pde, 0xfee0_0083)),
  },
  { reason: 0x20, title: 'SHV with data above 16 bits', run: irq(nothing, 0xfee0_0018, 0x1_0000) },
  {
    reason: 0x20,
    title: 'an upper address',
    run: t => -t.enableInterruptRemapping().interrupt(0xfee0_0010, 0, { addressHigh: 1 }),
  },
  { reason: 0x21, title: 'a handle at the end of the table', run: irq(nothing, 0xfee0_0010 + (0x100 << 5)) },
  {
    reason: 0x21,
    title: 'handle and subhandle beyond 16 bits together',
    run: irq(nothing, 0xfeef_fffc, 0xffff),
  },
  { reason: 0x22, title: 'P clear, whatever the reserved bits', run: irq(t => t.store(F.IRT, 0x7000)) },
  {
    reason: 0x23,
    title: 'a table that is not in memory',
    run: irq(t => {
      t.write64(0xb8, F.NOWHERE + 7)
      t.command(24)
    }),
  },
  { reason: 0x24, title: 'bit 12 of an entry', run: irq(t => t.store(F.IRT, 0x1001)) },
  { reason: 0x24, title: 'bit 24 of an entry', run: irq(t => t.store(F.IRT, 0x100_0001)) },
  { reason: 0x24, title: 'IM without posting', run: irq(t => t.store(F.IRT, 0x8001)) },
  { reason: 0x24, title: 'a reserved delivery mode', run: irq(t => t.store(F.IRT, 0x61)) },
  { reason: 0x24, title: 'DST bits 7:0 with EIME clear', run: irq(t => t.store(F.IRT, 0x1_0000_0001n)) },
  { reason: 0x24, title: 'DST bits 31:16 with EIME clear', run: irq(t => t.store(F.IRT, P63 | 1n)) },
  {
    reason: 0x24,
    title: 'SVT=11',
    run: irq(t => {
      t.store(F.IRT, 1)
      t.store(F.IRT + 8, 0xc_0000)
    }),
  },
  {
    reason: 0x24,
    title: 'bit 84 of an entry',
    run: irq(t => {
      t.store(F.IRT, 1)
      t.store(F.IRT + 8, 0x10_0000)
    }),
  },
  { reason: 0x25, title: 'compatibility format with CFIS clear', run: irq(nothing, 0xfee0_1000, 0x41) },
  {
    reason: 0x26,
    title: 'another source-id',
    run: irq(t => {
      t.store(F.IRT, 1)
      t.store(F.IRT + 8, 0x4_0000 + 0x0310)
    }),
  },
  { reason: 0x29, title: 'a read of the interrupt range', run: dma(nothing, {}, 0xfee0_0000) },
  {
    reason: 0x29,
    title: 'a write to the interrupt range that is no interrupt request',
    run: dma(nothing, { write: true, length: 8 }, 0xfeef_fff8),
  },
  {
    reason: 0x30,
    title: 'scalable mode without SMTS',
    run: dma(t => {
      t.write64(0x20, F.ROOT + 0x400)
      t.command(30)
    }),
  },
  {
    reason: 0x30,
    title: 'the reserved mode',
    run: dma(t => {
      t.write64(0x20, F.ROOT + 0x800)
      t.command(30)
    }),
  },
  {
    reason: 0x30,
    title: 'abort-DMA mode without ADMS',
    run: dma(t => {
      t.write64(0x20, F.ROOT + 0xc00)
      t.command(30)
    }),
  },
  { reason: 0x31, title: 'a request with PASID', run: dma(nothing, { pasid: 5 }) },
]

const build = ({ capabilities, hostAddressWidth }: Scenario) =>
  new TestUnit({
    ...(capabilities === undefined ? {} : { capabilities }),
    ...(hostAddressWidth === undefined ? {} : { hostAddressWidth }),
  }).enableTranslation()

/** Rows for requests in legacy mode and interrupt remapping without posting; the others have tests of their own. */
const ROWS = FAULT_REASONS.filter(({ code }) => code < 0x32 && code !== 0x27 && code !== 0x28)

describe('fault reasons of legacy mode and interrupt remapping', () => {
  test.each(SCENARIOS.map(s => [`${s.reason.toString(16)}h: ${s.title}`, s] as const))(
    '%s',
    (_title, scenario) => {
      const t = build(scenario)
      expect(scenario.run(t)).toBe(-scenario.reason)
      expect(t.record()).toMatchObject({ reason: scenario.reason, sid: F.SID, set: true })
      expect(t.read32(0x34) & 2).toBe(2)
    },
  )

  test('every row of the table is reached by a scenario', () => {
    const reached = new Set(SCENARIOS.map(({ reason }) => reason))
    expect(ROWS.filter(({ code }) => !reached.has(code))).toEqual([])
    expect(FAULT_REASONS.map(({ code }) => code)).toEqual(
      [...new Set(FAULT_REASONS.map(({ code }) => code))].sort((a, b) => a - b),
    )
  })
})

/** Rows of the table that the manual marks as qualified by Fault Processing Disable. */
const QUALIFIED = [0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0b, 0x0c, 0x0d, 0x0e, 0x22, 0x24, 0x26]

describe('Fault Processing Disable', () => {
  test('the table agrees on which rows are qualified', () => {
    expect(ROWS.filter(({ qualified }) => qualified).map(({ code }) => code)).toEqual(QUALIFIED)
  })

  /** Software that sets FPD in every context and remapping table entry it stores. */
  function withFpd(scenario: Scenario): TestUnit {
    const t = build(scenario)
    const { store } = t
    t.store = (address, value) =>
      store.call(t, address, address === context || address === F.IRT ? BigInt(value) | 2n : value)
    for (const entry of [context, F.IRT]) t.store(entry, t.load(entry))
    return t
  }

  test.each(SCENARIOS.map(s => [`${s.reason.toString(16)}h: ${s.title}`, s] as const))(
    '%s',
    (_title, scenario) => {
      const t = withFpd(scenario)
      expect(scenario.run(t)).toBe(-scenario.reason)
      expect(t.record().set).toBe(!QUALIFIED.includes(scenario.reason))
    },
  )
})

describe('requests that are not faults', () => {
  test('pages of 4 KiB, 2 MiB and 1 GiB translate above 4 GiB', () => {
    const t = new TestUnit().enableTranslation()
    expect(t.dma(F.IOVA + 0x123)).toBe(F.TARGET + 0x123)
    t.store(pde, 0x1_4020_0083)
    t.command(30)
    expect(t.dma(0x2_4061_2345)).toBe(0x1_4021_2345)
    t.store(pdpe, 0x1_8000_0083)
    t.command(30)
    expect(t.dma(0x2_7654_3210)).toBe(0x1_b654_3210)
  })

  test('three levels from AW=001', () => {
    const t = new TestUnit().enableTranslation()
    t.store(context, F.L3 + 1)
    t.store(context + 8, F.DOMAIN * 256 + 1)
    expect(t.dma(F.IOVA)).toBe(F.TARGET)
  })

  test('five levels from AW=011, with a 57-bit address', () => {
    const t = new TestUnit({ capabilities: { SAGAW: 0b1110, MGAW: 56 } }).enableTranslation()
    t.store(0x1_0000_6000 + 0x1ff * 8, F.L4 + 3)
    t.store(context, 0x1_0000_6001)
    t.store(context + 8, F.DOMAIN * 256 + 3)
    const { request } = t
    request.begin()
    request.requesterId = F.SID
    request.length = 4
    request.page = 0x1ff * 2 ** 36 + F.IOVA / 4096
    expect(t.unit.translate(request)).toBe(true)
    expect(request.physicalPage).toBe(F.TARGET / 4096)
    request.page = 2 ** 45
    expect(t.unit.translate(request)).toBe(false)
    expect(request.faultReason).toBe(0x04)
  })

  test('ignored bits of an entry are ignored', () => {
    const t = new TestUnit().enableTranslation()
    t.store(leaf, 0xbff0_0000_0000_077cn | 0x80n | BigInt(F.TARGET) | 3n)
    t.store(pde, 0xbff0_0000_0000_077cn | BigInt(F.L1) | 3n)
    expect(t.dma(F.IOVA)).toBe(F.TARGET)
    expect(t.load(leaf)).toBe(0xbff0_0000_0000_07fcn | BigInt(F.TARGET) | 3n)
  })

  test('pass-through leaves the address as it is, whatever SSPTPTR and MGAW', () => {
    const t = new TestUnit({ capabilities: { MGAW: 33 } }).enableTranslation()
    t.store(context, (2n ** 63n) | 9n)
    expect(t.dma(2 ** 47 + 0x10)).toBe(2 ** 47 + 0x10)
  })

  test('a zero-length read needs only W where ZLR is supported', () => {
    const t = new TestUnit().enableTranslation()
    t.store(leaf, F.TARGET + 2)
    expect(t.dma(F.IOVA, { length: 0 })).toBe(F.TARGET)
    expect(t.dma(F.IOVA)).toBe(-0x06)
  })

  test('with translation disabled requests pass unchanged, those with PASID or address type are refused', () => {
    const t = new TestUnit()
    expect(t.dma(0xff_1234_5678)).toBe(0xff_1234_5678)
    expect(t.dma(0x1000, { pasid: 1 })).toBeNull()
    expect(t.dma(0x1000, { addressType: 2 })).toBeNull()
    expect(t.read32(0x34)).toBe(0)
  })

  test('a translated request passes where TT=01 allows it', () => {
    const t = new TestUnit({ capabilities: { DT: 1 } }).enableTranslation()
    t.store(context, F.L4 + 5)
    expect(t.dma(0x1_0000_9008, { addressType: 2 })).toBe(0x1_0000_9008)
    expect(t.dma(F.IOVA)).toBe(F.TARGET)
  })

  test('abort-DMA mode blocks everything and records nothing', () => {
    const t = new TestUnit({ capabilities: { ADMS: 1 } }).enableTranslation()
    t.write64(0x20, F.ROOT + 0xc00)
    t.command(30)
    expect(t.dma(F.IOVA)).toBeNull()
    expect(t.read32(0x34)).toBe(0)
  })

  test('protected memory blocks the host address, translated or not, without a fault', () => {
    const t = new TestUnit().enableTranslation()
    t.write32(0x68, 0x0020_0000)
    t.write32(0x6c, 0x0040_0000)
    t.write64(0x70, 0x1_2340_0000)
    t.write64(0x78, 0x1_2340_0000)
    expect(t.dma(F.IOVA)).toBe(F.TARGET)
    t.write32(0x64, 0x8000_0000)
    expect(t.dma(F.IOVA)).toBeNull()
    t.command(31, 0)
    expect(t.dma(0x1f_ffff)).toBe(0x1f_ffff)
    expect(t.dma(0x20_0000)).toBeNull()
    expect(t.dma(0x5f_ffff)).toBeNull()
    expect(t.dma(0x60_0000)).toBe(0x60_0000)
    expect(t.read32(0x34)).toBe(0)
  })
})
