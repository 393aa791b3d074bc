/**
 * Sends spans to a collector: OTLP over HTTP in JSON (OpenTelemetry Protocol, "OTLP/HTTP", "JSON Protobuf Encoding"). What the
 * collector does not take is lost: traces are worth no waiting and no memory.
 */
import { VERSION } from '../../core/index.ts'
import type { Attributes, EndedSpan } from './span.ts'

/** Spans that wait for being sent at most. */
const MOST_WAITING = 4_096
const BATCH = 512
const EVERY_MS = 5_000
const PATIENCE_MS = 10_000

export interface ExporterOptions {
  /** Whole address, e.g. `http://127.0.0.1:4318/v1/traces`. */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly serviceName: string
  readonly everyMs?: number
}

export class SpanExporter {
  readonly #options: ExporterOptions
  readonly #timer: NodeJS.Timeout
  #waiting: EndedSpan[] = []
  #sending: Promise<void> | undefined
  /** Spans that never reached the collector. */
  lost = 0

  constructor(options: ExporterOptions) {
    this.#options = options
    this.#timer = setInterval(() => void this.flush(), options.everyMs ?? EVERY_MS)
    this.#timer.unref()
  }

  add(span: EndedSpan): void {
    if (this.#waiting.length >= MOST_WAITING) this.lost++
    else if (this.#waiting.push(span) === BATCH) void this.flush()
  }

  /** Resolves when everything so far was sent, or lost. */
  flush(): Promise<void> {
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined
    })
    return this.#sending
  }

  async #sendAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, BATCH)
      if (!(await this.#send(batch))) this.lost += batch.length
    }
  }

  async #send(spans: readonly EndedSpan[]): Promise<boolean> {
    const { url, headers, serviceName } = this.#options
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(requestOf(spans, serviceName)),
        signal: AbortSignal.timeout(PATIENCE_MS),
      })
      await response.arrayBuffer()
      return response.ok
    } catch {
      return false
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.flush()
  }
}

/** An `ExportTraceServiceRequest`. */
const requestOf = (spans: readonly EndedSpan[], serviceName: string): object => ({
  resourceSpans: [
    {
      resource: { attributes: pairs({ 'service.name': serviceName, 'service.version': VERSION }) },
      scopeSpans: [{ scope: { name: 'northbridge', version: VERSION }, spans: spans.map(spanOf) }],
    },
  ],
})

/** STATUS_CODE_UNSET and STATUS_CODE_ERROR. */
const UNSET = 0
const ERROR = 2

const spanOf = (span: EndedSpan): object => ({
  traceId: span.traceId,
  spanId: span.spanId,
  ...(span.parentSpanId !== undefined && { parentSpanId: span.parentSpanId }),
  name: span.name,
  kind: span.kind,
  startTimeUnixNano: nanoseconds(span.beginMs),
  endTimeUnixNano: nanoseconds(span.endMs),
  attributes: pairs(span.attributes),
  status: { code: span.failed ? ERROR : UNSET },
})

/** 64-bit integers are text in this encoding. */
const nanoseconds = (ms: number): string => String(BigInt(Math.round(ms * 1000)) * 1000n)

const pairs = (attributes: Attributes): object[] =>
  Object.entries(attributes).map(([key, value]) => ({
    key,
    value: typeof value === 'string' ? { stringValue: value } : { intValue: String(Math.round(value)) },
  }))
