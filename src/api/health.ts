/** Whether the process lives, and whether it can do what it is asked. */
import type { FastifyInstance } from 'fastify'
import type { Namespaces } from '../access/index.ts'

const status = (which: object) => ({
  type: 'object',
  properties: { status: { type: 'string', ...which } },
  required: ['status'],
  additionalProperties: false,
})

export function addHealth(app: FastifyInstance, namespaces: Namespaces): void {
  let closing = false
  app.addHook('preClose', async () => {
    closing = true
  })
  app.get(
    '/healthz',
    {
      schema: {
        operationId: 'health',
        summary: 'Says that the server answers',
        tags: ['server'],
        response: { 200: status({ const: 'ok' }) },
      },
    },
    () => ({ status: 'ok' }),
  )
  app.get(
    '/readyz',
    {
      schema: {
        operationId: 'readiness',
        summary:
          'Says whether commands are taken: not while the server shuts down or its store cannot keep them',
        tags: ['server'],
        response: { 200: status({ const: 'ready' }), 503: status({ enum: ['closing', 'storeFailed'] }) },
      },
    },
    (_request, reply) => {
      const trouble = closing ? 'closing' : namespaces.trouble === undefined ? undefined : 'storeFailed'
      return reply
        .code(trouble === undefined ? 200 : 503)
        .type('application/json')
        .send(JSON.stringify({ status: trouble ?? 'ready' }))
    },
  )
}
