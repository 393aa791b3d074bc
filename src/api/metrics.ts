/** What the server measures of itself, in the text format of Prometheus. For administrators of all namespaces. */
import type { FastifyInstance } from 'fastify'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Namespaces } from '../access/index.ts'
import { type LimitName, usageOf } from '../operations/index.ts'
import type { CommandRunner } from './commands.ts'
import { demandInstallationAdmin } from './gate.ts'
import type { Tenants } from './tenants.ts'

export interface MetricsOptions {
  readonly namespaces: Namespaces
  readonly tenants: Tenants
  readonly commands: CommandRunner
  /** Of the process too: its memory, its event loop. */
  readonly ofProcess: boolean
}

export interface Metrics {
  /** An event stream was ended because its client took nothing. */
  shed(): void
}

const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10]

/** What is counted of each namespace, and what it is called. */
const USAGE: readonly (readonly [LimitName, string, string])[] = [
  ['platforms', 'northbridge_platforms', 'Platforms'],
  ['functions', 'northbridge_functions', 'Functions of all platforms, virtual ones too'],
  ['vms', 'northbridge_virtual_machines', 'Virtual machines of all platforms'],
  ['experiments', 'northbridge_experiments', 'Experiments'],
  ['runningExperiments', 'northbridge_experiments_running', 'Experiments that run'],
]

export function addMetrics(app: FastifyInstance, options: MetricsOptions): Metrics {
  const { namespaces, tenants, commands, ofProcess } = options
  const registry = new Registry()
  const registers = [registry]
  if (ofProcess) collectDefaultMetrics({ register: registry })

  const requests = new Histogram({
    name: 'northbridge_http_request_duration_seconds',
    help: 'Time from a request to the end of its answer, by operation',
    labelNames: ['operation', 'status'],
    buckets: SECONDS,
    registers,
  })
  const shed = new Counter({
    name: 'northbridge_event_streams_shed_total',
    help: 'Event streams that were ended because their clients took nothing',
    registers,
  })
  const byNamespace = (name: string, help: string, measure: (namespace: string) => number): void => {
    new Gauge({
      name,
      help,
      labelNames: ['namespace'],
      registers,
      collect() {
        for (const { name: namespace } of namespaces.all()) this.set({ namespace }, measure(namespace))
      },
    })
  }
  for (const [limit, name, help] of USAGE) {
    byNamespace(name, help, namespace => usageOf(namespaces.get(namespace).context, limit))
  }
  byNamespace('northbridge_sparse_memory_bytes', 'RAM of all platforms that was written to', namespace =>
    Math.round(usageOf(namespaces.get(namespace).context, 'memoryMiB') * 2 ** 20),
  )
  byNamespace(
    'northbridge_event_streams',
    'Event streams that are open',
    name => tenants.of(name).streams.size,
  )
  const gauge = (name: string, help: string, value: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value())
      },
    })
  }
  gauge('northbridge_commands_waiting', 'Commands that run or wait for their turn', () => commands.waiting)
  gauge('northbridge_store_trouble', '1 while nothing can be kept', () => (namespaces.trouble ? 1 : 0))

  app.addHook('onResponse', (request, reply, done) => {
    const { schema, url = 'none' } = request.routeOptions
    const { operationId = url } = (schema ?? {}) as { operationId?: string }
    requests.observe({ operation: operationId, status: reply.statusCode }, reply.elapsedTime / 1000)
    done()
  })
  app.get(
    '/metrics',
    { schema: { hide: true, operationId: 'metrics' } as object },
    async (request, reply) => {
      demandInstallationAdmin(request)
      return reply.type(registry.contentType).send(await registry.metrics())
    },
  )
  return { shed: () => shed.inc() }
}
