/** "Resizable BAR Extended Capability": the size that is programmed is the size that decodes. */
import { describe, expect, it } from 'vitest'
import { definition, EXTENDED_AT } from './images.ts'
import { ALL, Machine } from './machine.ts'

const MIB = 2 ** 20
const CONTROL = EXTENDED_AT + 8
const size = (code: number): number => code << 8

/** BAR 0: 64-bit prefetchable, 256 MiB after reset; 64 MiB, 256 MiB and 8 GiB are supported. */
function withGpu() {
  const machine = new Machine()
  const supported = (1 << (6 + 4)) | (1 << (8 + 4)) | (1 << (13 + 4))
  const fn = machine.plug(
    definition(
      { extended: { id: 0x15, dwords: [supported, 1 << 5] } },
      { bars: [{ index: 0, kind: 'memory64', prefetchable: true, size: 256 * MIB }] },
    ),
    '1.0',
  )
  const write = (offset: number, value: number, lanes = ALL) => fn.writeConfig(offset, value, lanes)
  const read = (offset: number) => fn.readConfig(offset) >>> 0
  const sized = (): [number, number] => {
    write(0x10, ALL)
    write(0x14, ALL)
    return [read(0x10), read(0x14)]
  }
  return { machine, fn, write, read, sized }
}

describe('BAR Size', () => {
  it('is after reset the size that the function begins with', () => {
    const { read, sized } = withGpu()
    expect(read(CONTROL)).toBe(size(8) | (1 << 5))
    expect(sized()).toEqual([0xf000_000c, 0xffff_ffff])
  })

  it.each([
    ['64 MiB', 6, 0xfc00_000c, 0xffff_ffff],
    ['256 MiB', 8, 0xf000_000c, 0xffff_ffff],
    ['8 GiB', 13, 0x0000_000c, 0xffff_fffe],
  ])('changes what the BAR reads when it is sized: %s', (_what, code, low, high) => {
    const { write, sized } = withGpu()
    write(CONTROL, size(code))
    expect(sized()).toEqual([low, high])
  })

  it('changes what decodes', () => {
    const { machine, fn, write } = withGpu()
    write(CONTROL, size(6))
    write(0x10, 0x4000_0000)
    write(0x14, 1)
    write(0x04, 2, 0xffff)
    const base = 0x1_4000_0000
    expect(machine.fabric.functionDecoding(base + 64 * MIB - 4)).toBe(fn)
    expect(machine.fabric.functionDecoding(base + 64 * MIB)).toBeUndefined()
  })

  it('keeps the address bits above the new size, and clears those below', () => {
    const { write, read } = withGpu()
    write(0x10, 0x7000_0000)
    write(0x14, 0x9)
    write(CONTROL, size(13))
    expect([read(0x10), read(0x14)]).toEqual([0xc, 0x8])
  })

  it('is not changed to a size that Resizable BAR Capability lacks', () => {
    const { write, read } = withGpu()
    write(CONTROL, size(7))
    expect(read(CONTROL)).toBe(size(8) | (1 << 5))
    write(CONTROL, size(40))
    expect(read(CONTROL)).toBe(size(8) | (1 << 5))
  })

  it('is not changed while Memory Space Enable is set', () => {
    const { write, read } = withGpu()
    write(0x04, 2, 0xffff)
    write(CONTROL, size(6))
    expect(read(CONTROL)).toBe(size(8) | (1 << 5))
    write(0x04, 0, 0xffff)
    write(CONTROL, size(6))
    expect(read(CONTROL)).toBe(size(6) | (1 << 5))
  })

  it('is the first one again after a reset of the function', () => {
    const { fn, write, read } = withGpu()
    write(CONTROL, size(6))
    fn.reset('functionLevel')
    expect(read(CONTROL)).toBe(size(8) | (1 << 5))
    expect(fn.barSize(0)).toBe(256 * MIB)
  })

  it('outlives save and load', () => {
    const one = withGpu()
    one.write(CONTROL, size(6))
    const other = withGpu()
    other.fn.load(one.fn.save())
    expect(other.fn.barSize(0)).toBe(64 * MIB)
  })
})
