import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PageAllocator } from '../../src/host/page-allocator.ts'

const fresh = (): PageAllocator =>
  new PageAllocator([
    { first: 0x300, pages: 100 },
    { first: 0x100, pages: 64 },
  ])

describe('PageAllocator', () => {
  it('takes the lowest run that fits', () => {
    const allocator = fresh()
    expect(allocator.allocate(1)).toBe(0x100)
    expect(allocator.allocate(64)).toBe(0x300)
    expect(allocator.allocate(1)).toBe(0x101)
  })

  it('aligns the first page', () => {
    const allocator = fresh()
    allocator.allocate(1)
    expect(allocator.allocate(16, 16)).toBe(0x110)
    expect(allocator.allocate(8, 1)).toBe(0x101)
  })

  it('refuses what no single run holds, and stays as it was', () => {
    const allocator = fresh()
    const before = allocator.save()
    expect(() => allocator.allocate(101)).toThrow(/no 101 contiguous pages/)
    expect(allocator.save()).toEqual(before)
  })

  it('gives a page back once', () => {
    const allocator = fresh()
    const page = allocator.allocate(4)
    allocator.free(page, 4)
    expect(() => allocator.free(page, 1)).toThrow(/freed once/)
  })

  it('never hands a page out twice, and freeing everything restores it', () => {
    const action = fc.record({
      pages: fc.integer({ min: 1, max: 20 }),
      align: fc.constantFrom(1, 2, 8, 16),
      freeOne: fc.option(fc.nat(50), { nil: undefined }),
    })
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), actions => {
        const allocator = fresh()
        const before = allocator.save()
        const held: { first: number; pages: number }[] = []
        const taken = new Set<number>()
        for (const { pages, align, freeOne } of actions) {
          if (freeOne !== undefined && held.length > 0) {
            const [run] = held.splice(freeOne % held.length, 1)
            allocator.free(run!.first, run!.pages)
            for (let i = 0; i < run!.pages; i++) taken.delete(run!.first + i)
            continue
          }
          let first: number
          try {
            first = allocator.allocate(pages, align)
          } catch {
            continue
          }
          expect(first % align).toBe(0)
          for (let page = first; page < first + pages; page++) {
            expect(taken.has(page)).toBe(false)
            expect((page >= 0x100 && page < 0x140) || (page >= 0x300 && page < 0x364)).toBe(true)
            taken.add(page)
          }
          held.push({ first, pages })
          expect(allocator.freePages).toBe(164 - taken.size)
        }
        for (const { first, pages } of held) allocator.free(first, pages)
        expect(allocator.save()).toEqual(before)
      }),
    )
  })
})
