/** Renders the table of operations as routes. No rule about an operation lives here. */
import type { TObject, TSchema } from '@sinclair/typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Issue, NorthbridgeError } from '../core/index.ts'
import {
  type InputOf,
  invalid,
  issuesOf,
  type Operation,
  type OperationId,
  operationEntries,
  type Page,
  pageOf,
  platformsOf,
} from '../operations/index.ts'
import type { CommandRunner } from './commands.ts'
import { EventStream, type StreamOptions } from './event-stream.ts'
import type { Answer, AnswerIdentity } from './idempotency.ts'
import { PROBLEM_TYPE, problemOf } from './problems.ts'
import { senderOf } from './request-log.ts'
import { PageQuery, type RouteInput, routeInput, routeSchema } from './route-schema.ts'
import { REPORT_POLICY } from './security-headers.ts'
import { checkStreams, type Tenant } from './tenants.ts'
import type { Span } from './tracing/index.ts'

export interface RouteOptions {
  readonly commands: CommandRunner
  readonly stream: (request: FastifyRequest) => StreamOptions
}

export function addRoutes(app: FastifyInstance, options: RouteOptions): void {
  for (const [id, row] of operationEntries()) {
    const shape = routeInput(row)
    const respond = responder(id, row, shape, options)
    app.route({
      method: row.rest.method,
      url: row.rest.path.replace(/\{(\w+)\}/g, ':$1'),
      schema: routeSchema(id, row, shape),
      config: { row },
      handler: async (request, reply) => {
        if (row.follow !== undefined && wantsEvents(request))
          return openStream(row, shape, request, reply, respond, options)
        const key = request.headers['idempotency-key']
        if (row.rest.method !== 'POST' || key === undefined) return send(reply, await respond(request))
        const identity = [request.method, request.url, request.rawBody]
        const { answer, replayed } = await tenantOf(request).idempotency.answer(String(key), identity, kept =>
          settled(request, respond, kept),
        )
        if (replayed) reply.header('idempotent-replayed', 'true')
        return send(reply, answer)
      },
    })
  }
}

/** The gate lets no request for an operation pass without. */
const tenantOf = ({ tenant }: FastifyRequest): Tenant => tenant!

const send = (reply: FastifyReply, { status, headers, body }: Answer): FastifyReply =>
  reply
    .code(status)
    .headers(headers)
    .send(body === '' ? undefined : body)

/** @param kept what the answer is kept under, for a request that may be sent again */
type Respond = (request: FastifyRequest, kept?: AnswerIdentity) => Promise<Answer>

/** Refusals are answers too: a request under an idempotency key is refused the same way again. */
async function settled(request: FastifyRequest, respond: Respond, kept: AnswerIdentity): Promise<Answer> {
  try {
    return await respond(request, kept)
  } catch (error) {
    return refusal(request, error)
  }
}

function refusal(request: FastifyRequest, error: unknown): Answer {
  if (!(error instanceof NorthbridgeError)) request.log.error({ err: error, ...senderOf(request) })
  const problem = problemOf(error, request.url)
  return {
    status: problem.status,
    headers: { 'content-type': PROBLEM_TYPE },
    body: JSON.stringify(problem),
  }
}

function responder(id: OperationId, row: Operation, shape: RouteInput, { commands }: RouteOptions): Respond {
  return async (request, kept) => {
    const { namespace, streams } = tenantOf(request)
    const { name: owner, context, journal } = namespace
    const input = inputOf(shape, request)
    const page = row.list === undefined ? undefined : pageQuery(shape, request)
    const answerTo = (output: unknown): Answer => answerOf(row, input, output, page)
    const line = typeof input['platform'] === 'string' ? input['platform'] : undefined
    const lines = platformsOf(row, context, input)
    let answer: Answer | undefined
    const waiting = request.span?.child('wait for the turn')
    let working: Span | undefined
    const { durable } = await commands.run(owner, lines, () => {
      waiting?.end()
      working = request.span?.child(id)
      return journal.execute(id, input as InputOf<OperationId>, outcome => {
        answer = 'error' in outcome ? refusal(request, outcome.error) : answerTo(outcome.output)
        return kept === undefined || answer.status >= 500 ? undefined : { ...kept, ...answer }
      })
    })
    working?.end()
    const keeping = request.span?.child('keep')
    await durable
    keeping?.end()
    if (line !== undefined && !context.platforms.has(line)) endStreams(streams, line)
    return answer!
  }
}

function answerOf(
  row: Operation,
  input: Input,
  output: unknown,
  page: { readonly limit?: number; readonly cursor?: string } | undefined,
): Answer {
  const { status = 200, location, media } = row.rest
  if (status === 204) return { status, headers: {}, body: '' }
  const result: unknown | Page =
    page === undefined ? output : pageOf(output as readonly unknown[], row.list!.key, page.limit, page.cursor)
  const headers: Record<string, string> = {
    'content-type': `${media ?? 'application/json'}; charset=utf-8`,
  }
  if (media === 'text/html') headers['content-security-policy'] = REPORT_POLICY
  if (location !== undefined) headers['location'] = fill(location, { ...input, ...(output as object) })
  return { status, headers, body: media === undefined ? JSON.stringify(result) : String(result) }
}

const fill = (template: string, values: Readonly<Record<string, unknown>>): string =>
  template.replace(/\{(\w+)\}/g, (_match, name: string) => encodeURIComponent(String(values[name])))

function endStreams(streams: Tenant['streams'], gone: string): void {
  for (const [stream, platform] of streams) if (platform === gone) stream.end('the platform is gone')
}

type Input = Readonly<Record<string, unknown>>

/** The input of an operation from path, query and body. Throws `invalidArgument` for what belongs to none. */
function inputOf(shape: RouteInput, request: FastifyRequest): Input {
  const params = request.params as Readonly<Record<string, string>>
  const { body } = request
  const fromPath = Object.entries(params).map(([name, text]) => {
    const value = typed(shape.params, name, text)
    if (typeof value === 'string' && isInteger(shape.params, name)) {
      throw new NorthbridgeError('notFound', `There is no ${name} "${text}"`)
    }
    return [name, value] as const
  })
  if (shape.query === undefined) refuseFields(Object.keys(request.query as object))
  if (shape.wholeBody !== undefined) {
    if (body === undefined) throw invalid([{ path: '', message: 'is required: the request has no body' }])
    return Object.fromEntries([...fromPath, [shape.wholeBody, body]])
  }
  const isQuery = shape.query !== undefined
  const fields = isQuery ? withoutPage(shape, request) : body === undefined ? {} : body
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) {
    throw invalid([{ path: '', message: 'must be an object' }])
  }
  if (isQuery && body !== undefined) throw invalid([{ path: '', message: 'must not have a body' }])
  refuseFields(Object.keys(fields).filter(name => Object.hasOwn(params, name)))
  return Object.fromEntries([...Object.entries(fields), ...fromPath])
}

function refuseFields(names: readonly string[]): void {
  const issues: Issue[] = names.map(name => ({ path: `/${name}`, message: 'is not a known field' }))
  if (issues.length > 0) throw invalid(issues)
}

const withoutPage = (shape: RouteInput, request: FastifyRequest): object =>
  Object.fromEntries(
    Object.entries(request.query as Record<string, unknown>)
      .filter(([name]) => !shape.paged || !Object.hasOwn(PageQuery.properties, name))
      .map(([name, text]) => [name, typed(shape.query!, name, text)]),
  )

function pageQuery(shape: RouteInput, request: FastifyRequest): { limit?: number; cursor?: string } {
  const query = Object.fromEntries(
    Object.entries(request.query as Record<string, unknown>)
      .filter(([name]) => shape.paged && Object.hasOwn(PageQuery.properties, name))
      .map(([name, text]) => [name, typed(PageQuery, name, text)]),
  )
  const issues = issuesOf(PageQuery, query)
  if (issues.length > 0) throw invalid(issues)
  return query
}

const isInteger = (schema: TObject, name: string): boolean =>
  (schema.properties[name] as TSchema | undefined)?.['type'] === 'integer'

/** Text of a path or query as the number that it must be; left as it is where it is not one, for the judge. */
const typed = (schema: TObject, name: string, text: unknown): unknown =>
  isInteger(schema, name) && typeof text === 'string' && /^(?:0|[1-9]\d{0,15})$/.test(text)
    ? Number(text)
    : text

/** Who makes something has to ask for its events; who asks for events has to ask for JSON. */
function wantsEvents({ method, headers: { accept = '' } }: FastifyRequest): boolean {
  return /event-stream/.test(accept) || (method === 'GET' && !/application\/json/.test(accept))
}

async function openStream(
  { follow }: Operation,
  shape: RouteInput,
  request: FastifyRequest,
  reply: FastifyReply,
  respond: Respond,
  { stream: options }: RouteOptions,
): Promise<FastifyReply> {
  const tenant = tenantOf(request)
  const { streams } = tenant
  checkStreams(tenant)
  const input = inputOf(shape, request) as { platform?: string; after?: number }
  const lastEventId = request.headers['last-event-id']
  if (lastEventId !== undefined && !/^\d{1,15}$/.test(String(lastEventId))) {
    throw new NorthbridgeError('invalidArgument', 'Last-Event-ID must be the id of an event of this stream')
  }
  const made = request.method === 'GET' ? undefined : JSON.parse((await respond(request)).body)
  const followed = follow!(tenant.namespace.context, input as never, made as never)
  reply.hijack()
  const from = lastEventId === undefined ? (input.after ?? 0) : Number(lastEventId)
  const stream = new EventStream(reply.raw, followed, from, options(request))
  streams.set(stream, input.platform)
  reply.raw.on('close', () => streams.delete(stream))
  return reply
}
