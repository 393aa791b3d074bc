/**
 * Items under way: packets, requests, transfers. Each walks the steps of its path; the time between any two moments of
 * its life is charged to one part (a resource and why), so that the parts of an item sum to its latency.
 */
import { type EventQueue, longer } from './event-queue.ts'
import { Histogram } from './histogram.ts'
import { Ring } from './ring.ts'

/** One step of a path. Functions, not methods: to call one of a list costs less than to look up a method of one. */
export interface Step {
  /** An item comes. True: it goes on at once; false: it will be {@link Journeys.resume | resumed}. */
  readonly enter: (item: number) => boolean
  /** An item that waited here is resumed: it goes on. */
  readonly leave?: (item: number) => void
  /** What it charges items for. */
  readonly parts?: readonly number[]
}

const nothing = (): void => {}

export class Path {
  readonly enters: readonly Step['enter'][]
  readonly leaves: readonly NonNullable<Step['leave']>[]
  /** What its items may be charged for. */
  readonly parts: readonly number[]
  /** Called when an item has made all its steps; its number may be given to another afterwards. */
  end: (item: number) => void
  /** Whether the end of an item is an operation that is measured. */
  readonly measured: boolean

  constructor(steps: readonly Step[], measured: boolean, end: (item: number) => void = nothing) {
    this.enters = steps.map(({ enter }) => enter)
    this.leaves = steps.map(({ leave = nothing }) => leave)
    this.parts = [...new Set(steps.flatMap(({ parts = [] }) => parts))]
    this.measured = measured
    this.end = end
  }
}

interface PartName {
  readonly resource: string
  readonly activity: string
}

const FIRST_CAPACITY = 256

export class Journeys {
  readonly #events: EventQueue
  readonly resumed: number
  readonly parts: PartName[] = []
  readonly latencies = new Histogram()
  #sums = new Float64Array(0)
  /** Bytes of measured items. */
  bytes = 0
  // Items, by number.
  readonly #paths: Path[] = []
  #steps = new Int32Array(FIRST_CAPACITY)
  #began = new Float64Array(FIRST_CAPACITY)
  #since = new Float64Array(FIRST_CAPACITY)
  /** What they were charged, part by part: all 0 for a number that is not in use. */
  #rows = new Float64Array(0)
  /** Parts: numbers of a row. */
  #width = 0
  readonly #unused = new Ring()
  #items = 0
  /** Payload. */
  sizes = new Int32Array(FIRST_CAPACITY)
  /** Of its machine or processor, as its path likes. */
  flows = new Int32Array(FIRST_CAPACITY)
  /** First page that its DMA goes to. */
  pages = new Float64Array(FIRST_CAPACITY)

  constructor(events: EventQueue) {
    this.#events = events
    this.resumed = events.handle(item => {
      this.#paths[item]!.leaves[this.#steps[item]!]!(item)
      this.resume(item)
    })
  }

  /** Names a part before anything is under way. */
  part(resource: string, activity: string): number {
    const known = this.parts.findIndex(part => part.resource === resource && part.activity === activity)
    if (known >= 0) return known
    const part = this.parts.push({ resource, activity }) - 1
    this.#width = this.parts.length
    this.#sums = new Float64Array(this.#width)
    return part
  }

  nameOf(part: number): [resource: string, activity: string] {
    const { resource, activity } = this.parts[part]!
    return [resource, activity]
  }

  begin(path: Path, size: number, flow: number, page = 0): number {
    const item = this.#unused.length > 0 ? this.#unused.shift() : this.#make()
    this.#paths[item] = path
    this.#steps[item] = 0
    this.#began[item] = this.#events.now
    this.sizes[item] = size
    this.flows[item] = flow
    this.pages[item] = page
    this.#walk(item)
    return item
  }

  /** Charges a part of the life of an item. */
  charge(item: number, part: number, nanoseconds: number): void {
    this.#rows[item * this.#width + part]! += nanoseconds
  }

  /** Notes the moment from which {@link waited} counts. */
  waits(item: number): void {
    this.#since[item] = this.#events.now
  }

  waited(item: number): number {
    return this.#events.now - this.#since[item]!
  }

  /** When an item came to where it waits. */
  since(item: number): number {
    return this.#since[item]!
  }

  /** Lets an item go on behind the step at which it waited. */
  resume(item: number): void {
    this.#steps[item]!++
    this.#walk(item)
  }

  /** Ends an item that goes no further, unmeasured. */
  drop(item: number): void {
    this.#clear(item, this.#paths[item]!.parts)
    this.#unused.push(item)
  }

  #walk(item: number): void {
    const path = this.#paths[item]!
    const { enters } = path
    for (let at = this.#steps[item]!; at < enters.length; at++) {
      this.#steps[item] = at
      if (!enters[at]!(item)) return
    }
    if (path.measured) this.#measure(item, path.parts)
    else this.#clear(item, path.parts)
    path.end(item)
    this.#unused.push(item)
  }

  #measure(item: number, parts: readonly number[]): void {
    this.latencies.add(this.#events.now - this.#began[item]!)
    this.bytes += this.sizes[item]!
    const sums = this.#sums
    const rows = this.#rows
    const row = item * this.#width
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i]!
      sums[part]! += rows[row + part]!
      rows[row + part] = 0
    }
  }

  #clear(item: number, parts: readonly number[]): void {
    const row = item * this.#width
    for (const part of parts) this.#rows[row + part] = 0
  }

  /** Nanoseconds of a part, summed over the items measured. */
  sumOf(part: number): number {
    return this.#sums[part]!
  }

  restart(): void {
    this.latencies.restart()
    this.#sums.fill(0)
    this.bytes = 0
  }

  #make(): number {
    const item = this.#items++
    if (item === 0) this.#rows = new Float64Array(this.#steps.length * this.#width)
    if (item === this.#steps.length) {
      const capacity = item * 2
      this.#steps = longer(this.#steps, new Int32Array(capacity))
      this.sizes = longer(this.sizes, new Int32Array(capacity))
      this.flows = longer(this.flows, new Int32Array(capacity))
      this.#began = longer(this.#began, new Float64Array(capacity))
      this.#since = longer(this.#since, new Float64Array(capacity))
      this.pages = longer(this.pages, new Float64Array(capacity))
      this.#rows = longer(this.#rows, new Float64Array(capacity * this.#width))
    }
    return item
  }
}
