import { describe, expect, test } from 'vitest'
import { GuestMemory, memoryRanges } from '../../src/hypervisor/guest-memory.ts'
import { memoryMachine } from './memory-machine.ts'

const MIB = 2 ** 20

test('guest memory lies from 0 up to 3 GiB and continues at 4 GiB', () => {
  expect(memoryRanges(512 * MIB)).toEqual([{ base: 0, size: 512 * MIB }])
  expect(memoryRanges(5 * 1024 * MIB)).toEqual([
    { base: 0, size: 0xc000_0000 },
    { base: 0x1_0000_0000, size: 0x8000_0000 },
  ])
})

describe('allocation', () => {
  test('one aligned extent when the host has one', () => {
    const { machine, allocator } = memoryMachine(64)
    const memory = new GuestMemory(machine, allocator, 16 * MIB)
    expect(memory.runs).toEqual([{ guestPage: 0, hostPage: 4096, pages: 4096 }])
  })

  test('a fragmented host gives what it has, and gets all of it back', () => {
    const { machine, allocator } = memoryMachine(32)
    const held: number[] = []
    while (allocator.freePages > 0) held.push(allocator.allocate(1))
    for (const page of held.filter(page => page % 7 !== 0)) allocator.free(page, 1)
    const before = allocator.save()
    const memory = new GuestMemory(machine, allocator, 2 * MIB)
    expect(memory.runs.reduce((sum, { pages }) => sum + pages, 0)).toBe(512)
    let next = 0
    for (const { guestPage, pages } of memory.runs) {
      expect(guestPage).toBe(next)
      next += pages
    }
    memory.write(4090, new Uint8Array(5000).fill(0xa5))
    expect(memory.read(4090, 5000)).toEqual(new Uint8Array(5000).fill(0xa5))
    memory.free()
    expect(allocator.save()).toEqual(before)
  })

  test('too little host memory is refused with nothing taken', () => {
    const { machine, allocator } = memoryMachine(32)
    const before = allocator.save()
    expect(() => new GuestMemory(machine, allocator, 17 * MIB)).toThrow(/4352 pages .* 4096 pages/)
    expect(allocator.save()).toEqual(before)
  })
})

describe('contents', () => {
  test('the guest finds zeros, whoever had the pages before; untouched host pages stay unmade', () => {
    const { machine, allocator, memory: host } = memoryMachine(64)
    const memory = new GuestMemory(machine, allocator, 8 * MIB)
    memory.write(3 * MIB + 5, Uint8Array.of(1, 2, 3))
    memory.write(8 * MIB - 1, Uint8Array.of(9))
    const made = host.populatedPages
    memory.zero()
    expect([...host.contents()]).toEqual([])
    expect(host.populatedPages).toBe(made)
  })

  test.each([
    [-1, 4],
    [0, 0],
    [8 * MIB - 1, 2],
    [8 * MIB, 1],
    [0.5, 1],
  ])('address %d with length %d is refused', (address, length) => {
    const { machine, allocator } = memoryMachine(64)
    const memory = new GuestMemory(machine, allocator, 8 * MIB)
    expect(() => memory.read(address, length)).toThrow(expect.objectContaining({ code: 'invalidArgument' }))
  })
})
