/** `northbridge serve`: the REST face as a process. */
import type { Command } from 'commander'
import { NorthbridgeError } from '../core/index.ts'
import type { Call } from './client.ts'
import { databaseOption, placeOf } from './database-option.ts'
import type { CommandEnvironment } from './environment.ts'
import { openServing } from './serving.ts'
import { workersOf } from './sweep-runs.ts'
import { secretOf } from './token-commands.ts'
import { changesOnly } from './trouble.ts'

/** Topology and name of the platform that is on in a first look. */
const EXAMPLE = { topology: 'one-socket-82576', name: 'example' } as const

interface ServeOptions {
  readonly port: string
  readonly host: string
  readonly example?: true
  readonly platform?: readonly string[]
  readonly logLevel: string
  /** Folder. */
  readonly data?: string
  readonly database?: string
  readonly files?: string
  readonly workers?: string
  /** Name of a file. */
  readonly limits?: string
}

export function addServeCommand(root: Command, environment: CommandEnvironment): void {
  root
    .command('serve')
    .description('serve the REST API; the first address printed is its own')
    .option('--port <number>', '0 takes a free one', '8080')
    .option('--host <address>', 'address to listen on; others than loopback need a token', '127.0.0.1')
    .option('--example', 'begin with an example platform that is on')
    .option('--platform <topology...>', 'begin with platforms made from these topologies')
    .option('--data <folder>', 'keep everything here, and go on from what is there')
    .addOption(databaseOption('keep everything in this PostgreSQL database instead'))
    .option('--files <folder>', 'disks may be put on files in this folder')
    .option('--limits <file>', 'what each namespace may take, as a JSON or YAML document')
    .option(
      '--workers <number>',
      'threads that simulate experiments; with a database, 0 leaves it to workers',
    )
    .option('--log-level <level>', 'of the log on standard error: trace to fatal, or silent', 'warn')
    .action(async (options: ServeOptions) => {
      const port = portOf(options.port)
      const place = placeOf(options)
      // Only a server needs the HTTP framework: every other command starts without it.
      const { startServer } = await import('../api/index.ts')
      const serving = await openServing({
        place,
        files: options.files,
        limits: options.limits,
        workers: workersOf(options.workers, place.database === undefined ? 1 : 0),
        secret: secretOf(process.env),
        onTrouble: changesOnly(reason => environment.complain(`experiments: ${reason}`)),
      })
      try {
        const { namespaces, guard } = serving
        for (const loss of namespaces.losses) environment.print(`lost: ${loss}`)
        for (const [world, reason] of namespaces.refused)
          environment.print(`"${world}" cannot go on: ${reason}`)
        const server = await startServer({ ...options, port, namespaces, guard })
        environment.print(`Northbridge answers at ${server.url}`)
        const { context, journal } = namespaces.default
        const call: Call = (id, input) => journal.call(id, input)
        if (options.example && !context.platforms.has(EXAMPLE.name)) await call('createPlatform', EXAMPLE)
        for (const topology of options.platform ?? []) await call('createPlatform', { topology })
        environment.print(`Documentation: ${server.url}/docs`)
        if (options.example) environment.print(firstSteps(server.url))
        await environment.untilStopped()
        await server.close()
      } finally {
        await serving.close()
      }
    })
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
