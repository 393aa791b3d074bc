import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Block, misplaced, place } from '../../src/firmware/placement.ts'

const block = fc.record({
  size: fc.integer({ min: 1, max: 0x4000 }),
  alignment: fc.integer({ min: 0, max: 13 }).map(shift => 2 ** shift),
})

const overlaps = (blocks: readonly Block[], addresses: readonly (number | undefined)[]): boolean =>
  blocks.some((a, i) =>
    blocks.some(
      (b, j) =>
        i < j &&
        addresses[i] !== undefined &&
        addresses[j] !== undefined &&
        addresses[i]! < addresses[j]! + b.size &&
        addresses[j]! < addresses[i]! + a.size,
    ),
  )

describe('Placing blocks of addresses', () => {
  it('keeps every block in its range, aligned, and apart from all others', () => {
    fc.assert(
      fc.property(
        fc.array(block, { maxLength: 24 }),
        fc.array(fc.integer({ min: 0, max: 0x3f }), { maxLength: 4 }),
        fc.integer({ min: 0, max: 0x4_0000 }),
        (flexible, fixedAt, span) => {
          const range = { base: 0x1_0000, limit: 0x1_0000 + span }
          const fixed = fixedAt.map(slot => ({
            size: 0x800,
            alignment: 0x800,
            fixed: 0x1_0000 + slot * 0x800,
          }))
          const unfit = new Set(misplaced(fixed, [range]))
          const blocks: Block[] = [...fixed.filter(one => !unfit.has(one)), ...flexible]
          const addresses = place(blocks, range)
          expect(overlaps(blocks, addresses)).toBe(false)
          for (const [i, { size, alignment, fixed: wanted }] of blocks.entries()) {
            const address = addresses[i]
            if (wanted !== undefined) expect(address).toBe(wanted)
            if (address === undefined) continue
            expect(address % alignment).toBe(0)
            expect(address).toBeGreaterThanOrEqual(range.base)
            expect(address + size - 1).toBeLessThanOrEqual(range.limit)
          }
        },
      ),
    )
  })

  it('finds room for everything that fits when sizes are powers of two and no address is fixed', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 10 }), { maxLength: 40 }), shifts => {
        const blocks = shifts.map(shift => ({ size: 2 ** shift, alignment: 2 ** shift }))
        const total = blocks.reduce((sum, { size }) => sum + size, 0)
        expect(place(blocks, { base: 0, limit: total - 1 })).not.toContain(undefined)
      }),
    )
  })

  it('uses gaps between fixed blocks', () => {
    const blocks = [
      { size: 0x1000, alignment: 0x1000, fixed: 0x2000 },
      { size: 0x1000, alignment: 0x1000, fixed: 0x4000 },
      { size: 0x1000, alignment: 0x1000 },
      { size: 0x2000, alignment: 0x2000 },
    ]
    expect(place(blocks, { base: 0x2000, limit: 0x7fff })).toEqual([0x2000, 0x4000, 0x3000, 0x6000])
  })

  it('gives up fixed addresses that are unaligned, out of range, or taken by an earlier block', () => {
    const kept = { size: 0x1000, alignment: 0x1000, fixed: 0x2000 }
    const unaligned = { size: 0x1000, alignment: 0x1000, fixed: 0x3800 }
    const outside = { size: 0x1000, alignment: 0x1000, fixed: 0x9000 }
    const taken = { size: 0x10, alignment: 0x10, fixed: 0x2ff0 }
    expect(misplaced([kept, unaligned, outside, taken], [{ base: 0x1000, limit: 0x7fff }])).toEqual([
      unaligned,
      outside,
      taken,
    ])
  })
})
