/**
 * A DMA of 64 bytes through an assigned virtual function, from its bus-master port to memory and back, at
 * guest-physical addresses above 4 GiB: on an IOTLB hit, and on misses in order and shuffled. Nanoseconds per request.
 */
import { parseFunctionAddress } from '../src/core/index.ts'
import { drive } from '../src/engine/index.ts'
import { MemoryRequest, STATUS } from '../src/pcie/index.ts'
import { SimulatedPlatform } from '../src/system/index.ts'
import { loadTopology } from './machines.ts'
import { measure, report } from './measure.ts'

const MEMORY_MIB = 8192
/** Guest memory continues here above the hole for devices: page number of 4 GiB. */
const FIRST_PAGE = 0x10_0000

const platform = drive(
  SimulatedPlatform.create(loadTopology('two-socket-82599'), { id: 'bench', name: 'bench' }),
  () => false,
)
const run = platform.engine.run.bind(platform.engine)
const pf = platform.host.functions().find(fn => fn.kind === 'PF')!.address
const [vf] = platform.host.find(pf).virtualFunctions
run(platform.hypervisor.createVm({ name: 'guest', vcpus: 1, memoryMiB: MEMORY_MIB }))
run(platform.hypervisor.attach('guest', vf!))

const at = (address: string) => {
  const { segment, rid } = parseFunctionAddress(address)
  return platform.hardware.fabric.functionAt(segment, rid)!
}
const fn = at(vf!)
platform.engine.trace.enabled = false

const request = new MemoryRequest()
request.data = new Uint8Array(64)
request.length = 64
request.write = true

function send(page: number): void {
  request.page = page
  request.offset = 0x40
  fn.issue(request)
  if (request.status !== STATUS.successful) throw new Error(`the DMA ended with status ${request.status}`)
}

// One page of every 2-MiB mapping, in order and in an order with no locality.
const large = Uint32Array.from({ length: (MEMORY_MIB - 3072) / 2 }, (_, i) => FIRST_PAGE + i * 512)
const shuffled = large.slice()
for (let i = shuffled.length - 1, seed = 1; i > 0; i--) {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
  const j = seed % (i + 1)
  ;[shuffled[i], shuffled[j]] = [shuffled[j]!, shuffled[i]!]
}
// Populate what is written, so that the first rounds do not measure the making of pages.
for (const page of large) send(page)

const over = (pages: Uint32Array) => (count: number) => {
  for (let i = 0, at = 0; i < count; i++) {
    send(pages[at]!)
    if (++at === pages.length) at = 0
  }
}

const results = measure([
  { name: 'hit: one page again and again', count: 1_000_000, run: over(large.slice(0, 1)) },
  { name: 'hit: eight pages in turn', count: 1_000_000, run: over(large.slice(0, 8)) },
  { name: `in order over ${large.length} mappings of 2 MiB`, count: 300_000, run: over(large) },
  { name: `shuffled over ${large.length} mappings of 2 MiB`, count: 300_000, run: over(shuffled) },
])
report(results)

const before = process.memoryUsage().heapUsed
for (let i = 0; i < 1_000_000; i++) send(large[i % 8]!)
const grown = process.memoryUsage().heapUsed - before
console.log(`heap per request over 1,000,000 hits: ${(grown / 1_000_000).toFixed(2)} bytes`)
