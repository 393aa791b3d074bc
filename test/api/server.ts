/** A server in this process for tests. Every answer is held against the OpenAPI document. */
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { FastifyInstance } from 'fastify'
import { Namespaces } from '../../src/access/index.ts'
import { buildApp } from '../../src/api/index.ts'
import type { LaunchExperiment, OperationContext } from '../../src/operations/index.ts'

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  // biome-ignore lint/suspicious/noExplicitAny: tests look into JSON of every shape
  readonly body: any
}

export interface TestServer {
  readonly app: FastifyInstance
  readonly context: OperationContext
  request(method: string, url: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
  stateHash(platform: string): Promise<string>
}

interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { responses: Record<string, unknown> }>>>>
}

export async function testServer({
  launch,
  ...options
}: {
  stalledMs?: number
  heartbeatMs?: number
  bodyLimit?: number
  launch?: LaunchExperiment
} = {}): Promise<TestServer> {
  const namespaces = await Namespaces.open(launch === undefined ? {} : { launch })
  const { context } = namespaces.default
  const app = await buildApp({ namespaces, ...options })
  const check = contractCheck((await app.inject('/openapi.json')).json())
  const server: TestServer = {
    app,
    context,
    async request(method, url, body, headers = {}) {
      const text = typeof body === 'string' ? body : body === undefined ? undefined : JSON.stringify(body)
      const response = await app.inject({
        method: method as 'GET',
        url,
        headers: {
          accept: 'application/json',
          ...(text === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(text === undefined ? {} : { payload: text }),
      })
      const answer = {
        status: response.statusCode,
        headers: response.headers,
        body: bodyOf(String(response.headers['content-type'] ?? ''), response.body),
      }
      check(method, url, answer)
      return answer
    },
    async stateHash(platform) {
      return (await server.request('GET', `/v1/platforms/${platform}`)).body.stateHash
    },
  }
  return server
}

const bodyOf = (media: string, text: string): unknown =>
  text === '' ? undefined : media.includes('json') ? JSON.parse(text) : text

/** Throws if an answer is not what the document promises. */
export function contractCheck(document: object): (method: string, url: string, answer: Answer) => void {
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  ajv.addSchema(document, 'contract')
  const { paths } = document as OpenApi
  const routes = Object.keys(paths).map(path => ({
    path,
    pattern: new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}$`),
  }))
  return (method, url, { status, headers, body }) => {
    // As a client sends it: segments of dots, written as %2e%2e too, have gone up by then.
    const { pathname } = new URL(url, 'http://server')
    const found = routes.filter(
      route => route.pattern.test(pathname) && method.toLowerCase() in paths[route.path]!,
    )
    const path = found.find(route => !route.path.endsWith('}'))?.path ?? found[0]?.path
    const media = String(headers['content-type'] ?? '').split(';')[0]!
    if (path === undefined) {
      if (status < 400 || media !== 'application/problem+json')
        throw new Error(`${method} ${url} is not in the contract`)
      return
    }
    const verb = method.toLowerCase()
    const key = String(status) in paths[path]![verb]!.responses ? String(status) : 'default'
    if (key === 'default' && status < 400)
      throw new Error(`${method} ${path} answered an undocumented ${status}`)
    if (body === undefined) return
    const pointer = ['paths', path, verb, 'responses', key, 'content', media, 'schema']
      .map(part => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1')))
      .join('/')
    const validate = ajv.getSchema(`contract#/${pointer}`)
    if (validate === undefined)
      throw new Error(`${method} ${path} answered ${status} as undocumented ${media}`)
    if (!validate(body)) {
      throw new Error(
        `${method} ${url} broke the contract: ${ajv.errorsText(validate.errors)} in ${JSON.stringify(body)}`,
      )
    }
  }
}
