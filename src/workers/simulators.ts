/** Who simulates the experiments of a server: its own threads, or whoever takes points from the queue of its database. */
import type { LaunchExperiment } from '../operations/index.ts'
import { launchOn } from './launch.ts'
import { ThreadPool } from './pool.ts'

export interface Simulators {
  readonly launch: LaunchExperiment
  /** What was not simulated is left to the next server, if it is kept. */
  close(): Promise<void>
}

export interface SimulatorOptions {
  /** Of PostgreSQL; without, there is no queue. */
  readonly database?: string | undefined
  /** Threads of this process; 0 leaves all to workers elsewhere. */
  readonly workers: number
  /** Told of what went wrong and will be tried again, in words. */
  readonly onTrouble?: (reason: string) => void
}

/** Throws `storeFailed` if the database is not there. */
export async function openSimulators(options: SimulatorOptions): Promise<Simulators> {
  const { database, workers } = options
  if (database !== undefined) return openQueued(database, options)
  const threads = new ThreadPool(workers)
  return { launch: launchOn(threads), close: () => threads.close() }
}

async function openQueued(database: string, { workers, onTrouble }: SimulatorOptions): Promise<Simulators> {
  // Only who has a database needs its driver.
  const { PointQueue, QueuedExperiments, QueueWorker } = await import('./queue/index.ts')
  const queue = await PointQueue.open(database, 'server', onTrouble)
  const experiments = new QueuedExperiments(queue, onTrouble)
  const threads = workers === 0 ? undefined : new ThreadPool(workers)
  const worker =
    threads && new QueueWorker({ queue, threads, atOnce: workers, ...(onTrouble && { onTrouble }) })
  return {
    launch: experiments.launch,
    close: async () => {
      await Promise.all([experiments.close(), worker?.stop()])
      await threads?.close()
      await queue.close()
    },
  }
}
