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
  /** What it charges each item for, as it comes: {@link Journeys.column | columns}. */
  readonly columns?: readonly number[]
  /** What it charges all items of a size alike. */
  readonly constants?: readonly Constant[]
}

/** A charge that need not be added item by item: those that have made all steps have paid it. */
export interface Constant {
  readonly part: number
  readonly time: (size: number) => number
}

const nothing = (): void => {}

export class Path {
  readonly enters: readonly Step['enter'][]
  readonly leaves: readonly Step['leave'][]
  /** What its items may be charged for, each by itself. */
  readonly columns: readonly number[]
  readonly constants: readonly Constant[]
  /** Items of a size that came to its end and were measured, since that was last charged. */
  size = -1
  count = 0
  /** Called when an item has made all its steps; its number may be given to another afterwards. */
  end: (item: number) => void
  /** Whether the end of an item is an operation that is measured. */
  readonly measured: boolean

  constructor(steps: readonly Step[], measured: boolean, end: (item: number) => void = nothing) {
    this.enters = steps.map(({ enter }) => enter)
    this.leaves = steps.map(({ leave }) => leave)
    this.columns = [...new Set(steps.flatMap(({ columns = [] }) => columns))]
    this.constants = steps.flatMap(({ constants = [] }) => constants)
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
  /** By part: what was charged to all alike. */
  readonly #alike: number[] = []
  /** Parts of the columns. */
  readonly #columns: number[] = []
  /** Whose items are measured. */
  readonly #measured = new Set<Path>()
  /** Bytes of measured items. */
  bytes = 0
  // Items, by number.
  readonly #paths: Path[] = []
  #steps = new Int32Array(FIRST_CAPACITY)
  #began = new Float64Array(FIRST_CAPACITY)
  #since = new Float64Array(FIRST_CAPACITY)
  /** What they were charged, column by column: all 0 for a number that is not in use. First the sums of those measured. */
  #rows = new Float64Array(0)
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
      const leave = this.#paths[item]!.leaves[this.#steps[item]!]
      if (leave !== undefined) leave(item)
      this.resume(item)
    })
  }

  /** Names a part before anything is under way. */
  part(resource: string, activity: string): number {
    const known = this.parts.findIndex(part => part.resource === resource && part.activity === activity)
    if (known >= 0) return known
    this.#alike.push(0)
    return this.parts.push({ resource, activity }) - 1
  }

  /** The same for what is charged to each item by itself: what {@link charge} wants to know. */
  column(resource: string, activity: string): number {
    const part = this.part(resource, activity)
    const known = this.#columns.indexOf(part)
    if (known >= 0) return known
    this.#width = this.#columns.push(part)
    return this.#width - 1
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
  charge(item: number, column: number, nanoseconds: number): void {
    this.#rows[this.#rowOf(item) + column]! += nanoseconds
  }

  #rowOf(item: number): number {
    return (item + 1) * this.#width
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
    this.#clear(item, this.#paths[item]!.columns)
    this.#unused.push(item)
  }

  #walk(item: number): void {
    const path = this.#paths[item]!
    const { enters } = path
    for (let at = this.#steps[item]!; at < enters.length; at++) {
      this.#steps[item] = at
      if (!enters[at]!(item)) return
    }
    if (path.measured) this.#measure(item, path)
    else this.#clear(item, path.columns)
    path.end(item)
    this.#unused.push(item)
  }

  #measure(item: number, path: Path): void {
    const size = this.sizes[item]!
    if (size !== path.size) this.#changeSize(path, size)
    path.count++
    this.latencies.add(this.#events.now - this.#began[item]!)
    this.bytes += size
    const rows = this.#rows
    const row = this.#rowOf(item)
    const { columns } = path
    for (let i = 0; i < columns.length; i++) {
      const column = columns[i]!
      rows[column]! += rows[row + column]!
      rows[row + column] = 0
    }
  }

  #changeSize(path: Path, size: number): void {
    this.#measured.add(path)
    this.#chargeConstants(path)
    path.size = size
  }

  /** Charges what items have paid that were only counted so far. */
  #chargeConstants(path: Path): void {
    const { constants, size, count } = path
    path.count = 0
    if (count > 0) for (const { part, time } of constants) this.#alike[part]! += count * time(size)
  }

  #clear(item: number, columns: readonly number[]): void {
    const row = this.#rowOf(item)
    for (const column of columns) this.#rows[row + column] = 0
  }

  /** Nanoseconds of a part, summed over the items measured. */
  sumOf(part: number): number {
    for (const path of this.#measured) this.#chargeConstants(path)
    const column = this.#columns.indexOf(part)
    return this.#alike[part]! + (column < 0 ? 0 : this.#rows[column]!)
  }

  restart(): void {
    this.latencies.restart()
    this.#rows.fill(0, 0, this.#width)
    this.#alike.fill(0)
    for (const path of this.#measured) path.count = 0
    this.bytes = 0
  }

  #make(): number {
    const item = this.#items++
    if (item === 0) this.#rows = new Float64Array(this.#rowOf(this.#steps.length))
    if (item === this.#steps.length) {
      const capacity = item * 2
      this.#steps = longer(this.#steps, new Int32Array(capacity))
      this.sizes = longer(this.sizes, new Int32Array(capacity))
      this.flows = longer(this.flows, new Int32Array(capacity))
      this.#began = longer(this.#began, new Float64Array(capacity))
      this.#since = longer(this.#since, new Float64Array(capacity))
      this.pages = longer(this.pages, new Float64Array(capacity))
      this.#rows = longer(this.#rows, new Float64Array(this.#rowOf(capacity)))
    }
    return item
  }
}
