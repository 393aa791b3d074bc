/** What a route says of itself in the HTTP contract, made from a row of the table of operations. */
import { type TObject, type TSchema, Type } from '@sinclair/typebox'
import type { FastifySchema } from 'fastify'
import { CODE_NUMBERS, DEFAULT_LIMIT, MOST_LIMIT, type Operation } from '../operations/index.ts'
import { PROBLEM_TYPE } from './problems.ts'

/** Where the parts of an operation's input travel. */
export interface RouteInput {
  readonly params: TObject
  /** GET and DELETE: what is not in the path. */
  readonly query?: TObject
  /** POST and PUT: the same, as a JSON object. */
  readonly body?: TSchema
  /** Name of the input property that is the whole body. */
  readonly wholeBody?: string
  readonly paged: boolean
}

export const PageQuery = Type.Object(
  {
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MOST_LIMIT,
        description: `Items of a page; default ${DEFAULT_LIMIT}`,
      }),
    ),
    cursor: Type.Optional(Type.String({ description: '`next` of the page before' })),
  },
  { additionalProperties: false },
)

export const ProblemSchema = Type.Object(
  {
    type: Type.String({ description: '`urn:northbridge:problem:<code>`' }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    code: Type.String({ enum: Object.keys(CODE_NUMBERS) }),
    instance: Type.Optional(Type.String()),
    issues: Type.Optional(
      Type.Array(
        Type.Object({
          path: Type.String({ description: 'JSON pointer of the wrong field' }),
          message: Type.String(),
        }),
      ),
    ),
  },
  { $id: 'Problem', description: 'RFC 9457. Further members carry the facts of the error.' },
)

const pick = (input: TObject, keep: (name: string) => boolean): TObject =>
  Type.Object(Object.fromEntries(Object.entries(input.properties).filter(([name]) => keep(name))), {
    additionalProperties: false,
  })

export function routeInput({ rest, input, list }: Operation): RouteInput {
  const inPath = [...rest.path.matchAll(/\{(\w+)\}/g)].map(match => match[1]!)
  const params = pick(input as TObject, name => inPath.includes(name))
  const others = pick(input as TObject, name => !inPath.includes(name))
  const paged = list !== undefined
  if (rest.body !== undefined)
    return { params, body: others.properties[rest.body]!, wholeBody: rest.body, paged }
  if (rest.method === 'GET' || rest.method === 'DELETE') return { params, query: others, paged }
  return { params, body: others, paged }
}

const problem = (description: string) => ({
  description,
  content: { [PROBLEM_TYPE]: { schema: ProblemSchema } },
})

/** Request headers that mean something to a route. */
function headersOf({ rest: { method }, follow }: Operation): FastifySchema {
  if (follow && method === 'GET') {
    const lastEventId = Type.String({ description: 'Resumes a stream behind this event' })
    return { headers: Type.Object({ 'Last-Event-ID': Type.Optional(lastEventId) }) }
  }
  if (method !== 'POST') return {}
  const key = Type.String({
    minLength: 1,
    maxLength: 255,
    description: 'Makes sending the request again safe',
  })
  return { headers: Type.Object({ 'Idempotency-Key': Type.Optional(key) }) }
}

/** What may be wrong with any request. */
const ALWAYS = ['malformedInput', 'invalidArgument', 'unauthenticated', 'forbidden', 'limitExceeded'] as const

export function routeSchema(id: string, row: Operation, shape: RouteInput): FastifySchema {
  const { rest, output, errors, summary, list, follow } = row
  const query = { ...shape.query?.properties, ...(shape.paged ? PageQuery.properties : {}) }
  const has = (properties: object | undefined) => Object.keys(properties ?? {}).length > 0
  const statuses = new Map<number, string[]>()
  // Whatever needs power needs a kernel that goes on too.
  const halts = errors.includes('poweredOff') ? (['hostHalted'] as const) : []
  for (const code of new Set([...errors, ...halts, ...ALWAYS])) {
    const { status } = CODE_NUMBERS[code]
    statuses.set(status, [...(statuses.get(status) ?? []), code])
  }
  const success =
    list === undefined
      ? output
      : Type.Object(
          {
            items: output,
            next: Type.Optional(Type.String({ description: 'Cursor of the next page; absent on the last' })),
          },
          { additionalProperties: false },
        )
  return {
    operationId: id,
    summary,
    tags: [row.words.split(' ')[0]!],
    ...(has(shape.params.properties) ? { params: shape.params } : {}),
    ...(has(query) ? { querystring: Type.Object(query, { additionalProperties: false }) } : {}),
    ...(shape.body === undefined || (shape.wholeBody === undefined && !has(shape.body['properties']))
      ? {}
      : { body: shape.body }),
    ...headersOf(row),
    response: {
      [rest.status ?? 200]:
        rest.status === 204
          ? { type: 'null', description: 'Done' }
          : {
              description: summary,
              content: {
                [rest.media ?? 'application/json']: { schema: success },
                ...(follow ? { 'text/event-stream': { schema: Type.String() } } : {}),
              },
            },
      ...Object.fromEntries([...statuses].map(([status, codes]) => [status, problem(codes.join(', '))])),
      default: problem('Any other error'),
    },
  } as FastifySchema
}
