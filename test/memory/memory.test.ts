import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type MmioTarget, PhysicalMemory, SystemAddressMap } from '../../src/memory/index.ts'

const GiB = 2 ** 30
const TiB = 2 ** 40

const make = () =>
  new PhysicalMemory([
    { base: 0, size: 2 * GiB },
    { base: 4 * GiB, size: 4 * TiB },
  ])

describe('physical memory', () => {
  it('reads as zero before it is written, and costs nothing until then', () => {
    const memory = make()
    expect(memory.readDword(3 * TiB)).toBe(0)
    expect(memory.populatedPages).toBe(0)
    memory.writeDword(3 * TiB, 7)
    expect(memory.readDword(3 * TiB)).toBe(7)
    expect(memory.populatedPages).toBe(1)
  })

  it('does not answer where there is no RAM', () => {
    const memory = make()
    expect(memory.readDword(2 * GiB)).toBeUndefined()
    expect(memory.writeDword(4 * GiB - 4, 1)).toBe(false)
    expect(memory.page(2 ** 40 - 1)).toBeUndefined()
  })

  it('writes nothing of a block that is partly outside', () => {
    const memory = make()
    expect(memory.write(2 * GiB - 2, Uint8Array.of(1, 2, 3, 4))).toBe(false)
    expect(memory.readDword(2 * GiB - 4)).toBe(0)
  })

  it('holds what was written, byte by byte, across pages and above 4 GiB', () => {
    const near = (base: number) => fc.integer({ min: 0, max: 3 * 4096 }).map(offset => base + offset)
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.oneof(near(0), near(4 * GiB), near(TiB)),
            fc.uint8Array({ minLength: 1, maxLength: 300 }),
          ),
        ),
        writes => {
          const memory = make()
          const reference = new Map<number, number>()
          for (const [address, bytes] of writes) {
            memory.write(address, bytes)
            for (const [i, byte] of bytes.entries()) reference.set(address + i, byte)
          }
          const one = new Uint8Array(1)
          for (const [address, byte] of reference) {
            memory.read(address, one)
            expect(one[0]).toBe(byte)
          }
        },
      ),
    )
  })

  it('never lets two addresses share a page', () => {
    const memory = make()
    const pages = [0, 1, 0x7ffff, 0x100000, 0x100001, 0x200000, 0x10000000, 0x10000000 + 1024]
    for (const [i, page] of pages.entries()) memory.writeDword(page * 4096, i + 1)
    expect(pages.map(page => memory.readDword(page * 4096))).toEqual(pages.map((_, i) => i + 1))
  })

  it('clears whole pages, the touched ones only, and none if one is not RAM', () => {
    const memory = make()
    const pages = [5, 6, 1023, 1024, 0x100000, 0x100001]
    for (const page of pages) memory.writeDword(page * 4096 + 4, 9)
    expect(memory.zeroPages(0x7ffff, 2)).toBe(false)
    expect(memory.zeroPages(6, 1018)).toBe(true)
    expect(memory.zeroPages(0x100001, 0x1000_0000)).toBe(true)
    expect(pages.filter(page => memory.readDword(page * 4096 + 4) === 9)).toEqual([5, 1024, 0x100000])
    expect(memory.populatedPages).toBe(pages.length)
  })

  it('is restored from what it saved', () => {
    const memory = make()
    memory.writeDword(5 * GiB + 8, 0xdead_beef)
    const other = make()
    other.writeDword(0, 1)
    other.load(memory.save())
    expect(other.readDword(5 * GiB + 8)).toBe(0xdead_beef)
    expect(other.readDword(0)).toBe(0)
  })

  it('can be backed by a foreign buffer', () => {
    const memory = make()
    const foreign = new ArrayBuffer(8192)
    memory.adopt(5, foreign, 4096)
    memory.writeDword(5 * 4096, 0x1234_5678)
    expect(new DataView(foreign).getUint32(4096, true)).toBe(0x1234_5678)
  })
})

describe('the system address map', () => {
  const registers = (): MmioTarget & { log: string[] } => {
    const log: string[] = []
    return {
      log,
      readDword: offset => offset + 1,
      writeDword: (offset, value, lanes) => log.push(`write ${offset} ${value} ${lanes >>> 0}`),
    }
  }

  it('finds the window that contains an address', () => {
    const map = new SystemAddressMap(make())
    const a = registers()
    const b = registers()
    map.add({ name: 'b', base: 0xfed9_0000, size: 4096, target: b })
    map.add({ name: 'a', base: 0xfec0_0000, size: 4096, target: a })
    expect(map.readDword(0xfed9_0008)).toBe(9)
    map.writeDword(0xfec0_0ffc, 5, 0xff)
    expect(a.log).toEqual(['write 4092 5 255'])
    expect(map.windowAt(0xfed9_1000)).toBeUndefined()
  })

  it('reads all ones where nothing answers, and loses writes there', () => {
    const map = new SystemAddressMap(make())
    expect(map.readDword(0x9000_0000)).toBe(0xffff_ffff)
    map.writeDword(0x9000_0000, 1)
    expect(map.readDword(0x9000_0000)).toBe(0xffff_ffff)
  })

  it('refuses windows that overlap', () => {
    const map = new SystemAddressMap(make())
    map.add({ name: 'a', base: 0xfed9_0000, size: 8192, target: registers() })
    expect(() => map.add({ name: 'b', base: 0xfed9_1000, size: 4096, target: registers() })).toThrow(
      'b overlaps a',
    )
    expect(() => map.add({ name: 'c', base: 0x1000, size: 4096, target: registers() })).toThrow(
      'c overlaps RAM',
    )
  })
})
