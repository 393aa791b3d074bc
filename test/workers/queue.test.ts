/** Experiments whose points wait in a database: simulated by whoever comes, and the same as if nobody had come. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { drive } from '../../src/engine/index.ts'
import { type SweepPlan, sweepResult } from '../../src/experiments/index.ts'
import { ExperimentJob } from '../../src/operations/index.ts'
import { pointRunner, ThreadPool } from '../../src/workers/index.ts'
import type { PointAnswer } from '../../src/workers/point-worker.ts'
import { PointQueue, QueuedExperiments, QueueWorker } from '../../src/workers/queue/index.ts'
import { plan, QUICK } from '../experiments/sweeps/documents.ts'
import { noPostgres, PostgresServer } from '../store/postgres-server.ts'

if (noPostgres !== undefined) console.warn(`workers with a queue: ${noPostgres}`)

/** Points that take some tens of milliseconds each. */
const SLOW = {
  configuration: { ...QUICK, duration: 5e5 },
  axes: [{ field: '/workload/bytes', from: 64, to: 448, step: 16 }],
}

/** The result of a plan in this process, as text. */
const here = async (planned: SweepPlan): Promise<string> =>
  JSON.stringify(sweepResult(planned, await pointRunner(1).run(planned.points)))

async function ended(job: ExperimentJob): Promise<void> {
  while (job.state === 'running') await delay(20)
}

describe.skipIf(noPostgres !== undefined)('an experiment in a queue', () => {
  let server: PostgresServer
  let database: string
  let queue: PointQueue
  let experiments: QueuedExperiments
  const threads = new ThreadPool(2)
  let worker: QueueWorker | undefined

  beforeAll(async () => {
    server = await PostgresServer.start()
  })
  afterAll(async () => {
    await threads.close()
    await server.stop()
  })
  beforeEach(async () => {
    database = await server.freshDatabase()
    queue = await PointQueue.open(database, 'server')
    experiments = new QueuedExperiments(queue)
  })
  afterEach(async () => {
    await worker?.stop()
    worker = undefined
    await experiments.close()
    await queue.close()
  })

  const launched = (planned: SweepPlan, by = experiments): ExperimentJob => {
    const job = new ExperimentJob('experiment-0001', planned)
    drive(by.launch(job), () => false)
    return job
  }

  const work = (answer?: () => Promise<PointAnswer>): void => {
    const pool = answer === undefined ? threads : ({ answer } as unknown as ThreadPool)
    worker = new QueueWorker({ queue, threads: pool, atOnce: 2 })
  }

  /** What is left of it in the database. */
  const left = async (): Promise<unknown> =>
    (
      await server.query(
        `SELECT (SELECT count(*)::integer FROM northbridge_queue.job WHERE state < 'completed') AS points,
                (SELECT count(*)::integer FROM northbridge.point_answers) AS answers`,
        database,
      )
    )[0]

  it('has the result, byte for byte, that this process gives', async () => {
    work()
    const planned = plan({ seed: 3 })
    const job = launched(planned)
    await ended(job)
    expect(JSON.stringify(job.result)).toBe(await here(planned))
  })

  it('leaves nothing in the database when it has ended', async () => {
    work()
    await ended(launched(plan()))
    await expect.poll(left).toEqual({ points: 0, answers: 0 })
  })

  it('waits until somebody simulates it', async () => {
    const job = launched(plan())
    await expect.poll(left).toEqual({ points: 6, answers: 0 })
    expect([job.state, job.done]).toEqual(['running', 0])
    work()
    await ended(job)
    expect(job.state).toBe('done')
  })

  it('is simulated once for all that simulate the same', async () => {
    const jobs = [launched(plan()), launched(plan({ title: 'Another name' })), launched(plan({ seed: 2 }))]
    await expect.poll(left).toEqual({ points: 12, answers: 0 })
    work()
    for (const job of jobs) await ended(job)
    expect(worker!.answered).toBe(12)
    expect(jobs.map(({ state }) => state)).toEqual(['done', 'done', 'done'])
  })

  it('is gone on with by the next server, which simulates no point again', async () => {
    const planned = plan(SLOW)
    launched(planned)
    work()
    while (worker!.answered < 5) await delay(20)
    await experiments.close()
    const next = new QueuedExperiments(queue)
    const job = launched(planned, next)
    await ended(job)
    await next.close()
    expect(worker!.answered).toBe(planned.points.length)
    expect(JSON.stringify(job.result)).toBe(await here(planned))
  })

  it('that is cancelled is taken from the queue, and from who simulates it', async () => {
    const aborted: unknown[] = []
    work(function answer(_configuration?: unknown, signal?: AbortSignal): Promise<PointAnswer> {
      return new Promise((_resolve, reject) => {
        signal!.addEventListener('abort', () => {
          aborted.push(signal)
          reject(new Error('aborted'))
        })
      })
    })
    const job = launched(plan())
    await expect.poll(async () => (await server.query(ACTIVE, database)).length).toBe(2)
    job.cancel()
    await expect.poll(left).toEqual({ points: 0, answers: 0 })
    await expect.poll(() => aborted.length, { timeout: 10_000 }).toBe(2)
  })

  it('fails where a simulation is refused, with the place of the point', async () => {
    work(async () => ({
      code: 'outOfResources',
      message: 'there are 8 functions',
      details: { functions: 8 },
    }))
    const job = launched(plan({ axes: [{ field: '/workload/bytes', values: [64] }] }))
    await ended(job)
    expect(job.error).toMatchObject({
      code: 'outOfResources',
      message: 'at bytes 64: there are 8 functions',
      details: { functions: 8, point: { bytes: '64' } },
    })
  })

  it('is tried again, later and later, where a worker fails, and goes on when one does not', async () => {
    const attempts: number[] = []
    work(async (...given: unknown[]) => {
      attempts.push(performance.now())
      if (attempts.length < 3) throw new Error('the thread has ended')
      const [configuration, signal] = given as Parameters<ThreadPool['answer']>
      return threads.answer(configuration, signal)
    })
    const planned = plan({ axes: [] })
    const job = launched(planned)
    await ended(job)
    expect(JSON.stringify(job.result)).toBe(await here(planned))
    expect(attempts).toHaveLength(3)
    // pg-boss waits half of the time at least, and looks now and then.
    expect(attempts[1]! - attempts[0]!).toBeGreaterThan(400)
    expect(attempts[2]! - attempts[1]!).toBeGreaterThan(900)
  })

  it('is a defect where no worker can simulate it', async () => {
    let attempts = 0
    work(async () => {
      attempts++
      throw new Error('the thread has ended')
    })
    const job = launched(plan({ axes: [] }))
    await ended(job)
    expect(job.error).toMatchObject({ code: 'defect', message: 'the thread has ended' })
    expect(attempts).toBe(4)
  })

  it('goes on when the database was away', async () => {
    work()
    const planned = plan(SLOW)
    const job = launched(planned)
    while (job.done < 3) await delay(20)
    await server.cut(database)
    while (job.done < 8) await delay(20)
    await server.crash()
    await server.run()
    await ended(job)
    expect(JSON.stringify(job.result)).toBe(await here(planned))
  })

  it('completes once, with the same result, when one of two workers is killed in the middle of it', async () => {
    // Points that take long enough to be met in the middle.
    const planned = plan({
      configuration: { ...QUICK, duration: 1e6 },
      axes: [{ field: '/workload/bytes', from: 64, to: 224, step: 16 }],
    })
    const job = launched(planned)
    const told = new Map<string, number>()
    job.trace.follow(() => {
      const { message } = job.trace.since(job.trace.told - 1)[0]!
      told.set(message, (told.get(message) ?? 0) + 1)
    })
    const [first, second] = await Promise.all([WorkerProcess.start(database), WorkerProcess.start(database)])
    await holdingBoth([first, second])
    first.signal('SIGKILL')
    second.signal('SIGCONT')
    await ended(job)
    expect(JSON.stringify(job.result)).toBe(await here(planned))
    expect(job.done).toBe(planned.points.length)
    expect([...told.values()].every(times => times === 1)).toBe(true)
    const retried = await server.query('SELECT id FROM northbridge_queue.job WHERE retry_count > 0', database)
    expect(retried).toHaveLength(1)
    expect(await second.end()).toMatch(/^\d+ points were simulated$/)
  })

  /** Resolves when both have stopped in the middle of a point each: a claim of either is left behind. */
  async function holdingBoth(workers: readonly WorkerProcess[]): Promise<void> {
    for (;;) {
      await delay(50)
      for (const each of workers) each.signal('SIGSTOP')
      await delay(50)
      if ((await server.query(ACTIVE, database)).length === 2) return
      for (const each of workers) each.signal('SIGCONT')
    }
  }
})

const ACTIVE = "SELECT id FROM northbridge_queue.job WHERE state = 'active'"

/** `northbridge worker` as a process of its own. */
class WorkerProcess {
  readonly #process: ChildProcess
  #last = ''

  private constructor(database: string) {
    this.#process = spawn(process.execPath, ['bin/northbridge.js', 'worker', '--workers', '1'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, DATABASE_URL: database },
    })
  }

  static async start(database: string): Promise<WorkerProcess> {
    const worker = new WorkerProcess(database)
    const lines = createInterface(worker.#process.stdout!)
    lines.on('line', line => {
      worker.#last = line
    })
    await once(lines, 'line')
    return worker
  }

  signal(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
    this.#process.kill(signal)
  }

  /** Asks it to end; the last line that it has printed. */
  async end(): Promise<string> {
    const ended = once(this.#process, 'close')
    this.#process.kill('SIGTERM')
    await ended
    return this.#last
  }
}
