/** `northbridge serve`: the REST face as a process. */
import type { Command } from 'commander'
import { NorthbridgeError } from '../core/index.ts'
import { installation } from '../operations/index.ts'
import { localCall } from './client.ts'
import type { CommandEnvironment } from './environment.ts'

/** Topology and name of the platform that is on in a first look. */
const EXAMPLE = { topology: 'one-socket-82576', name: 'example' } as const

interface ServeOptions {
  readonly port: string
  readonly host: string
  readonly example?: true
  readonly platform?: readonly string[]
  readonly logLevel: string
  readonly files?: string
}

export function addServeCommand(root: Command, environment: CommandEnvironment): void {
  root
    .command('serve')
    .description('serve the REST API; the first address printed is its own')
    .option('--port <number>', '0 takes a free one', '8080')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--example', 'begin with an example platform that is on')
    .option('--platform <topology...>', 'begin with platforms made from these topologies')
    .option('--files <folder>', 'disks may be put on files in this folder')
    .option('--log-level <level>', 'of the log on standard error: trace to fatal, or silent', 'warn')
    .action(async (options: ServeOptions) => {
      // Only a server needs the HTTP framework: every other command starts without it.
      const { startServer } = await import('../api/index.ts')
      const { launchOn, ThreadPool } = await import('../workers/index.ts')
      const threads = new ThreadPool()
      const context = installation({ launch: launchOn(threads), files: options.files })
      const call = localCall(context)
      const server = await startServer({ ...options, context, port: portOf(options.port) })
      environment.print(`Northbridge answers at ${server.url}`)
      if (options.example) await call('createPlatform', EXAMPLE)
      for (const topology of options.platform ?? []) await call('createPlatform', { topology })
      environment.print(`Documentation: ${server.url}/docs`)
      if (options.example) environment.print(firstSteps(server.url))
      await environment.untilStopped()
      await server.close()
      await threads.close()
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
