/** Adds spans of requests to the server. */
import type { FastifyInstance } from 'fastify'
import type { Span } from './span.ts'
import type { Tracer } from './tracer.ts'

export { SpanExporter } from './exporter.ts'
export type { Span } from './span.ts'
export { Tracer } from './tracer.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Null where nobody asks for traces. */
    span: Span | null
  }
}

/** Attributes are named as "Semantic conventions for HTTP spans" has them. */
export function addTracing(app: FastifyInstance, tracer: Tracer | undefined): void {
  app.decorateRequest('span', null)
  if (tracer === undefined) return
  app.addHook('onRequest', (request, _reply, done) => {
    request.span = tracer.begin(request.method, request.headers['traceparent'])
    done()
  })
  app.addHook('onResponse', (request, reply, done) => {
    const { url: route, schema } = request.routeOptions
    const { operationId } = (schema ?? {}) as { operationId?: string }
    request.span?.end(
      {
        'http.request.method': request.method,
        'http.response.status_code': reply.statusCode,
        ...(route !== undefined && { 'http.route': route }),
        ...(operationId !== undefined && { 'northbridge.operation': operationId }),
        ...(request.tenant !== null && { 'northbridge.namespace': request.tenant.namespace.name }),
      },
      reply.statusCode >= 500,
      route === undefined ? request.method : `${request.method} ${route}`,
    )
    done()
  })
  app.addHook('onClose', () => tracer.close())
}
