/** `northbridge worker`: a process that simulates experiments of a server, on any machine that reaches its database. */
import type { Command } from 'commander'
import { NorthbridgeError, VERSION } from '../core/index.ts'
import { databaseOption, placeOf } from './database-option.ts'
import type { CommandEnvironment } from './environment.ts'
import { workersOf } from './sweep-runs.ts'
import { changesOnly } from './trouble.ts'

interface WorkerOptions {
  readonly database?: string
  readonly workers?: string
}

export function addWorkerCommand(root: Command, environment: CommandEnvironment): void {
  root
    .command('worker')
    .description('simulate experiments of a server that keeps everything in a PostgreSQL database')
    .addOption(databaseOption('the database of the server'))
    .option('--workers <number>', 'points that are simulated at the same time; default: one a core')
    .action(async (options: WorkerOptions) => {
      const { database } = placeOf(options)
      if (database === undefined)
        throw new NorthbridgeError('invalidArgument', 'a worker needs the --database of its server')
      const atOnce = workersOf(options.workers)
      const { ThreadPool } = await import('../workers/index.ts')
      const { PointQueue, QueueWorker } = await import('../workers/queue/index.ts')
      const onTrouble = changesOnly(reason => environment.complain(`northbridge: ${reason}`))
      const queue = await PointQueue.open(database, 'worker', onTrouble)
      const threads = new ThreadPool(atOnce)
      const worker = new QueueWorker({ queue, threads, atOnce, onTrouble })
      environment.print(`Simulates points of experiments, ${atOnce} at a time, by version ${VERSION}`)
      await environment.untilStopped()
      await worker.stop()
      environment.print(`${worker.answered} points were simulated`)
      await threads.close()
      await queue.close()
    })
}
