/**
 * Prices of the remapping unit: nanoseconds per 4-KiB-page translation, medians of interleaved rounds, with tables and
 * buffers above 4 GiB. Run by `node bench/vtd.ts`.
 */
import { performance } from 'node:perf_hooks'
import { Engine } from '../src/engine/index.ts'
import { InterruptMessage } from '../src/interrupts/index.ts'
import { PhysicalMemory } from '../src/memory/index.ts'
import { MemoryRequest } from '../src/pcie/index.ts'
import { RemappingUnit } from '../src/vtd/index.ts'

const GIB = 2 ** 30
const HIGH = 4 * GIB
const SID = 0x0310
const DOMAIN = 7
const WARM_UP = 3
const ROUNDS = 15
const BATCH = 200_000

const memory = new PhysicalMemory([
  { base: 0, size: GIB },
  { base: HIGH, size: 64 * GIB },
])
const unit = new RemappingUnit(
  { id: 'bench', index: 0, hostAddressWidth: 48 },
  { memory, interrupts: { deliver: () => 0 }, engine: new Engine() },
)

let nextTable = HIGH
const allocate = (): number => (nextTable += 4096) - 4096
const write64 = (address: number, value: number): void => {
  memory.writeDword(address, value % 2 ** 32)
  memory.writeDword(address + 4, Math.floor(value / 2 ** 32))
}

// One domain: `PAGES` pages of 4 KiB from 16 GiB on, mapped to host memory from 8 GiB on.
const PAGES = 1 << 18
const FIRST_PAGE = (16 * GIB) / 4096
const FIRST_FRAME = (8 * GIB) / 4096
const root = allocate()
const context = allocate()
const top = allocate()
const tables = new Map<string, number>()
for (let i = 0; i < PAGES; i++) {
  const page = FIRST_PAGE + i
  let table = top
  for (let level = 4; level > 1; level--) {
    const prefix = Math.floor(page / 512 ** (level - 1))
    const key = `${level}:${prefix}`
    let next = tables.get(key)
    if (next === undefined) {
      tables.set(key, (next = allocate()))
      write64(table + (prefix % 512) * 8, next + 3)
    }
    table = next
  }
  write64(table + (page % 512) * 8, (FIRST_FRAME + i) * 4096 + 3)
}
write64(root + (SID >>> 8) * 16, context + 1)
write64(context + (SID & 0xff) * 16, top + 1)
write64(context + (SID & 0xff) * 16 + 8, DOMAIN * 256 + 2)
const irt = allocate()
write64(irt + 5 * 16, 2 ** 32 * 0x100 + 0x41_0001)
write64(irt + 5 * 16 + 8, 0x4_0000 + SID)

const all = 0xffff_ffff
const writeRegister64 = (offset: number, value: number): void => {
  unit.writeDword(offset, value % 2 ** 32, all)
  unit.writeDword(offset + 4, Math.floor(value / 2 ** 32), all)
}
writeRegister64(0x20, root)
unit.writeDword(0x18, 0x4000_0000, all)
writeRegister64(0xb8, irt + 7)
unit.writeDword(0x18, 0x0100_0000, all)
unit.writeDword(0x18, 0x8000_0000, all)
unit.writeDword(0x18, 0x8200_0000, all)

const shuffled = new Float64Array(PAGES)
let random = 12345
for (let i = 0; i < PAGES; i++) {
  random = (Math.imul(random, 1103515245) + 12345) >>> 0
  const j = i === 0 ? 0 : random % (i + 1)
  shuffled[i] = shuffled[j]!
  shuffled[j] = FIRST_PAGE + i
}

const request = new MemoryRequest()
request.requesterId = SID
request.length = 64
const message = new InterruptMessage()
let sum = 0

function translate(page: number): void {
  request.begin()
  request.page = page
  if (!unit.translate(request)) throw new Error(`fault ${request.faultReason}`)
  sum += request.physicalPage
}

/** The bare walk: four dependent loads through the same memory, no checks but presence. */
function walkOnly(page: number): void {
  let frame = top / 4096
  for (let level = 4; level > 0; level--) {
    const { words } = memory.page(frame)!
    const at = ((page * INVERSE[level]!) & 511) * 2
    if ((words[at]! & 3) === 0) throw new Error('not present')
    frame = (words[at + 1]! & 0xf_ffff) * 0x10_0000 + (words[at]! >>> 12)
  }
  sum += frame
}
const INVERSE = Float64Array.of(0, 1, 2 ** -9, 2 ** -18, 2 ** -27)

/** Each case is a loop of its own, so that it is compiled for what it alone does. */
const cases: readonly (readonly [string, (from: number) => void])[] = [
  [
    'walker only, in order',
    from => {
      for (let i = from; i < from + BATCH; i++) walkOnly(FIRST_PAGE + (i & (PAGES - 1)))
    },
  ],
  [
    'walker only, shuffled',
    from => {
      for (let i = from; i < from + BATCH; i++) walkOnly(shuffled[i & (PAGES - 1)]!)
    },
  ],
  [
    'IOTLB hit',
    from => {
      for (let i = from; i < from + BATCH; i++) translate(FIRST_PAGE + (i & 63))
    },
  ],
  [
    'IOTLB miss, in order',
    from => {
      for (let i = from; i < from + BATCH; i++) translate(FIRST_PAGE + (i & (PAGES - 1)))
    },
  ],
  [
    'IOTLB miss, shuffled',
    from => {
      for (let i = from; i < from + BATCH; i++) translate(shuffled[i & (PAGES - 1)]!)
    },
  ],
  [
    'interrupt remapping hit',
    () => {
      for (let i = 0; i < BATCH; i++) {
        const reason = unit.remapInterrupt(SID, 0xfee0_00b0, 0, 0, message, request.interrupt)
        if (reason !== 0) throw new Error(`interrupt fault ${reason}`)
      }
    },
  ],
]

const samples = cases.map((): number[] => [])
function measure(): void {
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    for (const [number, [, run]] of cases.entries()) {
      const start = performance.now()
      run((round + WARM_UP) * BATCH)
      const ns = ((performance.now() - start) * 1e6) / BATCH
      if (round >= 0) samples[number]!.push(ns)
    }
  }
}
measure()

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >>> 1]!
const baseline = median(samples[0]!)
for (const [number, [name]] of cases.entries()) {
  const ns = median(samples[number]!)
  console.log(`${name.padEnd(26)} ${ns.toFixed(1).padStart(7)} ns  ${(ns / baseline).toFixed(2)} x walker`)
}

// Steady state allocates nothing: what the heap grew by over two million requests, per request.
const before = process.memoryUsage().heapUsed
for (let i = 0; i < 2_000_000; i++) translate(shuffled[i & (PAGES - 1)]!)
const grown = (process.memoryUsage().heapUsed - before) / 2_000_000
console.log(`heap per shuffled miss     ${grown.toFixed(2).padStart(7)} bytes`)
if (sum < 0) throw new Error('unreachable: results are used')
