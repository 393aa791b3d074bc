/** The gate of the server: who may pass, into which namespace, and how often. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import {
  DEFAULT_NAMESPACE,
  type Guard,
  isInstallationAdmin,
  mayDo,
  type Namespaces,
  type Principal,
} from '../access/index.ts'
import { NorthbridgeError } from '../core/index.ts'
import type { Operation } from '../operations/index.ts'
import type { Tenant, Tenants } from './tenants.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who sends it; null where everybody may. */
    principal: Principal | null
    /** The namespace that it is about; null where it is about none. */
    tenant: Tenant | null
  }
  interface FastifyContextConfig {
    /** The operation that the route renders. */
    row?: Operation
  }
}

/** Routes that tell nothing of anybody: the files of the console, whether the server answers, the contract. Patterns of routes, so that no spelling of an address gets past. */
const PUBLIC = /^\/(?:|index\.html|icon\.svg|assets\/.*|healthz|readyz|openapi\.json|docs(?:\/.*)?)$/

/** Names an administrator of the whole installation may choose. */
export const NAMESPACE_HEADER = 'northbridge-namespace'

export interface GateOptions {
  readonly guard: Guard
  readonly namespaces: Namespaces
  readonly tenants: Tenants
}

export function addGate(app: FastifyInstance, options: GateOptions): void {
  app.decorateRequest('principal', null)
  app.decorateRequest('tenant', null)
  app.addHook('onRequest', (request, reply, done) => {
    try {
      pass(request, reply, options)
      done()
    } catch (error) {
      done(error as Error)
    }
  })
}

function pass(
  request: FastifyRequest,
  reply: FastifyReply,
  { guard, namespaces, tenants }: GateOptions,
): void {
  if (!guard.demands) refuseForeignPages(request)
  const { url, config } = request.routeOptions
  if (url !== undefined && PUBLIC.test(url)) return
  const principal = identified(request, reply, guard)
  const tenant = tenants.of(namespaceOf(request, principal, guard, namespaces))
  request.principal = principal
  request.tenant = tenant
  if (guard.demands) takeTurn(tenant, reply)
  if (config.row !== undefined && !mayDo(principal.role, config.row)) {
    throw new NorthbridgeError('forbidden', `A token of a ${principal.role} may ask, but not change anything`)
  }
}

function identified(request: FastifyRequest, reply: FastifyReply, guard: Guard): Principal {
  try {
    return guard.identify(request.headers.authorization)
  } catch (error) {
    // RFC 9110, "WWW-Authenticate"; RFC 6750 for what it says.
    reply.header('www-authenticate', 'Bearer realm="northbridge"')
    throw error
  }
}

/** Throws `forbidden`, and `notFound` where an administrator names one that is not there. */
function namespaceOf(
  { headers }: FastifyRequest,
  principal: Principal,
  guard: Guard,
  namespaces: Namespaces,
): string {
  const own = principal.namespace ?? DEFAULT_NAMESPACE
  const wanted = headers[NAMESPACE_HEADER]
  if (wanted === undefined || wanted === own) return own
  if (!isInstallationAdmin(principal)) {
    // Whether it exists or not.
    throw new NorthbridgeError('forbidden', `The token is for the namespace "${own}" only`)
  }
  const name = String(wanted)
  if (namespaces.has(name) || guard.namespaces.has(name)) return name
  throw new NorthbridgeError('notFound', `There is no namespace "${name}"`)
}

function takeTurn({ rate, namespace }: Tenant, reply: FastifyReply): void {
  const seconds = rate.take(performance.now())
  if (seconds === 0) return
  reply.header('retry-after', String(Math.ceil(seconds)))
  throw new NorthbridgeError(
    'limitExceeded',
    `At most ${namespace.limits.requestsPerSecond} requests a second are answered on average`,
    { limit: 'requestsPerSecond', most: namespace.limits.requestsPerSecond },
  )
}

/** Names of this machine for itself. Anything below `localhost` is too (RFC 6761, 6.3). */
const LOOPBACK = /^(?:(?:.+\.)?localhost|127(?:\.\d{1,3}){3}|\[::1\]|::1)$/i

/**
 * Where nobody needs a token, a browser on the same machine does not either: pages of others must not use it. A name of
 * theirs may lead here (DNS rebinding), and their forms and scripts may send what needs no leave ("simple requests").
 * Throws `forbidden`.
 */
function refuseForeignPages({ hostname, host, headers: { origin } }: FastifyRequest): void {
  if (!LOOPBACK.test(hostname)) {
    throw new NorthbridgeError(
      'forbidden',
      `Without tokens, requests must be addressed to this machine by a name of its own, not "${hostname}"`,
    )
  }
  if (origin !== undefined && hostOf(origin) !== host) {
    throw new NorthbridgeError(
      'forbidden',
      'Without tokens, pages of other servers may not send requests here',
    )
  }
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined
}

/** Throws `forbidden` for who does not answer for the whole installation. */
export function demandInstallationAdmin({ principal }: FastifyRequest): void {
  if (principal !== null && isInstallationAdmin(principal)) return
  throw new NorthbridgeError('forbidden', 'This needs a token of an administrator of all namespaces')
}
