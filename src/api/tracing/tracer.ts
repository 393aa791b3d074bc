/** Traces of requests, where a collector was named in the environment as OpenTelemetry's specification has it. */
import { randomInt } from 'node:crypto'
import { NorthbridgeError } from '../../core/index.ts'
import { SpanExporter } from './exporter.ts'
import { newTraceId, parseTraceparent, SERVER, Span } from './span.ts'

type Environment = Readonly<Record<string, string | undefined>>

export class Tracer {
  readonly exporter: SpanExporter
  /** Of the traces that begin here. */
  readonly #share: number

  constructor(exporter: SpanExporter, share = 1) {
    this.exporter = exporter
    this.#share = share
  }

  /**
   * As "OpenTelemetry Environment Variable Specification" and "OpenTelemetry Protocol Exporter" say; undefined if nothing asks
   * for traces. Throws `invalidArgument`.
   */
  static fromEnvironment(environment: Environment): Tracer | undefined {
    const base = environment['OTEL_EXPORTER_OTLP_ENDPOINT']
    const own = environment['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']
    const url = own ?? (base && `${base.replace(/\/$/, '')}/v1/traces`)
    if (!url || environment['OTEL_SDK_DISABLED'] === 'true') return undefined
    if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
      throw new NorthbridgeError(
        'invalidArgument',
        `OTEL_EXPORTER_OTLP_ENDPOINT is no http address: "${url}"`,
      )
    }
    const headers = {
      ...headersOf(environment['OTEL_EXPORTER_OTLP_HEADERS']),
      ...headersOf(environment['OTEL_EXPORTER_OTLP_TRACES_HEADERS']),
    }
    const serviceName = environment['OTEL_SERVICE_NAME'] || 'northbridge'
    return new Tracer(new SpanExporter({ url, headers, serviceName }), shareOf(environment))
  }

  /** The span of a request, in the trace that its `traceparent` names. */
  begin(name: string, traceparent: unknown): Span {
    const above = parseTraceparent(traceparent)
    const parent = above ?? { traceId: newTraceId(), sampled: this.#isSampled() }
    return new Span(name, SERVER, parent, span => this.exporter.add(span))
  }

  #isSampled(): boolean {
    return this.#share >= 1 || randomInt(1_000_000) < this.#share * 1_000_000
  }

  close(): Promise<void> {
    return this.exporter.close()
  }
}

/** "key1=value1,key2=value2", values percent-encoded. */
function headersOf(text = ''): Record<string, string> {
  const pairs = text.split(',').filter(pair => pair.trim() !== '')
  return Object.fromEntries(
    pairs.map(pair => {
      const [, name, value] = /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/.exec(pair) ?? []
      if (name === undefined) {
        throw new NorthbridgeError(
          'invalidArgument',
          'OTEL_EXPORTER_OTLP_HEADERS must look like name=value,…',
        )
      }
      return [name, decodeURIComponent(value!)]
    }),
  )
}

function shareOf({
  OTEL_TRACES_SAMPLER: sampler = '',
  OTEL_TRACES_SAMPLER_ARG: text = '1',
}: Environment): number {
  if (sampler.endsWith('always_off')) return 0
  if (!sampler.endsWith('traceidratio')) return 1
  const share = Number(text)
  if (share >= 0 && share <= 1) return share
  throw new NorthbridgeError('invalidArgument', `OTEL_TRACES_SAMPLER_ARG must be 0 to 1, not "${text}"`)
}
