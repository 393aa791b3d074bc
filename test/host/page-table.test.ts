import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PageTable } from '../../src/host/iommu/page-table.ts'
import { PageAllocator } from '../../src/host/page-allocator.ts'
import { TableMemory } from '../../src/host/table-memory.ts'
import { PhysicalMemory } from '../../src/memory/index.ts'
import type { MachinePort } from '../../src/platform/machine-port.ts'

/** RAM alone, behind the machine port. */
function ram(): { memory: PhysicalMemory; tables: TableMemory; allocator: PageAllocator } {
  const memory = new PhysicalMemory([{ base: 0, size: 0x200_0000 }])
  const port = {
    readDword: (address: number) => memory.readDword(address)! >>> 0,
    writeDword: (address: number, value: number) => void memory.writeDword(address, value),
    readBytes: (address: number, target: Uint8Array) => memory.read(address, target),
    writeBytes: (address: number, source: Uint8Array) => memory.write(address, source),
    zeroPages: (first: number, count: number) => memory.zeroPages(first, count),
  } as unknown as MachinePort
  const allocator = new PageAllocator([{ first: 0x100, pages: 0x1000 }])
  return { memory, allocator, tables: new TableMemory(port, allocator) }
}

interface Walked {
  readonly page: bigint
  readonly rights: bigint
  readonly leaf: number
}

/** "Second-Stage Translation", step by step, in 64-bit integers. */
function walk(memory: PhysicalMemory, root: number, levels: number, page: bigint): Walked | undefined {
  let table = BigInt(root)
  let rights = 3n
  for (let level = levels; ; level--) {
    const index = (page >> BigInt(9 * (level - 1))) & 511n
    const at = Number(table * 4096n + index * 8n)
    const entry = (BigInt(memory.readDword(at + 4)! >>> 0) << 32n) | BigInt(memory.readDword(at)! >>> 0)
    rights &= entry & 3n
    if ((entry & 3n) === 0n) return undefined
    expect(entry & 0x7ff0_0000_0000_0f7cn).toBe(0n)
    const address = (entry >> 12n) & 0xff_ffff_ffffn
    if (level === 1 || (entry & 0x80n) !== 0n) {
      const within = page & ((1n << BigInt(9 * (level - 1))) - 1n)
      expect(address & ((1n << BigInt(9 * (level - 1))) - 1n)).toBe(0n)
      return { page: address + within, rights, leaf: level }
    }
    table = address
  }
}

describe('second-stage tables', () => {
  it.each([3, 4, 5])('of %d levels reach 2^AGAW', levels => {
    const { tables } = ram()
    expect(new PageTable(tables, levels, 1).reach).toBe(2 ** (9 * levels))
  })

  it('use the largest leaves that address, target and length allow', () => {
    const { memory, tables } = ram()
    const table = new PageTable(tables, 4, 3)
    const gigabyte = 512 * 512
    const start = 3 * gigabyte - 513
    const reserved = table.reserve(start, 7 * gigabyte - 513, gigabyte + 513)
    table.map(start, 7 * gigabyte - 513, gigabyte + 513, { read: true, write: true }, reserved)
    const leafAt = (page: number) => walk(memory, table.root, 4, BigInt(page))?.leaf
    expect(leafAt(start)).toBe(1)
    expect(leafAt(start + 1)).toBe(2)
    expect(leafAt(3 * gigabyte)).toBe(3)
    expect(leafAt(4 * gigabyte - 1)).toBe(3)
    expect(leafAt(4 * gigabyte)).toBeUndefined()
  })

  it('never use a leaf that the unit does not walk', () => {
    const { memory, tables } = ram()
    const table = new PageTable(tables, 3, 1)
    table.map(0, 0x4000, 1024, { read: true, write: false }, table.reserve(0, 0x4000, 1024))
    expect(walk(memory, table.root, 3, 512n)).toEqual({ page: 0x4200n, rights: 1n, leaf: 1 })
  })

  it('take every page for tables before the first entry changes', () => {
    const { memory, allocator, tables } = ram()
    const table = new PageTable(tables, 4, 1)
    const before = memory.save()
    const rest = allocator.freePages
    allocator.allocate(rest - 2)
    expect(() => table.reserve(0x40000, 0, 1)).toThrow(/no 1 contiguous pages/)
    expect(allocator.freePages).toBe(2)
    expect(memory.save()).toEqual(before)
  })

  it('translate as a naive walk of them does, and leave nothing behind', () => {
    const region = fc.record({
      gap: fc.integer({ min: 0, max: 1200 }),
      pages: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(512, 513, 1024, 1536)),
      host: fc.oneof(fc.integer({ min: 0, max: 2 ** 32 }), fc.constantFrom(0x200, 0x40_0000, 2 ** 39 + 512)),
      read: fc.boolean(),
      drop: fc.boolean(),
    })
    const shape = fc.record({ levels: fc.constantFrom(3, 4), largestLeaf: fc.constantFrom(1, 2, 3) })
    fc.assert(
      fc.property(
        fc.array(region, { minLength: 1, maxLength: 6 }),
        shape,
        fc.nat(2000),
        (regions, how, start) => {
          const { memory, allocator, tables } = ram()
          const before = { memory: memory.save(), free: allocator.save() }
          const table = new PageTable(tables, how.levels, how.largestLeaf)
          const mapped: { first: number; host: number; pages: number; rights: bigint }[] = []
          let at = start
          for (const { gap, pages, host, read } of regions) {
            at += gap
            const rights = { read, write: true }
            const reserved = table.reserve(at, host, pages)
            table.map(at, host, pages, rights, reserved)
            expect(reserved).toEqual([])
            mapped.push({ first: at, host, pages, rights: read ? 3n : 2n })
            at += pages
          }
          for (const [i, { drop }] of [...regions].entries()) {
            if (!drop) continue
            const { first, pages } = mapped[i]!
            table.giveBack(table.unmap(first, pages))
            mapped[i] = { ...mapped[i]!, pages: 0 }
          }
          for (let page = Math.max(0, start - 3); page < at + 3; page += 13 + (page % 7)) {
            const expected = mapped.find(({ first, pages }) => page >= first && page < first + pages)
            const found = walk(memory, table.root, how.levels, BigInt(page))
            if (expected === undefined) expect(found).toBeUndefined()
            else {
              expect(found?.page).toBe(BigInt(expected.host + page - expected.first))
              expect(found?.rights).toBe(expected.rights)
              expect(found?.leaf).toBeLessThanOrEqual(how.largestLeaf)
            }
          }
          for (const { first, pages } of mapped) if (pages > 0) table.giveBack(table.unmap(first, pages))
          expect(table.tables).toBe(1)
          table.destroy()
          expect(allocator.save()).toEqual(before.free)
          expect(memory.save()).toEqual(before.memory)
        },
      ),
      { numRuns: 30 },
    )
  })
})
