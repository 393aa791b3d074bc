/** A piece of work with a beginning and an end, as OpenTelemetry has it, and its place among others (W3C Trace Context). */
import { randomBytes } from 'node:crypto'

/** Values of attributes: text, and numbers that are whole. */
export type Attributes = Readonly<Record<string, string | number>>

export interface SpanContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string
  /** 16 hexadecimal digits. */
  readonly spanId: string
  readonly sampled: boolean
}

/** As OTLP numbers them: one inside of a process, one that serves a request. */
export const INTERNAL = 1
export const SERVER = 2

export interface EndedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly name: string
  readonly kind: typeof INTERNAL | typeof SERVER
  /** Milliseconds since 1970. */
  readonly beginMs: number
  readonly endMs: number
  readonly attributes: Attributes
  readonly failed: boolean
}

const nowMs = (): number => performance.timeOrigin + performance.now()

export class Span {
  readonly context: SpanContext
  readonly #parentSpanId: string | undefined
  readonly #name: string
  readonly #kind: EndedSpan['kind']
  readonly #beginMs = nowMs()
  readonly #ended: (span: EndedSpan) => void

  constructor(
    name: string,
    kind: EndedSpan['kind'],
    parent: Pick<SpanContext, 'traceId' | 'sampled'> & { readonly spanId?: string },
    ended: (span: EndedSpan) => void,
  ) {
    this.context = {
      traceId: parent.traceId,
      spanId: randomBytes(8).toString('hex'),
      sampled: parent.sampled,
    }
    this.#parentSpanId = parent.spanId
    this.#name = name
    this.#kind = kind
    this.#ended = ended
  }

  child(name: string): Span {
    return new Span(name, INTERNAL, this.context, this.#ended)
  }

  /** @param name a better one than at the beginning, where it is known at the end only */
  end(attributes: Attributes = {}, failed = false, name = this.#name): void {
    if (!this.context.sampled) return
    this.#ended({
      traceId: this.context.traceId,
      spanId: this.context.spanId,
      parentSpanId: this.#parentSpanId,
      name,
      kind: this.#kind,
      beginMs: this.#beginMs,
      endMs: nowMs(),
      attributes,
      failed,
    })
  }
}

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/

/** What a `traceparent` header says (W3C Trace Context, 3.2); undefined if it is not one. */
export function parseTraceparent(text: unknown): SpanContext | undefined {
  const [, traceId, spanId, flags] = (typeof text === 'string' && TRACEPARENT.exec(text)) || []
  if (traceId === undefined || text === undefined || (text as string).startsWith('ff')) return undefined
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId!)) return undefined
  return { traceId, spanId: spanId!, sampled: (Number.parseInt(flags!, 16) & 1) === 1 }
}

export const newTraceId = (): string => randomBytes(16).toString('hex')
