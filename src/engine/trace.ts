/** What happened, in order: typed events that any room emits and any face can follow. */

import { assert, opened, type Saved } from '../core/index.ts'

/** Kinds of events. Each is one step of a journey that a user may want to see. */
export type TraceKind =
  | 'power' // on, off, reset
  | 'firmware' // a table placed, a bus numbered
  | 'host' // boot messages, driver bindings, group formation
  | 'dma' // one device request and how it ended
  | 'fault' // a record written by a remapping unit
  | 'invalidation' // a descriptor or register invalidation completed
  | 'interrupt' // a message: sent, remapped, blocked, accepted by a local APIC
  | 'vmEntry'
  | 'vmExit'
  | 'sriov' // virtual functions enabled or disabled
  | 'reset' // function level, bus or platform reset
  | 'injection' // what a stimulus broke
  | 'assignment' // a function given to a virtual machine, or taken back
  | 'network' // a frame: where it went; a link or team that changed
  | 'vm' // a virtual machine created or deleted
  | 'experiment' // a point of a sweep that was simulated, or how the sweep ended

export interface TraceEvent {
  /** Counts from 1 in its world, never reused: the id for resuming a stream. */
  readonly sequence: number
  /** Virtual time, nanoseconds. */
  readonly time: number
  readonly kind: TraceKind
  /** One sentence for people. */
  readonly message: string
  /** The same for programs: plain JSON, addresses as `0x…`, functions as `dddd:bb:dd.f`. */
  readonly detail: Readonly<Record<string, unknown>>
}

export type TraceListener = (event: TraceEvent) => void

/** Keeps the newest events; older ones are dropped, which readers learn from the sequence numbers. */
export class Trace {
  readonly #capacity: number
  readonly #now: () => number
  readonly #events: TraceEvent[] = []
  readonly #listeners = new Set<TraceListener>()
  #sequence = 0
  /** While events are held back: how far the others went. */
  #held: number | undefined
  /** Hot paths ask before they build an event. */
  enabled = true

  constructor(now: () => number, capacity = 16_384) {
    this.#now = now
    this.#capacity = capacity
  }

  emit(kind: TraceKind, message: string, detail: Readonly<Record<string, unknown>> = {}): void {
    if (!this.enabled) return
    const event: TraceEvent = { sequence: ++this.#sequence, time: this.#now(), kind, message, detail }
    if (this.#events.push(event) > this.#capacity * 2) this.#events.splice(0, this.#capacity)
    if (this.#held === undefined) this.#tell(event)
  }

  #tell(event: TraceEvent): void {
    for (const listener of this.#listeners) listener(event)
  }

  /** From now on nobody is told, until {@link release}: what happens may have to be taken back. */
  hold(): void {
    assert(this.#held === undefined, 'events are held back once at a time')
    this.#held = this.#sequence
  }

  /** Tells what was held back, unless it was taken back meanwhile by {@link load}. */
  release(): void {
    const held = this.#held
    assert(held !== undefined, 'what is released was held back')
    this.#held = undefined
    for (const event of this.since(held)) this.#tell(event)
  }

  /** Sequence of the newest event, 0 if none. */
  get last(): number {
    return this.#sequence
  }

  /** Sequence of the newest event that may be told to the world: what is newer may still be taken back. */
  get told(): number {
    return this.#held ?? this.#sequence
  }

  /** Sequence of the oldest event still kept; `last + 1` if none is. */
  get oldest(): number {
    return this.#events[0]?.sequence ?? this.#sequence + 1
  }

  /** Kept events newer than `sequence`, oldest first; at most `limit`. */
  since(sequence: number, limit = Number.POSITIVE_INFINITY): readonly TraceEvent[] {
    const first = Math.max(0, sequence + 1 - this.oldest)
    return this.#events.slice(first, first + limit)
  }

  /** The position; who follows is no state, and what happened before is not told again. */
  save(): Saved {
    return { version: 1, sequence: this.#sequence, enabled: this.enabled }
  }

  /** Later events are forgotten, followers stay. */
  load(saved: Saved): void {
    const { sequence, enabled } = opened<{ sequence: number; enabled: boolean }>(saved, 'the trace', 1)
    if (sequence > this.#sequence) this.#events.length = 0
    while (this.#events.length > 0 && this.#events.at(-1)!.sequence > sequence) this.#events.pop()
    this.#sequence = sequence
    this.enabled = enabled
  }

  /** Calls `listener` for every new event until the returned function is called. */
  follow(listener: TraceListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}
