import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Namespaces } from '../../src/access/index.ts'
import { buildApp } from '../../src/api/index.ts'
import { SpanExporter, Tracer } from '../../src/api/tracing/index.ts'

interface OtlpSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: { key: string; value: { stringValue?: string; intValue?: string } }[]
}

let collector: Server
let url = ''
const received: { headers: NodeJS.Dict<string | string[]>; path: string; body: string }[] = []
beforeAll(async () => {
  collector = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    received.push({ headers: request.headers, path: request.url!, body: Buffer.concat(chunks).toString() })
    response.end('{}')
  }).listen(0, '127.0.0.1')
  await once(collector, 'listening')
  url = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`
})
afterAll(() => collector.close())

const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

async function ask(tracer: Tracer, headers: Record<string, string> = {}): Promise<OtlpSpan[]> {
  received.length = 0
  const app = await buildApp({ namespaces: await Namespaces.open(), tracer })
  await app.inject({ method: 'GET', url: '/v1/platforms/p?x=secret', headers })
  await app.inject({ method: 'GET', url: '/v1/platforms', headers })
  await app.close()
  return received.flatMap(({ body }) => JSON.parse(body).resourceSpans[0].scopeSpans[0].spans)
}

describe('traces', () => {
  it('tell a collector of requests and of what they waited for', async () => {
    const tracer = Tracer.fromEnvironment({
      OTEL_EXPORTER_OTLP_ENDPOINT: `${url}/`,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-key=a%20b',
    })!
    const spans = await ask(tracer)
    expect(received[0]).toMatchObject({ path: '/v1/traces', headers: { 'x-key': 'a b' } })
    const list = spans.find(({ name }) => name === 'GET /v1/platforms')!
    expect(list.kind).toBe(2)
    expect(list.traceId).toMatch(/^[0-9a-f]{32}$/)
    const attributes = Object.fromEntries(
      list.attributes.map(({ key, value }) => [key, value.stringValue ?? Number(value.intValue)]),
    )
    expect(attributes).toEqual({
      'http.request.method': 'GET',
      'http.response.status_code': 200,
      'http.route': '/v1/platforms',
      'northbridge.operation': 'platforms',
      'northbridge.namespace': 'default',
    })
    const inside = spans.filter(({ parentSpanId }) => parentSpanId === list.spanId)
    expect(inside.map(({ name }) => name)).toEqual(['wait for the turn', 'platforms', 'keep'])
    for (const span of inside) {
      expect(span).toMatchObject({ kind: 1, traceId: list.traceId })
      expect(BigInt(span.endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(span.startTimeUnixNano))
    }
    expect(JSON.stringify(spans)).not.toContain('secret')
  })

  it('go on where the client began, and are not begun where it asks for none', async () => {
    const tracer = () =>
      new Tracer(new SpanExporter({ url: `${url}/v1/traces`, headers: {}, serviceName: 'x' }))
    const [, traceId, spanId] = PARENT.split('-')
    const spans = await ask(tracer(), { traceparent: PARENT })
    const roots = spans.filter(({ kind }) => kind === 2)
    expect(roots.map(span => [span.traceId, span.parentSpanId])).toEqual([
      [traceId, spanId],
      [traceId, spanId],
    ])
    expect(await ask(tracer(), { traceparent: PARENT.replace(/01$/, '00') })).toEqual([])
    const strange = await ask(tracer(), { traceparent: PARENT.replace(/^00/, 'ff') })
    expect(strange.find(({ kind }) => kind === 2)!.traceId).not.toBe(traceId)
  })

  it('are lost, and nothing else, where nobody collects them', async () => {
    const exporter = new SpanExporter({ url: 'http://127.0.0.1:1/', headers: {}, serviceName: 'x' })
    expect(await ask(new Tracer(exporter))).toEqual([])
    expect(exporter.lost).toBeGreaterThan(0)
  })

  it('are made only if the environment asks for them, as it has to', () => {
    expect(Tracer.fromEnvironment({})).toBeUndefined()
    expect(
      Tracer.fromEnvironment({ OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_SDK_DISABLED: 'true' }),
    ).toBeUndefined()
    expect(() => Tracer.fromEnvironment({ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector' })).toThrow(
      'no http address',
    )
    const sampled = { OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_TRACES_SAMPLER: 'parentbased_traceidratio' }
    expect(() => Tracer.fromEnvironment({ ...sampled, OTEL_TRACES_SAMPLER_ARG: '2' })).toThrow('0 to 1')
  })
})
