/**
 * A typed client of the REST API, for browsers and Node: a method for each operation, named as in the contract. Lists
 * come whole, whatever their pages.
 */
import { type Operations, type Problem, ROUTES } from './contract.ts'

export type OperationName = keyof Operations
export type InputOf<Name extends OperationName> = Operations[Name]['input']
export type OutputOf<Name extends OperationName> = Operations[Name]['output']

/** Operations without a required input may be called without any. */
type Call<Name extends OperationName> =
  Record<string, never> extends InputOf<Name>
    ? (input?: InputOf<Name>, options?: CallOptions) => Promise<OutputOf<Name>>
    : (input: InputOf<Name>, options?: CallOptions) => Promise<OutputOf<Name>>

export type NorthbridgeClient = { readonly [Name in OperationName]: Call<Name> }

export interface CallOptions {
  readonly signal?: AbortSignal
  /** Makes it safe to send a POST again: the answer is that of the first time. */
  readonly idempotencyKey?: string
}

export interface ClientOptions {
  /** Of the server, without `/v1`. Default: where the page comes from. */
  readonly baseUrl?: string
  /** Sent with each request; a function is asked each time. */
  readonly token?: string | (() => string | undefined)
  /** Default: the runtime's own. */
  readonly fetch?: typeof fetch
}

/** An answer that is a refusal: what the server says of it (RFC 9457). */
export class NorthbridgeProblem extends Error {
  readonly problem: Problem

  constructor(problem: Problem) {
    super(problem.detail)
    this.name = 'NorthbridgeProblem'
    this.problem = problem
  }

  /** The same in REST, command line and library. */
  get code(): string {
    return this.problem.code
  }

  get status(): number {
    return this.problem.status
  }
}

interface Route {
  readonly method: string
  readonly path: string
  readonly query: readonly string[]
  readonly body: 'none' | 'fields' | 'whole'
}

type Values = Readonly<Record<string, unknown>>

export function createClient(options: ClientOptions = {}): NorthbridgeClient {
  const methods = Object.entries(ROUTES).map(([name, route]) => [
    name,
    (input: Values = {}, call: CallOptions = {}) => send(options, route, input, call),
  ])
  return Object.fromEntries(methods) as NorthbridgeClient
}

async function send(
  options: ClientOptions,
  route: Route,
  input: Values,
  call: CallOptions,
): Promise<unknown> {
  const wholeList = route.query.includes('limit') && input['limit'] === undefined
  if (!wholeList) return once(options, route, input, call)
  const large = { ...input, limit: MOST_OF_PAGE }
  const answer = await once(options, route, large, call)
  if (!isPage(answer)) return answer
  const items = [...answer.items]
  for (let { next } = answer; next !== undefined; ) {
    const page = (await once(options, route, { ...large, cursor: next }, call)) as Page
    items.push(...page.items)
    next = page.next
  }
  return { items }
}

/** Items that the server puts on a page at most. */
const MOST_OF_PAGE = 1000

interface Page {
  readonly items: readonly unknown[]
  readonly next?: string
}

const isPage = (answer: unknown): answer is Page =>
  typeof answer === 'object' && answer !== null && Array.isArray((answer as Page).items)

async function once(
  { baseUrl = '', token: given, fetch: request = fetch }: ClientOptions,
  route: Route,
  input: Values,
  { signal, idempotencyKey }: CallOptions,
): Promise<unknown> {
  const token = typeof given === 'function' ? given() : given
  const rest: Record<string, unknown> = { ...input }
  const take = (name: string): unknown => {
    const value = rest[name]
    delete rest[name]
    return value
  }
  const path = route.path.replace(/\{(\w+)\}/g, (_match, name: string) =>
    encodeURIComponent(String(take(name))),
  )
  const query = new URLSearchParams()
  for (const name of route.query) {
    const value = take(name)
    if (value !== undefined) query.set(name, String(value))
  }
  const body = route.body === 'none' ? undefined : route.body === 'whole' ? rest['body'] : rest
  const response = await request(`${baseUrl}${path}${query.size === 0 ? '' : `?${query}`}`, {
    method: route.method,
    headers: {
      accept: 'application/json, text/html, text/csv',
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    ...(signal !== undefined && { signal }),
  })
  if (response.status === 204) return undefined
  const type = response.headers.get('content-type') ?? ''
  const answer: unknown = type.includes('json') ? await response.json() : await response.text()
  if (!response.ok) throw new NorthbridgeProblem(problemOf(answer, response))
  return answer
}

/** What stands between may answer in its own words. */
function problemOf(answer: unknown, { status, statusText }: Response): Problem {
  if (typeof answer === 'object' && answer !== null && 'code' in answer) return answer as Problem
  const detail = `The server answered ${status} ${statusText}, and not in the words of Northbridge`
  return { type: 'about:blank', title: statusText, status, detail, code: 'defect' }
}
