/** Virtual time and the event queue of a world. Events are data, never closures, so that a world can be saved. */
import { assert, opened, type Saved } from '../core/index.ts'
import { drive, type Software, WAKE_UP } from './software.ts'
import { Trace } from './trace.ts'

/** A queued event: what to do (`kind`), for whom (`target`, a component's name), with one number. */
export interface QueuedEvent {
  /** Nanoseconds of virtual time. */
  readonly time: number
  /** Order of scheduling, which breaks ties. */
  readonly order: number
  readonly kind: string
  readonly target: string
  readonly argument: number
}

export type EventHandler = (target: string, argument: number) => void

export class Engine {
  readonly trace: Trace
  readonly #handlers = new Map<string, EventHandler>()
  /** A binary heap by (time, order). */
  #queue: QueuedEvent[] = []
  #now = 0
  #order = 0
  #served = 0

  constructor() {
    this.trace = new Trace(() => this.#now)
    this.handle(WAKE_UP, () => {})
  }

  /** Nanoseconds of virtual time since the world began. */
  get now(): number {
    return this.#now
  }

  /** Events that happened, for those who wait for the next one. */
  get served(): number {
    return this.#served
  }

  get pending(): number {
    return this.#queue.length
  }

  /** Names the code that serves events of a kind. Once per kind. */
  handle(kind: string, handler: EventHandler): void {
    assert(!this.#handlers.has(kind), `one handler serves events of kind ${kind}`)
    this.#handlers.set(kind, handler)
  }

  /** Queues an event `delay` nanoseconds from now. */
  schedule(delay: number, kind: string, target: string, argument = 0): void {
    assert(
      delay >= 0 && this.#handlers.has(kind),
      `events are scheduled in the future for a known kind: ${kind}`,
    )
    const queue = this.#queue
    queue.push({ time: this.#now + delay, order: this.#order++, kind, target, argument })
    for (let i = queue.length - 1; i > 0; ) {
      const parent = (i - 1) >>> 1
      if (!before(queue[i]!, queue[parent]!)) break
      swap(queue, i, parent)
      i = parent
    }
  }

  /** Forgets the events of a kind for a target. Looks at every event. */
  cancel(kind: string, target: string): void {
    // In the order of time they are a heap.
    this.#queue = this.#queue
      .filter(event => event.kind !== kind || event.target !== target)
      .sort((a, b) => (before(a, b) ? -1 : 1))
  }

  /** When the next event of a kind happens, to a target or to any; undefined if none is queued. Looks at every event. */
  next(kind: string, target?: string): number | undefined {
    let time: number | undefined
    for (const event of this.#queue) {
      const matches = event.kind === kind && (target === undefined || event.target === target)
      if (matches && (time === undefined || event.time < time)) time = event.time
    }
    return time
  }

  /** Runs the next event; false when there is none. */
  advance = (): boolean => {
    const queue = this.#queue
    const next = queue[0]
    if (next === undefined) return false
    const last = queue.pop()!
    if (queue.length > 0) {
      queue[0] = last
      for (let i = 0; ; ) {
        const left = 2 * i + 1
        if (left >= queue.length) break
        const right = left + 1
        const child = right < queue.length && before(queue[right]!, queue[left]!) ? right : left
        if (!before(queue[child]!, queue[i]!)) break
        swap(queue, i, child)
        i = child
      }
    }
    this.#now = next.time
    this.#served++
    this.#handlers.get(next.kind)!(next.target, next.argument)
    return true
  }

  /** Runs software to its end, letting queued events happen whenever it waits. */
  run<Result>(software: Software<Result>): Result {
    return drive(software, this.advance)
  }

  /** Time and what is to come; what was told of the past is the trace's. */
  save(): Saved {
    return { version: 1, now: this.#now, order: this.#order, queue: this.#queue.map(event => ({ ...event })) }
  }

  load(saved: Saved): void {
    const state = opened<{ now: number; order: number; queue: QueuedEvent[] }>(saved, 'the event queue', 1)
    this.#now = state.now
    this.#order = state.order
    this.#queue = state.queue.map(event => ({ ...event }))
  }
}

const before = (a: QueuedEvent, b: QueuedEvent): boolean =>
  a.time < b.time || (a.time === b.time && a.order < b.order)

function swap(queue: QueuedEvent[], a: number, b: number): void {
  const held = queue[a]!
  queue[a] = queue[b]!
  queue[b] = held
}
