/**
 * Prices of the fabric: what machines of 65,536 functions take to build and hold. Run by `npm run bench -- pcie`.
 */

import { measure, report } from './measure.ts'
import { type BuildPrice, priceOf } from './pcie/build.ts'
import { alike, distinct, segmented } from './pcie/machines.ts'
import { heapPerRequest, routing } from './pcie/routing.ts'

const count = (value: number): string => Math.round(value).toLocaleString('en')

function show(name: string, { functions, parse, build, reset, resident }: BuildPrice): void {
  console.log(
    `${count(functions).padStart(6)} functions, ${name}: document ${count(parse)} ms, build ${count(build)} ms, ` +
      `reset ${count(reset)} ms, ${count(resident)} bytes per function beyond its configuration space`,
  )
}

// 8 segments of 248 root ports with 32 functions each, and a tenth of that beside it.
show('one data sheet', priceOf(segmented(1, 26, alike)))
show('one data sheet', priceOf(segmented(8, 32, alike)))
show('every image its own', priceOf(segmented(1, 26, distinct)))
show('every image its own', priceOf(segmented(8, 32, distinct)))

console.log('\nrouting beside many, at random places')
report(measure(routing()))
const REQUESTS = 1_000_000
console.log(`${heapPerRequest(REQUESTS).toFixed(3)} bytes of heap per request routed`)
