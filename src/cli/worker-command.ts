/** `northbridge worker`: a process that simulates experiments of a server, on any machine that reaches its database. */
import type { Command } from 'commander'
import type { WorkerOptions } from './actions/worker.ts'
import { databaseOption } from './database-option.ts'
import type { CommandEnvironment } from './environment.ts'
import { manual } from './help.ts'

export function addWorkerCommand(root: Command, environment: CommandEnvironment): void {
  const command = root
    .command('worker')
    .description('simulate experiments of a server that keeps everything in a PostgreSQL database')
    .addOption(databaseOption('the database of the server'))
    .option('--workers <number>', 'points that are simulated at the same time; default: one a core')
    .option('--json', 'print for programs what it is, and at its end what it did')
    .action(async (options: WorkerOptions) => {
      const { work } = await import('./actions/worker.ts')
      await work(options, environment)
    })
  manual(
    command,
    [['worker --database postgres://… --workers 8', 'eight points at a time']],
    ['DATABASE_URL'],
  )
}
