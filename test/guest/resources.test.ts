import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AddressWindow, VectorSpace } from '../../src/guest/resources.ts'

describe('addresses', () => {
  test('lowest first, aligned to their size, reused when free', () => {
    const window = new AddressWindow({ base: 0xc000_0000, size: 0x10_0000 })
    expect(window.allocate(0x1000)).toBe(0xc000_0000)
    expect(window.allocate(0x4000)).toBe(0xc000_4000)
    expect(window.allocate(0x1000)).toBe(0xc000_1000)
    window.free(0xc000_0000)
    expect(window.allocate(0x80)).toBe(0xc000_0000)
    expect(window.allocate(0x10_0000)).toBeUndefined()
  })

  test('whatever is taken and given back, ranges never overlap and never leave the window', () => {
    const step = fc.record({ size: fc.constantFrom(0x80, 0x1000, 0x4000, 0x1_0000), free: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), steps => {
        const window = new AddressWindow({ base: 0x1_8000, size: 0x2_8000 })
        const held: { base: number; size: number }[] = []
        for (const { size, free } of steps) {
          const oldest = free ? held.shift() : undefined
          if (oldest) window.free(oldest.base)
          const base = window.allocate(size)
          if (base === undefined) continue
          expect(base % size).toBe(0)
          expect(base >= 0x1_8000 && base + size <= 0x4_0000).toBe(true)
          for (const other of held)
            expect(base + size <= other.base || other.base + other.size <= base).toBe(true)
          held.push({ base, size })
        }
      }),
    )
  })
})

describe('vectors', () => {
  test('runs start at the lowest free vector of the alignment', () => {
    const space = new VectorSpace(0x40, 0x4f)
    expect(space.allocate(3)).toBe(0x40)
    expect(space.allocate(4, 4)).toBe(0x44)
    expect(space.allocate(1)).toBe(0x43)
    expect(space.allocate(9)).toBe(-1)
    space.free(0x44, 4)
    expect(space.allocate(12)).toBe(0x44)
  })
})
