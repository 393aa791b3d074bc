import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AddressCache } from '../../src/timing/host-iommu/address-cache.ts'
import { AddressTree } from '../../src/timing/host-iommu/address-tree.ts'

const LIMIT = 4096
/** Take so many pages, or give back the n-th of those held. */
const commands = fc.array(
  fc.oneof(fc.record({ take: fc.constantFrom(1, 2, 4, 8) }), fc.record({ give: fc.nat() })),
  { maxLength: 300 },
)

interface Range {
  readonly page: number
  readonly pages: number
}

function play(
  all: readonly ({ readonly take: number } | { readonly give: number })[],
  take: (pages: number) => number,
  give: (range: Range) => void,
): Range[] {
  const held: Range[] = []
  for (const command of all) {
    if ('take' in command) {
      const page = take(command.take)
      if (page < 0) continue
      const end = page + command.take
      expect(page % command.take, 'aligned to its size').toBe(0)
      expect(end).toBeLessThanOrEqual(LIMIT)
      expect(
        held.every(other => end <= other.page || page >= other.page + other.pages),
        'nobody else has it',
      ).toBe(true)
      held.push({ page, pages: command.take })
    } else if (held.length > 0) {
      const [range] = held.splice(command.give % held.length, 1)
      give(range!)
    }
  }
  return held
}

describe('the tree of addresses', () => {
  it('never hands out what somebody has', () => {
    fc.assert(
      fc.property(commands, all => {
        const tree = new AddressTree(LIMIT)
        const held = play(
          all,
          pages => tree.allocate(pages),
          ({ page, pages }) => {
            expect(tree.free(page)).toBe(pages)
          },
        )
        expect(tree.used).toBe(held.length)
      }),
    )
  })

  it('begins at the top and goes downwards', () => {
    const tree = new AddressTree(LIMIT)
    expect([tree.allocate(1), tree.allocate(1), tree.allocate(4)]).toEqual([4095, 4094, 4088])
  })

  it('finds the only hole there is, wherever it is', () => {
    const tree = new AddressTree(64)
    for (let i = 0; i < 64; i++) tree.allocate(1)
    expect(tree.allocate(1)).toBe(-1)
    tree.free(17)
    expect(tree.allocate(1)).toBe(17)
  })

  it('goes past every range that lies between: a long search costs a visit for each', () => {
    const tree = new AddressTree(LIMIT)
    const pages = Array.from({ length: 1000 }, () => tree.allocate(1))
    // A hole too small at the top makes the search begin there.
    tree.free(pages[0]!)
    tree.allocate(2)
    expect(tree.visits).toBeGreaterThan(999)
  })
})

describe('the cache of addresses', () => {
  const SIZE = 4
  const DEPOT = 2

  it('never hands out what somebody has, whichever processor gave it back', () => {
    fc.assert(
      fc.property(commands, fc.infiniteStream(fc.integer({ min: 0, max: 2 })), (all, processors) => {
        const cache = new AddressCache(new AddressTree(LIMIT), SIZE, DEPOT)
        const processor = (): number => processors.next().value as number
        play(
          all,
          pages => cache.allocate(processor(), pages),
          ({ page, pages }) => cache.free(processor(), page, pages),
        )
      }),
    )
  })

  it('asks the tree only for what magazines and depot have not', () => {
    const cache = new AddressCache(new AddressTree(LIMIT), SIZE, DEPOT)
    const page = cache.allocate(0, 1)
    expect(cache.source).toBe('tree')
    cache.free(0, page, 1)
    expect(cache.source).toBe('magazine')
    expect(cache.allocate(0, 1)).toBe(page)
    expect(cache.source).toBe('magazine')
    expect(cache.allocate(1, 1)).not.toBe(page)
    expect(cache.source, 'the magazines of another processor are empty').toBe('tree')
  })

  it('gives full magazines to a processor that has none', () => {
    const tree = new AddressTree(LIMIT)
    const cache = new AddressCache(tree, SIZE, DEPOT)
    const pages = Array.from({ length: 3 * SIZE }, () => cache.allocate(0, 1))
    for (const page of pages) cache.free(0, page, 1)
    expect(pages).toContain(cache.allocate(1, 1))
    expect(cache.source).toBe('depot')
  })

  it('gives addresses back to the tree when the depot is full', () => {
    const tree = new AddressTree(LIMIT)
    const cache = new AddressCache(tree, SIZE, DEPOT)
    const pages = Array.from({ length: 40 }, () => cache.allocate(0, 1))
    for (const page of pages) cache.free(0, page, 1)
    // Two magazines of the processor and two of the depot are kept.
    expect(tree.used).toBeLessThanOrEqual(4 * SIZE)
  })
})
