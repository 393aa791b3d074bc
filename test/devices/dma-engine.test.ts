/** The descriptor engine of a function: how transfers are cut, and what it reports. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NorthbridgeError } from '../../src/core/index.ts'
import { DmaEngine } from '../../src/devices/index.ts'
import { Machine, part } from '../pcie/machine.ts'

function engine() {
  const machine = new Machine()
  const fn = machine.plug(part('intel-82574l'), '3.0')
  fn.writeConfig(0x04, 0x6, 0xffff)
  return { machine, fn, engine: new DmaEngine(fn) }
}

describe('a transfer', () => {
  it('is cut at 4-KiB borders, ascending, each part on its own', () => {
    const { machine, engine: dma } = engine()
    const data = Uint8Array.from({ length: 5000 }, (_, i) => i)
    const parts = dma.dma(true, 0x1_0000_0000, 0xffe, data)
    expect(parts.map(({ page, offset, length }) => [page, offset, length])).toEqual([
      [0x1_0000_0000, 0xffe, 2],
      [0x1_0000_0001, 0, 4096],
      [0x1_0000_0002, 0, 902],
    ])
    expect(machine.notes.arrivals.flatMap(arrival => arrival.data)).toEqual([...data])
  })

  it('never crosses a page and loses no byte, wherever it begins', () => {
    const { machine, engine: dma } = engine()
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 4095 }),
        fc.integer({ min: 1, max: 20_000 }),
        (offset, length) => {
          machine.notes.arrivals.length = 0
          const parts = dma.dma(true, 16, offset, new Uint8Array(length))
          expect(parts.every(part => part.offset + part.length <= 4096)).toBe(true)
          expect(parts.reduce((sum, part) => sum + part.length, 0)).toBe(length)
          expect(machine.notes.arrivals).toHaveLength(parts.length)
        },
      ),
      { numRuns: 50 },
    )
  })

  it('reuses its records', () => {
    const { engine: dma } = engine()
    const [first] = dma.dma(true, 1, 0, new Uint8Array(8))
    const [again] = dma.dma(false, 2, 0, new Uint8Array(8))
    expect(again).toBe(first)
  })

  it('is not issued without Bus Master Enable', () => {
    const { fn, machine, engine: dma } = engine()
    fn.writeConfig(0x04, 0x2, 0xffff)
    expect(dma.dma(true, 1, 0, new Uint8Array(8))[0]?.status).toBe(6)
    expect(machine.notes.arrivals).toEqual([])
  })

  it('may end at the last 64-bit address, not beyond it', () => {
    const { engine: dma } = engine()
    expect(dma.dma(true, 2 ** 52 - 1, 4088, new Uint8Array(8))).toHaveLength(1)
    expect(() => dma.dma(true, 2 ** 52 - 1, 4089, new Uint8Array(8))).toThrow(NorthbridgeError)
    expect(() => dma.dma(true, 0, 0, new Uint8Array(0))).toThrow(NorthbridgeError)
  })
})

describe('an interrupt', () => {
  it('is signalled through MSI-X or MSI as software enabled it', () => {
    const { fn, machine, engine: dma } = engine()
    expect(dma.fire(0).signal).toBe('disabled')
    fn.writeConfig(0xd4, 0xfee0_0000, 0xffff_ffff)
    fn.writeConfig(0xdc, 0x51, 0xffff)
    fn.writeConfig(0xd0, 0x0001_0000, 0xffff_0000)
    expect(dma.fire(0)).toMatchObject({ signal: 'sent', request: { status: 0, page: 0xfee00, length: 4 } })
    expect(dma.fire(1).signal).toBe('noSuchVector')
    expect(machine.notes.arrivals.map(({ data }) => data)).toEqual([[0x51, 0, 0, 0]])
  })
})
