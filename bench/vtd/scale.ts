/**
 * What a hit costs beside many others: with 1, 100 and 10,000 units, domains and functions, all of which have been
 * used. The work that is timed is the same in each.
 */
import { Engine } from '../../src/engine/index.ts'
import { PhysicalMemory } from '../../src/memory/index.ts'
import { MemoryRequest } from '../../src/pcie/index.ts'
import { RemappingUnit } from '../../src/vtd/index.ts'
import type { Contestant } from '../measure.ts'
import { enableTranslation, SECOND_STAGE, Tables } from './tables.ts'

const GIB = 2 ** 30
const FIRST_PAGE = (16 * GIB) / 4096
const FIRST_FRAME = (8 * GIB) / 4096
/** Pages that each function may reach, and functions whose hits are timed. */
const PAGES = 8
const TIMED = 8
const SMALL = { contextSets: 4, contextWays: 1, pasidSets: 1, pasidWays: 1, iotlbSets: 4, iotlbWays: 1 }

export interface Scale {
  readonly units: number
  readonly domains: number
  readonly functions: number
}

/** Bus, device and function numbers spread as in a machine: eight functions a device, one device a bus. */
const sourceOf = (n: number): number => (((n >>> 3) % 256) << 8) | ((n >>> 11) << 3) | (n & 7)

/** A machine of that size, every unit and function of it used once; then hits of eight functions in turn. */
export function hits({ units, domains, functions }: Scale, count: number): Contestant & { steps(): number } {
  const memory = new PhysicalMemory([{ base: 4 * GIB, size: 60 * GIB }])
  const engine = new Engine()
  engine.trace.enabled = false
  const tables = new Tables(memory, 4 * GIB)
  const root = tables.page()
  const tops = Array.from({ length: domains }, () => tables.page())
  for (const [domain, top] of tops.entries()) {
    for (let i = 0; i < PAGES; i++) {
      tables.map(top, 4, FIRST_PAGE + i, FIRST_FRAME + domain * PAGES + i, SECOND_STAGE)
    }
  }
  for (let n = 0; n < functions; n++) {
    const domain = n % domains
    tables.context(root, sourceOf(n), domain + 1, tops[domain]!)
  }
  const all = Array.from({ length: units }, (_, index) => {
    const caches = index < TIMED ? {} : { caches: SMALL }
    const unit = new RemappingUnit(
      { id: `unit${index}`, index, hostAddressWidth: 48, ...caches },
      { memory, interrupts: { deliver: () => 0 }, engine },
    )
    enableTranslation(unit, root)
    return unit
  })
  const request = new MemoryRequest()
  request.length = 64
  const send = (n: number, page: number): void => {
    request.begin()
    request.requesterId = sourceOf(n % functions)
    request.page = FIRST_PAGE + page
    if (!all[n % units]!.translate(request)) throw new Error(`fault ${request.faultReason.toString(16)}h`)
  }
  for (let n = Math.max(units, functions) - 1; n >= 0; n--) send(n, n % PAGES)
  return {
    name: `${units} units, ${domains} domains, ${functions} functions`,
    count,
    run: times => {
      for (let i = 0; i < times; i++) send(i % TIMED, (i >>> 3) % PAGES)
    },
    /** Reads of structures in memory for the last request. */
    steps: () => request.tableReads,
  }
}
