import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ExtendedPageTable } from '../../src/hypervisor/extended-page-table.ts'
import { HostPages } from '../../src/hypervisor/host-pages.ts'
import { eptPointer } from '../../src/hypervisor/vmcs.ts'
import type { PhysicalMemory } from '../../src/memory/index.ts'
import { memoryMachine } from './memory-machine.ts'

/** "EPT Translation Mechanism", read slowly: 48-bit guest-physical address to host-physical, or undefined. */
function walk(memory: PhysicalMemory, root: number, address: bigint) {
  let table = BigInt(root) << 12n
  for (const shift of [39n, 30n, 21n, 12n]) {
    const at = Number(table + ((address >> shift) & 511n) * 8n)
    const entry = (BigInt(memory.readDword(at + 4)!) << 32n) | BigInt(memory.readDword(at)!)
    if ((entry & 7n) === 0n) return undefined
    expect(entry & 7n).toBe(7n)
    const frame = entry & 0x000f_ffff_ffff_f000n
    if (shift === 12n || (entry & 0x80n) !== 0n) {
      const within = address & ((1n << shift) - 1n)
      expect(frame & ((1n << shift) - 1n)).toBe(0n)
      return { host: frame | within, type: Number((entry >> 3n) & 7n), size: 1n << shift }
    }
    // Bits 6:3 and 7 of an entry that references a table are reserved.
    expect(entry & 0xf8n).toBe(0n)
    table = frame
  }
}

function make(mebibytes = 64) {
  const parts = memoryMachine(mebibytes)
  const free = parts.allocator.freePages
  const ept = new ExtendedPageTable(parts.machine, new HostPages(parts.machine, parts.allocator))
  return { ...parts, free, ept }
}

test('a 2-MiB leaf maps what both sides align, 4-KiB leaves the rest', () => {
  const { memory, ept } = make()
  ept.map(0x1ff, 0x5_01ff, 0x402, 'WB')
  expect(walk(memory, ept.root, 0x1f_f123n)).toEqual({ host: 0x501f_f123n, type: 6, size: 4096n })
  expect(walk(memory, ept.root, 0x20_0000n)).toEqual({ host: 0x5020_0000n, type: 6, size: 0x20_0000n })
  expect(walk(memory, ept.root, 0x5f_ffffn)).toEqual({ host: 0x505f_ffffn, type: 6, size: 0x20_0000n })
  expect(walk(memory, ept.root, 0x60_0000n)).toEqual({ host: 0x5060_0000n, type: 6, size: 4096n })
  expect(walk(memory, ept.root, 0x60_1000n)).toBeUndefined()
})

test('device memory is uncacheable, and high addresses keep every bit', () => {
  const { memory, ept } = make()
  ept.map((0x7f_ffff_ffff / 0x1000) | 0, 0xa_bcde_f123, 1, 'UC')
  const page = BigInt((0x7f_ffff_ffff / 0x1000) | 0)
  expect(walk(memory, ept.root, page << 12n)).toEqual({ host: 0xabc_def1_2300_0n, type: 0, size: 4096n })
})

test('random maps and unmaps translate as a plain table of pages does, and give every table back', () => {
  const ranges = fc.array(
    fc.record({
      slot: fc.integer({ min: 0, max: 5 }),
      start: fc.integer({ min: 0, max: 700 }),
      pages: fc.integer({ min: 1, max: 1300 }),
      hostSkew: fc.constantFrom(0, 0, 1, 511),
    }),
    { minLength: 1, maxLength: 12 },
  )
  fc.assert(
    fc.property(ranges, steps => {
      const { memory, ept, allocator, free } = make(32)
      const reference = new Map<number, number>()
      const mapped = new Map<number, { first: number; pages: number }>()
      for (const { slot, start, pages, hostSkew } of steps) {
        const present = mapped.get(slot)
        if (present) {
          ept.unmap(present.first, present.pages)
          for (let i = 0; i < present.pages; i++) reference.delete(present.first + i)
          mapped.delete(slot)
        } else {
          const first = slot * 0x3_ffff_f + start
          const host = 0x10_0000 + slot * 4096 + start + hostSkew
          ept.map(first, host, pages, 'WB')
          for (let i = 0; i < pages; i++) reference.set(first + i, host + i)
          mapped.set(slot, { first, pages })
        }
        for (let slot = 0; slot < 6; slot++) {
          for (const page of [0, 1, 511, 512, 700, 1023, 1024, 1999]) {
            const guest = slot * 0x3_ffff_f + page
            const found = walk(memory, ept.root, BigInt(guest) << 12n)
            const expected = reference.get(guest)
            expect(found && Number(found.host >> 12n)).toBe(expected)
          }
        }
      }
      ept.destroy()
      expect(allocator.freePages).toBe(free)
      expect([...memory.contents()]).toEqual([])
    }),
    { numRuns: 30 },
  )
})

test('a map that runs out of host memory leaves nothing mapped and no table behind', () => {
  const { memory, machine, allocator, ept } = make(17)
  while (allocator.freePages > 2) allocator.allocate(1)
  expect(() => ept.map(0, 0x10_0000, 3 * 512 + 1, 'WB')).toThrow(/host memory/)
  expect(walk(memory, ept.root, 0n)).toBeUndefined()
  expect(allocator.freePages).toBe(2)
  expect(machine.readDword(ept.root * 4096)).toBe(0)
})

test('EPTP: write-back, a walk of four levels, no accessed and dirty flags', () => {
  expect(eptPointer(0x12_3456)).toEqual([0x2345_601e, 0x1])
})
