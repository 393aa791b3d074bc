/** The REST face as a Fastify app: routes from the table, one form of error, the contract and its pages. */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyServerOptions,
} from 'fastify'
import { NorthbridgeError, VERSION } from '../core/index.ts'
import type { OperationContext } from '../operations/index.ts'
import { JSON_MEDIA_TYPE, parseBody } from './body.ts'
import { CommandRunner } from './commands.ts'
import { addConsole } from './console.ts'
import type { EventStream } from './event-stream.ts'
import { liftComponents, markComponents } from './openapi.ts'
import { PROBLEM_TYPE, problemOf } from './problems.ts'
import { addRoutes } from './routes.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The body as it came, for telling requests apart. */
    rawBody: string
  }
}

export interface AppOptions {
  readonly context: OperationContext
  /** Default: no log. */
  readonly logger?: FastifyServerOptions['logger']
  /** Bytes. */
  readonly bodyLimit?: number
  readonly heartbeatMs?: number
  readonly stalledMs?: number
}

export async function buildApp(options: AppOptions): Promise<FastifyInstance> {
  const {
    context,
    logger = false,
    bodyLimit = 16 * 2 ** 20,
    heartbeatMs = 15_000,
    stalledMs = 30_000,
  } = options
  const app: FastifyInstance = Fastify({
    logger,
    bodyLimit,
    exposeHeadRoutes: false,
    requestTimeout: 60_000,
    routerOptions: { maxParamLength: 256 },
    frameworkErrors: (error, request, reply) => {
      const answer = reply as unknown as FastifyReply
      answer
        .code(400)
        .type(PROBLEM_TYPE)
        .send(JSON.stringify(problemOf(error, request.url)))
    },
  })

  // The operations judge their input; nothing between the wire and them may repair it.
  app.setValidatorCompiler(() => () => true)
  app.setSerializerCompiler(() => data => JSON.stringify(data))

  app.decorateRequest('rawBody', '')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(JSON_MEDIA_TYPE, { parseAs: 'string' }, (request, body, done) => {
    try {
      request.rawBody = body as string
      done(null, parseBody(request.rawBody))
    } catch (error) {
      done(error as Error)
    }
  })

  app.setErrorHandler((error: FastifyError, request, reply) => {
    const problem = problemOf(error, request.url)
    if (problem.status >= 500) request.log.error(error)
    return reply.code(problem.status).type(PROBLEM_TYPE).send(JSON.stringify(problem))
  })
  app.setNotFoundHandler(request => {
    throw new NorthbridgeError('notFound', `There is no ${request.method} ${request.url.split('?')[0]}`)
  })

  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Northbridge',
        description:
          'I/O virtualization platform simulator: platforms, virtual machines and assigned functions.',
        version: VERSION,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
    },
    transform: ({ schema, url }) => ({ schema: markComponents(schema) as typeof schema, url }),
    transformObject: document =>
      liftComponents('openapiObject' in document ? document.openapiObject : document.swaggerObject) as never,
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: true,
    uiConfig: { validatorUrl: null, docExpansion: 'list' } as never,
  })

  app.get(
    '/healthz',
    {
      schema: {
        operationId: 'health',
        summary: 'Says that the server answers',
        tags: ['server'],
        response: {
          200: {
            type: 'object',
            properties: { status: { type: 'string', const: 'ok' } },
            required: ['status'],
            additionalProperties: false,
          },
        },
      },
    },
    () => ({ status: 'ok' }),
  )
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger())

  await addConsole(app)

  const streams = new Map<EventStream, string>()
  addRoutes(app, { context, commands: new CommandRunner(), streams, stream: { heartbeatMs, stalledMs } })
  app.addHook('preClose', async () => {
    for (const stream of streams.keys()) stream.end('the server is shutting down')
  })
  return app
}
