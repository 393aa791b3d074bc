import { describe, expect, test } from 'vitest'
import * as F from './fixture.ts'
import { TestUnit } from './fixture.ts'

const explain = (t: TestUnit, address: number, write = false, sid = F.SID) =>
  t.unit.explain(sid, Math.floor(address / 4096), address % 4096, write)

describe('explaining a request', () => {
  test('tells every entry read, with address, raw value and fields', () => {
    const t = new TestUnit().enableTranslation()
    const { steps, outcome, physicalAddress } = explain(t, F.IOVA + 0x10)
    expect(outcome).toBe('translated')
    expect(physicalAddress).toBe('0x0000000123456010')
    expect(steps.map(({ check, entryAddress, from }) => [check, entryAddress, from])).toEqual([
      ['translation is enabled', undefined, undefined],
      ['translation table mode', undefined, undefined],
      ['root entry', '0x100000030', 'memory'],
      ['context entry', '0x100001110', 'memory'],
      ['the address is within the width of the domain', undefined, undefined],
      ['second-stage entry of level 4', '0x100002000', 'memory'],
      ['second-stage entry of level 3', '0x100003048', 'memory'],
      ['second-stage entry of level 2', '0x100004018', 'memory'],
      ['second-stage entry of level 1', '0x100005038', 'memory'],
      ['the result is outside the interrupt range', undefined, undefined],
    ])
    expect(steps[3]).toMatchObject({
      section: 'Context Entry',
      raw: '0x00000000000007020000000100002001',
      fields: { P: 1, FPD: 0, TT: 0, SSPTPTR: '0x100002000', AW: 2, DID: '0x7' },
    })
    expect(steps[8]).toMatchObject({
      raw: '0x0000000123456003',
      fields: { R: 1, W: 1, ADDR: '0x123456000' },
      outcome: 'passed',
    })
  })

  test('names the cache that answers', () => {
    const t = new TestUnit().enableTranslation()
    t.dma(F.IOVA)
    const steps = explain(t, F.IOVA).steps.filter(({ from }) => from !== undefined)
    expect(steps.map(({ check, from }) => [check, from])).toEqual([
      ['context entry', 'contextCache'],
      ['cached translation', 'iotlb'],
    ])
  })

  test('ends at the failing check, and says what would repair it', () => {
    const t = new TestUnit().enableTranslation()
    t.store(F.L2 + 3 * 8, F.L1 + 1)
    const { steps, outcome, fault, repair } = explain(t, F.IOVA + 0x10, true)
    expect(outcome).toBe('fault')
    expect(steps.at(-1)).toMatchObject({ check: 'second-stage entry of level 2', outcome: 'failed' })
    expect(steps.slice(0, -1).every(step => step.outcome === 'passed')).toBe(true)
    expect(fault).toEqual({
      reason: '0x05',
      name: 'write without write permission',
      source: '03:02.1',
      address: '0x0000000240607010',
      recorded: true,
    })
    expect(repair).toMatch(/W set/)
    expect(t.read32(0x34)).toBe(0)
  })

  test('a fault that a stale cache entry causes asks for its invalidation', () => {
    const t = new TestUnit().enableTranslation()
    t.store(F.L1 + 7 * 8, F.TARGET + 1)
    t.dma(F.IOVA)
    t.store(F.L1 + 7 * 8, F.TARGET + 3)
    expect(explain(t, F.IOVA, true).repair).toMatch(/invalidate/)
  })

  test.each<[string, (t: TestUnit) => void, string]>([
    ['root entry', t => t.store(F.ROOT + 48, 0), '0x01'],
    ['root entry', t => t.store(F.ROOT + 48, F.CONTEXT + 3), '0x0a'],
    ['context entry', t => t.store(F.ROOT + 48, F.NOWHERE + 1), '0x09'],
    ['context entry', t => t.store(F.CONTEXT + 0x110, 0), '0x02'],
    ['second-stage entry of level 4', t => t.store(F.CONTEXT + 0x110, F.NOWHERE + 1), '0x03'],
    ['second-stage entry of level 1', t => t.store(F.L2 + 3 * 8, F.NOWHERE + 3), '0x07'],
    ['the result is outside the interrupt range', t => t.store(F.L1 + 7 * 8, 0xfee0_0003), '0x0e'],
  ])('fails at: %s', (check, prepare, reason) => {
    const t = new TestUnit().enableTranslation()
    prepare(t)
    const { steps, fault } = explain(t, F.IOVA)
    expect(steps.at(-1)).toMatchObject({ check, outcome: 'failed' })
    expect(fault?.reason).toBe(reason)
  })

  test('covers translation off, pass-through, protected memory and abort mode', () => {
    const t = new TestUnit({ capabilities: { ADMS: 1 } })
    expect(explain(t, 0x1234).outcome).toBe('notTranslated')
    t.enableTranslation()
    t.store(F.CONTEXT + 0x110, 9)
    expect(explain(t, 0x1234)).toMatchObject({
      outcome: 'passedThrough',
      physicalAddress: '0x0000000000001234',
    })
    t.write32(0x64, 0x8000_0000)
    expect(explain(t, 0x1234)).toMatchObject({ outcome: 'blocked' })
    t.write64(0x20, 0xc00)
    t.command(30)
    expect(explain(t, 0x1234).repair).toMatch(/abort/)
  })

  test('covers interrupt requests', () => {
    const t = new TestUnit().enableInterruptRemapping()
    t.store(F.IRT + 5 * 16, 0x0000_1200_0041_0001n)
    t.store(F.IRT + 5 * 16 + 8, 0x4_0000 + 0x0300)
    const { steps, outcome, fault, repair } = explain(t, 0xfee0_00b0, true)
    expect(outcome).toBe('fault')
    expect(steps.at(-1)).toMatchObject({
      check: 'interrupt remapping table entry',
      entryAddress: '0x100010050',
      from: 'memory',
      fields: { V: 0x41, SVT: 1, SID: '0x300', DST: '0x1200' },
    })
    expect(fault?.reason).toBe('0x26')
    expect(repair).toMatch(/SID/)
    expect(explain(t, 0xfee0_00b0, true, 0x0300).outcome).toBe('interrupt')
    expect(explain(t, 0xfee0_00b0, false).fault?.reason).toBe('0x29')
    expect(explain(t, 0xfee0_1000, true).fault?.reason).toBe('0x25')
    expect(t.read32(0x34)).toBe(0)
    expect(t.unit.caches().interruptEntries).toEqual([])
  })
})

describe('views', () => {
  test('registers decode every field by name', () => {
    const t = new TestUnit().enableTranslation()
    const registers = t.unit.registers()
    expect(registers.find(({ name }) => name === 'RTADDR')).toEqual({
      name: 'RTADDR',
      offset: '0x20',
      width: 64,
      value: '0x0000000100000000',
      fields: { TTM: 0, RTA: '0x100000000' },
    })
    expect(registers.find(({ name }) => name === 'GSTS')?.fields).toMatchObject({ TES: 1, RTPS: 1, IRES: 0 })
    expect(registers.filter(({ name }) => name.startsWith('FRCD'))).toHaveLength(8)
  })

  test('caches list their entries', () => {
    const t = new TestUnit().enableTranslation()
    t.dma(F.IOVA)
    expect(t.unit.caches()).toMatchObject({
      context: [{ source: '03:02.1', fields: { DID: '0x7', AW: 2 } }],
      iotlb: [
        {
          domainId: '0x7',
          address: '0x240607000',
          size: 4096,
          physicalAddress: '0x123456000',
          read: true,
          write: true,
        },
      ],
    })
  })
})
