/**
 * Whatever is planned, applied, given, taken, pulled out, reset or broken, on whatever machine: no function has two
 * owners, no virtual machine reaches another's memory or vectors, a refused command has changed nothing, and the reason
 * of every refusal is true. `npm run property-campaign` takes thousands of sequences.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { emptyTally } from './assignment-world.ts'
import { run, sequence } from './sequences.ts'

const RUNS = Number(process.env['RUNS'] ?? 30)

it('keeps its promises under random commands and faults, on random machines', () => {
  const tally = emptyTally()
  fc.assert(
    fc.property(sequence, one => run(one, tally)),
    { numRuns: RUNS, endOnFailure: true },
  )
  // A run in which nothing was refused, broken or reached would have shown nothing.
  expect(tally.refusals).toBeGreaterThan(RUNS)
  expect(tally.faults).toBeGreaterThan(RUNS / 2)
  expect(tally.reached).toBeGreaterThan(RUNS)
  expect(tally.requests - tally.reached).toBeGreaterThan(RUNS * 100)
})
