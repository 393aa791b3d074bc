import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RequesterId } from '../../src/core/index.ts'
import { machineCosts } from '../../src/timing/costs/cost-file.ts'
import { type PageSize, Remapping } from '../../src/timing/remapping/remapping.ts'
import { Translator } from '../../src/timing/remapping/translator.ts'
import { Walks } from '../../src/timing/remapping/walks.ts'
import { EventQueue } from '../../src/timing/resources/event-queue.ts'

const FUNCTIONS = [0x100, 0x101, 0x102] as RequesterId[]
const MAPPED = 4096

/** A unit with few entries, and functions of which the last has no tables. */
function smallUnit(pageSize: PageSize) {
  const costs = { ...machineCosts('default'), iotlbEntries: 4, iotlbWays: 2 }
  const remapping = new Remapping(costs, new EventQueue())
  const spaces = FUNCTIONS.slice(0, 2).map(() => remapping.createSpace(pageSize))
  for (const [i, requester] of FUNCTIONS.entries()) remapping.attach(requester, spaces[i])
  for (const space of spaces) remapping.map(space, 0, MAPPED)
  return { remapping, spaces }
}

const access = fc.record({
  requester: fc.integer({ min: 0, max: FUNCTIONS.length - 1 }),
  page: fc.integer({ min: 0, max: MAPPED - 1 }),
  write: fc.boolean(),
  next: fc.constantFrom('nothing', 'nothing', 'nothing', 'invalidatePages', 'invalidateSpace', 'remap'),
})

describe('a translator', () => {
  it('tells what the unit would have read if it had been asked each time', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('4KiB' as const, '2MiB' as const),
        fc.array(access, { minLength: 1, maxLength: 200 }),
        (pageSize, accesses) => {
          const asked = smallUnit(pageSize)
          const other = smallUnit(pageSize)
          const translators = FUNCTIONS.map(requester =>
            [false, true].map(write => new Translator(other.remapping, requester, write)),
          )
          for (const { requester, page, write, next } of accesses) {
            const reads = translators[requester]![Number(write)]!.translate(page, 0)
            expect(reads).toBe(asked.remapping.translate(FUNCTIONS[requester]!, page, write, 0))
            for (const { remapping, spaces } of [asked, other]) {
              const space = spaces[requester]
              if (space === undefined) continue
              if (next === 'invalidatePages') remapping.invalidatePages(space, page, 1, false)
              if (next === 'invalidateSpace') remapping.invalidateSpace(space)
              if (next === 'remap' && pageSize === '4KiB') {
                const emptied = remapping.unmap(space, page, 1)
                remapping.invalidatePages(space, page, 1, false)
                remapping.release(emptied)
                remapping.map(space, page, 1)
              }
            }
          }
          expect(other.remapping.misses).toBe(asked.remapping.misses)
        },
      ),
    )
  })
})

describe('walks', () => {
  it('are counted when they begin, however long before they are told of', () => {
    const events = new EventQueue()
    const walks = new Walks(events)
    walks.add(4, 0)
    walks.add(1, 5)
    walks.add(2, 10)
    expect([walks.atLeast(1), walks.reads]).toEqual([1, 4])
    events.run(5)
    expect([walks.atLeast(1), walks.atLeast(2), walks.reads]).toEqual([2, 1, 5])
    walks.restart()
    events.run(20)
    expect([walks.atLeast(1), walks.reads]).toEqual([1, 2])
  })
})
