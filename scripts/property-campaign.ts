/**
 * `npm run property-campaign -- --seed 7 --runs 2000`: the property test of assignment at length. Prints what was done,
 * and ends with the first sequence that breaks a promise, shrunk if `--shrink` is given.
 */
import { parseArgs } from 'node:util'
import fc from 'fast-check'
import { emptyTally } from '../test/properties/assignment-world.ts'
import { run, sequence } from '../test/properties/sequences.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    runs: { type: 'string', default: '2000' },
    shrink: { type: 'boolean', default: false },
  },
})
const seed = Number(values.seed)
const numRuns = Number(values.runs)
const tally = emptyTally()
const result = fc.check(
  fc.property(sequence, one => run(one, tally)),
  { seed, numRuns, endOnFailure: !values.shrink },
)
const text = Object.entries(tally).map(([what, count]) => `${count} ${what}`)
if (result.failed) {
  const error = result.errorInstance as Error
  console.error(error.stack)
  console.error(error.message)
  console.error(JSON.stringify(result.counterexample))
  console.error(`broken after ${result.numRuns} sequences (seed ${seed}): ${text.join(', ')}`)
  process.exitCode = 1
} else console.log(`${numRuns} sequences kept every promise (seed ${seed}): ${text.join(', ')}`)
