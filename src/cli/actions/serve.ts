/** What `serve` does. */
import { startServer } from '../../api/index.ts'
import { NorthbridgeError } from '../../core/index.ts'
import type { Call } from '../client.ts'
import { placeOf } from '../database-option.ts'
import type { CommandEnvironment } from '../environment.ts'
import { toJson } from '../output.ts'
import { secretOf } from '../secret.ts'
import { EXAMPLE, makeTour, TOUR } from './example.ts'
import { openServing } from './serving.ts'
import { workersOf } from './sweep-runs.ts'
import { changesOnly } from './trouble.ts'

export interface ServeOptions {
  readonly port: string
  readonly host: string
  readonly example?: true
  readonly tour?: true
  readonly platform?: readonly string[]
  readonly logLevel: string
  /** Folder. */
  readonly data?: string
  readonly database?: string
  readonly files?: string
  readonly workers?: string
  /** Name of a file. */
  readonly limits?: string
  readonly json?: true
}

export async function serve(options: ServeOptions, environment: CommandEnvironment): Promise<void> {
  const port = portOf(options.port)
  const place = placeOf(options)
  const serving = await openServing({
    place,
    files: options.files,
    limits: options.limits,
    workers: workersOf(options.workers, place.database === undefined ? 1 : 0),
    secret: secretOf(process.env),
    onTrouble: changesOnly(reason => environment.complain(`experiments: ${reason}`)),
    onRefused: (world, reason) => environment.complain(`"${world}" cannot go on: ${reason}`),
  })
  const tell = options.json ? environment.complain : environment.print
  try {
    const { namespaces, guard } = serving
    for (const loss of namespaces.losses) tell(`lost: ${loss}`)
    for (const [world, reason] of namespaces.refused) tell(`"${world}" cannot go on: ${reason}`)
    const server = await startServer({ ...options, port, namespaces, guard })
    const { url } = server
    if (!options.json) environment.print(`Northbridge answers at ${url}`)
    const { context, journal } = namespaces.default
    const call: Call = (id, input) => journal.call(id, input)
    if (options.example && !context.platforms.has(EXAMPLE.name)) await call('createPlatform', EXAMPLE)
    if (options.tour && !context.platforms.has(TOUR.name)) await makeTour(call)
    for (const topology of options.platform ?? []) await call('createPlatform', { topology })
    if (options.json) environment.print(toJson({ url, documentation: `${url}/docs` }))
    else environment.print(`Documentation: ${url}/docs`)
    if (options.example && !options.json) environment.print(firstSteps(url))
    await environment.untilStopped()
    await server.close()
  } finally {
    await serving.close()
  }
}

const firstSteps = (url: string): string => `
The example platform "${EXAMPLE.name}" (${EXAMPLE.topology}) is on. Three things to try:

  curl ${url}/v1/platforms/${EXAMPLE.name}/functions
  curl -X POST ${url}/v1/platforms/${EXAMPLE.name}/vms -H 'content-type: application/json' -d '{"name":"alpha","vcpus":1,"memoryMiB":64}'
  npx northbridge show ${EXAMPLE.name} --server ${url}
`

function portOf(text: string): number {
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port > 65_535) {
    throw new NorthbridgeError('invalidArgument', `--port must be 0 to 65535, not "${text}"`)
  }
  return port
}
