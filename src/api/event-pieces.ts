/**
 * Events of a trace as bytes that are sent to everybody who follows it: they are written out once, however many follow.
 * Pieces end at multiples of so many events, so that readers who were behind come to the same pieces as the others.
 */
import type { Trace, TraceEvent } from '../engine/index.ts'
import { eventView } from '../operations/index.ts'

export interface EventPiece {
  readonly bytes: Uint8Array
  /** Sequence of its last event. */
  readonly last: number
}

interface KeptPiece extends EventPiece {
  readonly firstEvent: TraceEvent
  readonly lastEvent: TraceEvent
}

/** Events of a whole piece. */
const EVENTS = 256
/** Pieces that are kept of one trace, those that were asked for last. */
const MOST_KEPT = 32

const textOf = (event: TraceEvent): string =>
  `id: ${event.sequence}\nevent: ${event.kind}\ndata: ${JSON.stringify(eventView(event))}\n\n`

export class EventPieces {
  readonly #trace: Trace
  /** By the sequence behind which they begin. */
  readonly #kept = new Map<number, KeptPiece>()

  constructor(trace: Trace) {
    this.#trace = trace
  }

  /** What comes behind an event that is not older than what the trace has kept; undefined if nothing does yet. */
  after(sequence: number): EventPiece | undefined {
    let piece = this.#kept.get(sequence)
    if (piece !== undefined && this.#isStill(sequence, piece)) {
      this.#kept.delete(sequence)
      this.#kept.set(sequence, piece)
      return piece
    }
    const end = Math.min(this.#trace.told, (Math.floor(sequence / EVENTS) + 1) * EVENTS)
    const events = this.#trace.since(sequence, end - sequence)
    const [firstEvent] = events
    if (end <= sequence || firstEvent === undefined) return undefined
    const lastEvent = events.at(-1)!
    const bytes = Buffer.from(events.map(textOf).join(''))
    piece = { bytes, last: lastEvent.sequence, firstEvent, lastEvent }
    this.#kept.set(sequence, piece)
    if (this.#kept.size > MOST_KEPT) this.#kept.delete(this.#kept.keys().next().value!)
    return piece
  }

  /** A platform that went back counts its events from there again: they are others then. */
  #isStill(sequence: number, { firstEvent, lastEvent }: KeptPiece): boolean {
    const at = (before: number): TraceEvent | undefined => this.#trace.since(before, 1)[0]
    return at(sequence) === firstEvent && at(lastEvent.sequence - 1) === lastEvent
  }
}

interface Shared {
  readonly pieces: EventPieces
  followers: number
}

const shared = new WeakMap<Trace, Shared>()

/** The pieces of a trace, as long as somebody follows it. Call the function when that is over. */
export function followPieces(trace: Trace): readonly [EventPieces, () => void] {
  let found = shared.get(trace)
  if (found === undefined) shared.set(trace, (found = { pieces: new EventPieces(trace), followers: 0 }))
  const entry = found
  entry.followers++
  let follows = true
  return [
    entry.pieces,
    () => {
      if (follows && --entry.followers === 0) shared.delete(trace)
      follows = false
    },
  ]
}
