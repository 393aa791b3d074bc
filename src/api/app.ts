/** The REST face as a Fastify app: routes from the table, one form of error, the contract and its pages. */
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyServerOptions,
  LogController,
} from 'fastify'
import { Guard, type Namespaces } from '../access/index.ts'
import { NorthbridgeError } from '../core/index.ts'
import { JSON_MEDIA_TYPE, parseBody } from './body.ts'
import { addCatchingUp } from './catching-up.ts'
import { CommandRunner } from './commands.ts'
import { addConsole } from './console.ts'
import { addContract } from './contract.ts'
import { addGate } from './gate.ts'
import { addHealth } from './health.ts'
import { addMetrics } from './metrics.ts'
import { PROBLEM_TYPE, problemOf } from './problems.ts'
import { addRequestLog, newRequestId, senderOf } from './request-log.ts'
import { addRoutes } from './routes.ts'
import { addSecurityHeaders } from './security-headers.ts'
import { Tenants } from './tenants.ts'
import { addTracing, type Tracer } from './tracing/index.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The body as it came, for telling requests apart. */
    rawBody: string
  }
}

export interface AppOptions {
  readonly namespaces: Namespaces
  /** Default: everybody on this machine may do everything. */
  readonly guard?: Guard
  /** Default: no log. */
  readonly logger?: FastifyServerOptions['logger']
  /** Default: no traces. */
  readonly tracer?: Tracer | undefined
  /** Whether the process is measured too; there is one of it. */
  readonly measuresProcess?: boolean
  /** Bytes; default: as the limits of the namespaces say. */
  readonly bodyLimit?: number
  readonly heartbeatMs?: number
  readonly stalledMs?: number
}

/** Connections at a time, so that nobody can take all file descriptors of the process. */
const MOST_CONNECTIONS = 10_000

export async function buildApp(options: AppOptions): Promise<FastifyInstance> {
  const { namespaces, logger = false, heartbeatMs = 15_000, stalledMs = 30_000 } = options
  const app: FastifyInstance = Fastify({
    logger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request' }),
    genReqId: newRequestId,
    requestIdHeader: false,
    bodyLimit: options.bodyLimit ?? namespaces.requestMiB * 2 ** 20,
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
  app.server.maxConnections = MOST_CONNECTIONS

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
    if (problem.status >= 500) request.log.error({ err: error, ...senderOf(request) })
    return reply.code(problem.status).type(PROBLEM_TYPE).send(JSON.stringify(problem))
  })
  app.setNotFoundHandler(request => {
    throw new NorthbridgeError('notFound', `There is no ${request.method} ${request.url.split('?')[0]}`)
  })

  const guard = options.guard ?? (await Guard.open())
  const tenants = new Tenants(namespaces)
  const commands = new CommandRunner()
  // Each sees the requests before those that come after it: what is refused is traced, measured and logged too.
  addTracing(app, options.tracer)
  addRequestLog(app)
  await addSecurityHeaders(app)
  addGate(app, { guard, namespaces, tenants })
  const ofProcess = options.measuresProcess ?? false
  const metrics = addMetrics(app, { namespaces, tenants, commands, ofProcess })
  await addContract(app)
  addHealth(app, namespaces)
  addRoutes(app, {
    commands,
    stream: ({ principal }) => ({
      heartbeatMs,
      stalledMs,
      allowed: () => principal === null || guard.isStillValid(principal),
      onShed: metrics.shed,
    }),
  })
  addCatchingUp(app, namespaces, commands)
  await addConsole(app)
  app.addHook('preClose', async () => {
    for (const { streams } of tenants.all()) {
      for (const stream of streams.keys()) stream.end('the server is shutting down')
    }
  })
  return app
}
