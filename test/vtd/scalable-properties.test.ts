import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { outcomes, type ScalableAnswer, type ScalableRequest } from './scalable-model.ts'
import { ScalableWorld } from './scalable-world.ts'

const seeds = fc.integer({ min: 0, max: 0x7fff_ffff })

const plain = ({ address, reason, suppressed }: Partial<ScalableAnswer>) =>
  reason === undefined ? { address } : { reason, suppressed }

/** What the model says of the tables as they are. */
const truths = (world: ScalableWorld, request: ScalableRequest) =>
  outcomes(world.model, request, world.present)!

describe('against the reference model, in scalable mode', () => {
  test('with every change invalidated, caches never show, and entries are marked as the model marks them', () => {
    fc.assert(
      fc.property(seeds, seed => {
        const world = new ScalableWorld(seed, { CM: seed % 2 })
        for (let step = 0; step < 8; step++) {
          world.mutate()
          world.invalidateEverything()
          for (let i = 0; i < 6; i++) {
            const first = world.request()
            // The other way in between: what a read left in the caches is no licence to write.
            const other = { ...first, write: !first.write, execute: false }
            for (const request of [first, other, first]) {
              const expected = truths(world, request)
              const before = world.entries()
              const answer = world.ask(request)
              expect(expected.map(plain)).toContainEqual(plain(answer))
              const changed = [...world.entries()].filter(([address, value]) => before.get(address) !== value)
              const possible = expected
                .filter(({ address, reason }) => address === answer.address && reason === answer.reason)
                .map(({ updates }) => [...updates].sort(([a], [b]) => Number(a - b)))
              expect(possible).toContainEqual(changed.sort(([a], [b]) => Number(a - b)))
            }
          }
        }
      }),
      { numRuns: 50 },
    )
  })

  test('without invalidation, every answer is one that was true since the last one', () => {
    fc.assert(
      fc.property(seeds, seed => {
        const world = new ScalableWorld(seed)
        for (let step = 0; step < 20; step++) {
          if (world.chance(60)) world.mutate()
          else if (world.chance(15)) world.invalidateEverything()
          const request = world.request()
          const possible = outcomes(world.model, request, world.versions)?.map(plain)
          for (let again = 0; again < 2; again++) {
            const answer = plain(world.ask(request))
            if (possible !== undefined) expect(possible).toContainEqual(answer)
          }
        }
      }),
      { numRuns: 40 },
    )
  })

  test('what an invalidation covers is fresh, whatever its granularity', () => {
    fc.assert(
      fc.property(seeds, seed => {
        const world = new ScalableWorld(seed, { CM: seed % 2 })
        for (let step = 0; step < 15; step++) {
          world.invalidateEverything()
          const request = world.request()
          for (let i = 0; i < 3; i++) world.ask(i === 2 ? request : world.request())
          const stages = world.pick([['first'], ['second'], ['first', 'second']] as const)
          for (let i = 0; i < 8; i++) world.mutatePaging(world.pick(stages))
          world.invalidateFor(
            request,
            stages.some(stage => stage === 'second'),
          )
          const possible = truths(world, request).map(plain)
          expect(possible).toContainEqual(plain(world.ask(request)))
        }
      }),
      { numRuns: 60 },
    )
  })
})
