/** What the REST face keeps of each namespace, beside what the namespace keeps itself. */
import type { Namespace, Namespaces } from '../access/index.ts'
import { NorthbridgeError } from '../core/index.ts'
import type { EventStream } from './event-stream.ts'
import { IdempotencyStore } from './idempotency.ts'
import { RequestRate } from './request-rate.ts'

export interface Tenant {
  readonly namespace: Namespace
  readonly idempotency: IdempotencyStore
  /** Open event streams and the platform that each follows; none for an experiment. */
  readonly streams: Map<EventStream, string | undefined>
  readonly rate: RequestRate
}

export class Tenants {
  readonly #namespaces: Namespaces
  readonly #tenants = new Map<string, Tenant>()

  constructor(namespaces: Namespaces) {
    this.#namespaces = namespaces
  }

  of(name: string): Tenant {
    let tenant = this.#tenants.get(name)
    if (tenant === undefined) {
      const namespace = this.#namespaces.get(name)
      tenant = {
        namespace,
        idempotency: new IdempotencyStore(namespace.answers),
        streams: new Map(),
        rate: new RequestRate(namespace.limits.requestsPerSecond),
      }
      this.#tenants.set(name, tenant)
    }
    return tenant
  }

  all(): readonly Tenant[] {
    return this.#namespaces.all().map(({ name }) => this.of(name))
  }
}

/** Throws `limitExceeded` if a namespace has as many event streams open as it may. */
export function checkStreams({ streams, namespace: { limits } }: Tenant): void {
  if (streams.size < limits.eventStreams) return
  throw new NorthbridgeError(
    'limitExceeded',
    `At most ${limits.eventStreams} event streams may be open: close one that is no longer read`,
    { limit: 'eventStreams', most: limits.eventStreams },
  )
}
