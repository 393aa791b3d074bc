/**
 * Server-sent events of a platform or of an experiment. A stream keeps no events of its own: it reads the trace from where its client
 * is, so a slow client costs no memory, and what the trace dropped meanwhile is told as a `gap`.
 */
import type { ServerResponse } from 'node:http'
import type { Trace, TraceEvent } from '../engine/index.ts'
import { eventView, type Followed } from '../operations/index.ts'

/** Events as they are sent: the same to everybody who follows. They go when the trace forgets its events. */
const TEXTS = new WeakMap<TraceEvent, string>()

function textOf(event: TraceEvent): string {
  let text = TEXTS.get(event)
  if (text === undefined) {
    text = `id: ${event.sequence}\nevent: ${event.kind}\ndata: ${JSON.stringify(eventView(event))}\n\n`
    TEXTS.set(event, text)
  }
  return text
}

/** Events written before the event loop gets a turn. */
const BATCH = 256

export interface StreamOptions {
  /** Milliseconds between comments that keep proxies and clients awake. */
  readonly heartbeatMs: number
  /** Milliseconds after which a client that takes nothing is dropped. */
  readonly stalledMs: number
  /** Whether the client may still read it; asked now and then. */
  readonly allowed?: () => boolean
  /** Told when a client was dropped because it takes nothing. */
  readonly onShed?: () => void
}

export class EventStream {
  readonly #response: ServerResponse
  readonly #trace: Trace
  readonly #ended: () => boolean
  readonly #options: StreamOptions
  readonly #stopFollowing: () => void
  readonly #heartbeat: NodeJS.Timeout
  #stall: NodeJS.Timeout | undefined
  #scheduled = false
  #sent: number

  /** Sends events newer than sequence `after`, then new ones as they come. */
  constructor(
    response: ServerResponse,
    { trace, ended = () => false }: Followed,
    after: number,
    options: StreamOptions,
  ) {
    this.#response = response
    this.#trace = trace
    this.#ended = ended
    this.#options = options
    this.#sent = after
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      connection: 'keep-alive',
      'x-accel-buffering': 'no',
    })
    response.flushHeaders()
    this.#stopFollowing = trace.follow(this.#schedule)
    this.#heartbeat = setInterval(() => {
      if (options.allowed?.() === false) return this.end('the token is no longer valid')
      // A stream with events to tell is awake without it.
      if (this.#stall === undefined && !this.#scheduled) this.#write(': heartbeat\n\n')
    }, options.heartbeatMs)
    response.on('drain', this.#drained)
    response.on('close', this.#stop)
    this.#schedule()
  }

  /** Ends the stream, telling the client why. */
  end(reason: string): void {
    this.#stop()
    this.#response.end(`event: end\ndata: ${JSON.stringify({ reason })}\n\n`)
  }

  #schedule = (): void => {
    if (this.#scheduled || this.#stall !== undefined) return
    this.#scheduled = true
    setImmediate(this.#pump)
  }

  #pump = (): void => {
    this.#scheduled = false
    if (this.#stall !== undefined || this.#response.destroyed || this.#response.writableEnded) return
    // A client that knows more than there is resumes a stream of another life of the platform.
    const lost = this.#sent + 1 < this.#trace.oldest || this.#sent > this.#trace.told
    let text = lost ? this.#gap(this.#trace.oldest) : ''
    for (const event of this.#trace.since(this.#sent, BATCH)) {
      if (event.sequence > this.#trace.told) break
      text += textOf(event)
      this.#sent = event.sequence
    }
    if (text !== '') this.#write(text)
    if (this.#sent < this.#trace.told) this.#schedule()
    else if (this.#ended()) this.end('nothing more will happen')
  }

  /** The event that tells: those up to the one before `oldest` are lost to this client. */
  #gap(oldest: number): string {
    const detail = { lastEventId: this.#sent, resumesAt: oldest }
    this.#sent = oldest - 1
    return `id: ${this.#sent}\nevent: gap\ndata: ${JSON.stringify(detail)}\n\n`
  }

  #write(text: string): void {
    if (this.#response.write(text) || this.#stall !== undefined) return
    this.#stall = setTimeout(this.#shed, this.#options.stalledMs)
  }

  #shed = (): void => {
    this.#options.onShed?.()
    this.#response.destroy()
  }

  #drained = (): void => {
    clearTimeout(this.#stall)
    this.#stall = undefined
    this.#schedule()
  }

  #stop = (): void => {
    this.#stopFollowing()
    clearInterval(this.#heartbeat)
    clearTimeout(this.#stall)
  }
}
