/**
 * `npm run fuzz -- --requests 20000 --seed 1`: sends a server what its contract describes and what it does not, as two teams.
 * Ends with the first answer that no client may get.
 */
import { parseArgs } from 'node:util'
import { fuzz } from '../test/api/fuzz/fuzzer.ts'

const { values } = parseArgs({
  options: { requests: { type: 'string', default: '20000' }, seed: { type: 'string', default: '1' } },
})
const begin = performance.now()
const report = await fuzz({
  requests: Number(values.requests),
  seed: Number(values.seed),
  progress: text => console.log(text),
})
const seconds = Math.round((performance.now() - begin) / 1000)
const { statuses, slowest, memoryMiB, operations, neverDone, neverRefused } = report
console.log(
  `${report.requests} requests to ${operations} operations in ${seconds} s: no 5xx, no hang, no leak`,
)
console.log(
  `statuses: ${Object.entries(statuses)
    .map(([status, count]) => `${status} × ${count}`)
    .join(', ')}`,
)
console.log(`slowest: ${slowest.operation}, ${Math.round(slowest.milliseconds)} ms`)
console.log(`memory at each quarter: ${memoryMiB.join(', ')} MiB`)
console.log(
  `never done: ${neverDone.join(', ') || 'none'}; never refused: ${neverRefused.join(', ') || 'none'}`,
)

// The first quarter warms up: schemas are compiled, functions are optimised.
const [, half = 0, , end = 0] = memoryMiB
const grown = end > half * 1.15 + 8
if (grown) console.error(`memory has grown from ${half} to ${end} MiB`)
process.exitCode = grown ? 1 : 0
