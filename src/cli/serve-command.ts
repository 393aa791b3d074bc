/** `northbridge serve`: the REST face as a process. */
import type { Command } from 'commander'
import type { ServeOptions } from './actions/serve.ts'
import { databaseOption } from './database-option.ts'
import type { CommandEnvironment } from './environment.ts'
import { manual } from './help.ts'

export function addServeCommand(root: Command, environment: CommandEnvironment): void {
  const command = root
    .command('serve')
    .description('serve the REST API; the first address printed is its own')
    .option('--port <number>', '0 takes a free one', '8080')
    .option('--host <address>', 'address to listen on; others than loopback need a token', '127.0.0.1')
    .option('--example', 'begin with an example platform that is on')
    .option('--tour', 'begin with a platform that runs already, for the tour of the console')
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
    .option('--json', 'print the addresses for programs, once it answers')
    .action(async (options: ServeOptions) => {
      const { serve } = await import('./actions/serve.ts')
      await serve(options, environment)
    })
  manual(
    command,
    [
      ['serve --example', 'a first look: a platform is on'],
      ['serve --data world', 'what is done is kept, and goes on with the next start'],
      ['serve --host 0.0.0.0 --database postgres://… --workers 0', 'for a team; workers simulate elsewhere'],
    ],
    ['NORTHBRIDGE_TOKEN', 'DATABASE_URL', 'OTEL_EXPORTER_OTLP_ENDPOINT'],
  )
}
