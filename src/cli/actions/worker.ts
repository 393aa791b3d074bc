/** What `worker` does. */
import { NorthbridgeError, VERSION } from '../../core/index.ts'
import { ThreadPool } from '../../workers/index.ts'
import { PointQueue, QueueWorker } from '../../workers/queue/index.ts'
import { placeOf } from '../database-option.ts'
import type { CommandEnvironment } from '../environment.ts'
import { toJson } from '../output.ts'
import { workersOf } from './sweep-runs.ts'
import { changesOnly } from './trouble.ts'

export interface WorkerOptions {
  readonly database?: string
  readonly workers?: string
  readonly json?: true
}

export async function work(options: WorkerOptions, environment: CommandEnvironment): Promise<void> {
  const { database } = placeOf(options)
  if (database === undefined)
    throw new NorthbridgeError('invalidArgument', 'a worker needs the --database of its server')
  const { print, complain } = environment
  const atOnce = workersOf(options.workers)
  const onTrouble = changesOnly(reason => complain(`northbridge: ${reason}`))
  const queue = await PointQueue.open(database, 'worker', onTrouble)
  const threads = new ThreadPool(atOnce)
  const worker = new QueueWorker({ queue, threads, atOnce, onTrouble })
  print(
    options.json
      ? toJson({ atOnce, version: VERSION })
      : `Simulates points of experiments, ${atOnce} at a time, by version ${VERSION}`,
  )
  await environment.untilStopped()
  await worker.stop()
  const { answered } = worker
  print(options.json ? toJson({ answered }) : `${answered} points were simulated`)
  await threads.close()
  await queue.close()
}
