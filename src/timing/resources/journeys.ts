/**
 * Items under way: packets, requests, transfers. Each walks the steps of its path; the time between any two moments of
 * its life is charged to one part (a resource and why), so that the parts of an item sum to its latency.
 */
import type { EventQueue } from './event-queue.ts'
import { Histogram } from './histogram.ts'
import { Ring } from './ring.ts'

/** One step of a path. */
export interface Step {
  /** An item comes. True: it goes on at once; false: it will be {@link Journeys.resume | resumed}. */
  enter(item: number): boolean
  /** An item that waited here is resumed: it goes on. */
  leave?(item: number): void
}

export interface Path {
  readonly steps: readonly Step[]
  /** Called when an item has made all its steps; its number may be given to another afterwards. */
  readonly end: (item: number) => void
  /** Whether the end of an item is an operation that is measured. */
  readonly measured: boolean
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
  #rows = new Float64Array(0)
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
      this.#paths[item]!.steps[this.#steps[item]!]!.leave?.(item)
      this.resume(item)
    })
  }

  /** Names a part before anything is under way. */
  part(resource: string, activity: string): number {
    const known = this.parts.findIndex(part => part.resource === resource && part.activity === activity)
    if (known >= 0) return known
    const part = this.parts.push({ resource, activity }) - 1
    this.#sums = new Float64Array(this.parts.length)
    this.#rows = new Float64Array(this.#steps.length * this.parts.length)
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
    const { length } = this.parts
    this.#rows.fill(0, item * length, (item + 1) * length)
    this.#walk(item)
    return item
  }

  /** Charges a part of the life of an item. */
  charge(item: number, part: number, nanoseconds: number): void {
    this.#rows[item * this.parts.length + part]! += nanoseconds
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
    this.#unused.push(item)
  }

  #walk(item: number): void {
    const path = this.#paths[item]!
    const { steps } = path
    for (let at = this.#steps[item]!; at < steps.length; at++) {
      this.#steps[item] = at
      if (!steps[at]!.enter(item)) return
    }
    if (path.measured) this.#measure(item)
    path.end(item)
    this.#unused.push(item)
  }

  #measure(item: number): void {
    this.latencies.add(this.#events.now - this.#began[item]!)
    this.bytes += this.sizes[item]!
    const sums = this.#sums
    const row = item * sums.length
    for (let part = 0; part < sums.length; part++) sums[part]! += this.#rows[row + part]!
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
    if (item === this.#steps.length) {
      const capacity = item * 2
      this.#steps = longer(this.#steps, new Int32Array(capacity))
      this.sizes = longer(this.sizes, new Int32Array(capacity))
      this.flows = longer(this.flows, new Int32Array(capacity))
      this.#began = longer(this.#began, new Float64Array(capacity))
      this.#since = longer(this.#since, new Float64Array(capacity))
      this.pages = longer(this.pages, new Float64Array(capacity))
      this.#rows = longer(this.#rows, new Float64Array(capacity * this.parts.length))
    }
    return item
  }
}

function longer<Numbers extends Float64Array | Int32Array>(old: Numbers, made: Numbers): Numbers {
  made.set(old)
  return made
}
