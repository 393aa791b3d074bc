/**
 * Prices of the remapping unit: medians of interleaved rounds, tables and buffers above 4 GiB. Run by
 * `npm run bench -- vtd`.
 */
import { type Contestant, measure, report } from './measure.ts'
import { eightDevices } from './vtd/devices.ts'
import { heapPerRequest } from './vtd/heap.ts'
import { randomLoads } from './vtd/random-loads.ts'
import { referenceWalker } from './vtd/reference.ts'
import { hits } from './vtd/scale.ts'
import { translations } from './vtd/translations.ts'

const { send } = eightDevices()
const wholeDma = (name: string, functions: number): Contestant => ({
  name,
  count: 200_000,
  run: count => {
    for (let i = 0; i < count; i++) send(i % functions, i & 15)
  },
})

console.log('per 4-KiB-page translation, and per DMA of 64 bytes from the bus-master port to memory and back')
const times = measure([
  ...translations(),
  wholeDma('64-byte DMA, hit', 1),
  wholeDma('64-byte DMA, hit, eight kinds of device', 8),
  randomLoads(),
])
report(times)

const reference = referenceWalker()
if (reference === undefined) console.log('\nno C compiler here: nothing to compare with')
else {
  console.log('\nthe same walks in C (no caches), and ours beside them')
  for (const [name, ns] of reference) {
    console.log(`${name.padEnd(20)} ${ns.toFixed(1).padStart(8)} ns  × ${(times.get(name)! / ns).toFixed(2)}`)
  }
}

console.log('\na hit beside many: units, domains, functions')
const one = { units: 1, domains: 1, functions: 1 }
const sizes = [100, 10_000]
const scaled = [
  hits(one, 200_000),
  ...sizes.map(units => hits({ ...one, units }, 200_000)),
  ...sizes.map(domains => hits({ units: 1, domains, functions: domains }, 200_000)),
  ...sizes.map(functions => hits({ ...one, functions }, 200_000)),
]
report(measure(scaled))
console.log(`reads of structures in memory per hit: ${scaled.map(({ steps }) => steps()).join(', ')}`)

const REQUESTS = 10_000_000
const { allocated, kept } = heapPerRequest(REQUESTS)
console.log(`\nheap per request over ${REQUESTS.toLocaleString('en')} DMAs of eight kinds of device:`)
console.log(`${allocated.toFixed(4)} bytes allocated, ${kept.toFixed(4)} bytes kept`)
