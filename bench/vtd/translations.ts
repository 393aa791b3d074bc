/** Translations of one unit, as contestants: hits, misses, nested walks without any cache, interrupts. */
import { Engine } from '../../src/engine/index.ts'
import { InterruptMessage } from '../../src/interrupts/index.ts'
import { PhysicalMemory } from '../../src/memory/index.ts'
import { MemoryRequest } from '../../src/pcie/index.ts'
import { RemappingUnit, type RemappingUnitOptions } from '../../src/vtd/index.ts'
import type { Contestant } from '../measure.ts'
import { enableTranslation, FIRST_STAGE, SECOND_STAGE, shuffle, Tables, write64 } from './tables.ts'

const GIB = 2 ** 30
const SID = 0x0310
const DOMAIN = 7
/** Input pages from 16 GiB on, mapped to host memory from 8 GiB on; tables from 4 GiB on. */
const FIRST_PAGE = (16 * GIB) / 4096
const FIRST_FRAME = (8 * GIB) / 4096
const PAGES = 1 << 18
const NESTED_PAGES = 1 << 14
const COUNT = 200_000
/** A measure of misses takes each page so often: the first time its entry comes from memory, then from the machine's caches. */
const ROUNDS = 4
const ALL = 0xffff_ffff

/** Page numbers of 32 bits: the order of the requests takes as little of the processor caches as it can beside the tables. */
const pages = (count: number): Uint32Array => Uint32Array.from({ length: count }, (_, i) => FIRST_PAGE + i)

function make(options: Partial<RemappingUnitOptions>): {
  unit: RemappingUnit
  memory: PhysicalMemory
  tables: Tables
} {
  const memory = new PhysicalMemory([
    { base: 0, size: GIB },
    { base: 4 * GIB, size: 60 * GIB },
  ])
  const engine = new Engine()
  engine.trace.enabled = false
  const unit = new RemappingUnit(
    { id: 'bench', index: 0, hostAddressWidth: 48, ...options },
    { memory, interrupts: { deliver: () => 0 }, engine },
  )
  return { unit, memory, tables: new Tables(memory, 4 * GIB) }
}

/** One domain of 2^18 pages in legacy mode, and an interrupt remapping table. */
function legacy(): RemappingUnit {
  const { unit, tables } = make({})
  const root = tables.page()
  const top = tables.page()
  tables.context(root, SID, DOMAIN, top)
  for (let i = 0; i < PAGES; i++) tables.map(top, 4, FIRST_PAGE + i, FIRST_FRAME + i, SECOND_STAGE)
  const interrupts = tables.page()
  tables.store(interrupts + 5 * 16, 2 ** 32 * 0x100 + 0x41_0001)
  tables.store(interrupts + 5 * 16 + 8, 0x4_0000 + SID)
  write64(unit, 0xb8, interrupts + 7)
  unit.writeDword(0x18, 0x0100_0000, ALL)
  enableTranslation(unit, root)
  unit.writeDword(0x18, 0x8200_0000, ALL)
  return unit
}

/** Entries that a nested walk reads: of four first-stage tables, each found by a second-stage walk, and of one for the page. */
const NESTED_READS = 4 * (4 + 1) + 4

/** First-stage tables in guest memory that second-stage tables map, no cache of translations bigger than one entry. */
function nested(): RemappingUnit {
  const { unit, tables } = make({
    capabilities: { SMTS: 1, FSTS: 1, SSTS: 1, NEST: 1, SMPWCS: 1, PASID: 1, PSS: 19 },
    caches: { iotlbSets: 1, iotlbWays: 1, pagingSets: [0, 0, 0, 0] },
  })
  const [root, context, directory, entry, first, second] = Array.from({ length: 6 }, () => tables.page()) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  tables.store(root + (SID >>> 8) * 16, context + 1)
  tables.store(context + (SID & 0x7f) * 32, directory + 1)
  tables.store(directory, entry + 1)
  tables.store(entry, second + 0xc9) // P, AW 48 bits, nested
  tables.store(entry + 8, 0x80_0000 + DOMAIN) // PWSNP
  tables.store(entry + 16, first)
  for (let i = 0; i < NESTED_PAGES; i++) {
    tables.map(first, 4, FIRST_PAGE + i, FIRST_PAGE + i, FIRST_STAGE)
    tables.map(second, 4, FIRST_PAGE + i, FIRST_FRAME + i, SECOND_STAGE)
  }
  // Tables lie in guest memory where they lie in host memory.
  const end = tables.page() / 4096
  for (let page = (4 * GIB) / 4096; page < end; page++) tables.map(second, 4, page, page, SECOND_STAGE)
  write64(unit, 0x20, root + 0x400)
  unit.writeDword(0x18, 0x4000_0000, ALL)
  unit.writeDword(0x18, 0x8000_0000, ALL)
  return unit
}

/** Translates the pages of `order` in turn. A closure of its own per case, so that each is compiled for its case. */
function translating(unit: RemappingUnit, order: Uint32Array, write: boolean): (count: number) => void {
  const request = new MemoryRequest()
  request.requesterId = SID
  request.length = 64
  request.write = write
  let at = 0
  return count => {
    for (let i = 0; i < count; i++) {
      request.begin()
      request.page = order[at]!
      if (!unit.translate(request)) throw new Error(`fault ${request.faultReason.toString(16)}h`)
      at = at + 1 === order.length ? 0 : at + 1
    }
  }
}

/** Reads of structures in memory for one request. */
function readsOf(unit: RemappingUnit, page: number): number {
  const request = new MemoryRequest()
  request.requesterId = SID
  request.length = 64
  request.page = page
  if (!unit.translate(request)) throw new Error(`fault ${request.faultReason.toString(16)}h`)
  return request.tableReads
}

export function translations(): readonly Contestant[] {
  const unit = legacy()
  const request = new MemoryRequest()
  const message = new InterruptMessage()
  const cold = nested()
  // Once the function is known, what is left to each request is the whole walk, and nothing else.
  readsOf(cold, FIRST_PAGE)
  const reads = readsOf(cold, FIRST_PAGE + 1)
  if (reads !== NESTED_READS) throw new Error(`a cold nested walk read ${reads} entries`)
  return [
    { name: 'hit', count: COUNT, run: translating(unit, pages(64), false) },
    { name: 'miss, in order', count: ROUNDS * PAGES, run: translating(unit, pages(PAGES), false) },
    { name: 'miss, shuffled', count: ROUNDS * PAGES, run: translating(unit, shuffle(pages(PAGES)), false) },
    {
      name: 'nested 4x4, cold',
      count: COUNT / 4,
      run: translating(cold, shuffle(pages(NESTED_PAGES)), true),
    },
    {
      name: 'interrupt, hit',
      count: COUNT,
      run: count => {
        for (let i = 0; i < count; i++) {
          const reason = unit.remapInterrupt(SID, 0xfee0_00b0, 0, 0, message, request.interrupt)
          if (reason !== 0) throw new Error(`interrupt fault ${reason.toString(16)}h`)
        }
      },
    },
  ]
}
