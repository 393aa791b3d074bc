/**
 * Points of experiments that wait in a PostgreSQL database for whoever simulates them (pg-boss keeps the queue), and the
 * answers that came. Points and answers are addressed by what is simulated: whoever simulates a point again, and
 * wherever, comes to the same answer, of which the first is kept.
 */
import { type JobWithMetadata, PgBoss } from 'pg-boss'
import { digest, type Saved, VERSION } from '../../core/index.ts'
import type { PlannedPoint } from '../../experiments/index.ts'
import { connectionOptions, prepareDatabase, storeFailure } from '../../store/postgres/index.ts'
import type { PointAnswer } from '../point-worker.ts'

/** The queue's own tables lie beside those of the installation. */
const SCHEMA = 'northbridge_queue'

/** Another version of the model comes to other results: its workers do not see these points. */
const POINTS = `points-${VERSION}`
/** Points that no worker could simulate. */
const GIVEN_UP = `given-up-${VERSION}`

/** Connections of a process. */
const CONNECTIONS = 4
/** Points that are put into the queue by one statement, and answers that are taken from it. */
const BATCH = 500
/** Seconds without a sign of life after which the worker of a point is taken for lost; the least that pg-boss allows. */
const LOST_SECONDS = 10
/** Seconds between looks for the lost. */
const LOOK_SECONDS = 2
/** Attempts beside the first, and seconds before them: twice as many each time. */
const RETRIES = { retryLimit: 3, retryDelay: 1, retryBackoff: true, retryDelayMax: 60 }
/** A worker that gives signs of life may take a day for a point. */
const MOST_SECONDS = 24 * 3600 - 1
/** Seconds for which points that are done may still be looked at. */
const DONE_SECONDS = 3600
/** Days after which an answer that nobody fetched is thrown away. */
const FORGOTTEN_DAYS = 30

/** States of points that wait or are being simulated. */
const LIVE: readonly JobWithMetadata['state'][] = ['created', 'retry', 'active']

/** A point in the queue. */
interface QueuedPoint {
  readonly run: string
  readonly index: number
  /** As text: the database would put its fields into another order. */
  readonly configuration: string
}

/** A point that this process has taken, and the attempt that it is. */
export interface TakenPoint {
  readonly run: string
  readonly index: number
  readonly configuration: PlannedPoint['configuration']
  readonly id: string
  readonly retryCount: number
}

/** What identifies the points of a plan: the model and what is simulated, not what it is called. */
export const runOf = (points: readonly PlannedPoint[]): string =>
  digest([VERSION, ...points.map(({ configuration }) => configuration as unknown as Saved)])

export class PointQueue {
  readonly #boss: PgBoss

  private constructor(boss: PgBoss) {
    this.#boss = boss
  }

  /**
   * Throws `storeFailed` if the database is not there. What fails later is tried again.
   *
   * @param purpose what the database shows as the name of the application
   * @param onTrouble is told of what went wrong in the queue's own housekeeping, in words
   */
  static async open(
    url: string,
    purpose: string,
    onTrouble: (reason: string) => void = () => {},
  ): Promise<PointQueue> {
    const boss = new PgBoss({
      ...connectionOptions(url, purpose),
      schema: SCHEMA,
      max: CONNECTIONS,
      schedule: false,
      superviseIntervalSeconds: LOOK_SECONDS,
      monitorIntervalSeconds: LOOK_SECONDS,
    })
    boss.on('error', ({ message }) => onTrouble(message))
    const queue = new PointQueue(boss)
    try {
      await prepareDatabase(url)
      await boss.start()
      await queue.#makeQueues()
      return queue
    } catch (error) {
      await boss.stop({ graceful: false }).catch(() => {})
      throw storeFailure(error)
    }
  }

  async #makeQueues(): Promise<void> {
    await this.#boss.createQueue(GIVEN_UP)
    await this.#boss.createQueue(POINTS, {
      // A point that waits or is being simulated is not put in again.
      policy: 'exclusive',
      ...RETRIES,
      heartbeatSeconds: LOST_SECONDS,
      expireInSeconds: MOST_SECONDS,
      deleteAfterSeconds: DONE_SECONDS,
      deadLetter: GIVEN_UP,
    })
  }

  /** Puts points of a run into the queue, as far as they are not there. */
  async offer(run: string, points: readonly PlannedPoint[], indices: readonly number[]): Promise<void> {
    for (let from = 0; from < indices.length; from += BATCH) {
      const jobs = indices.slice(from, from + BATCH).map(index => ({
        singletonKey: `${run}/${index}`,
        data: {
          run,
          index,
          configuration: JSON.stringify(points[index]!.configuration),
        } satisfies QueuedPoint,
      }))
      await this.#boss.insert(POINTS, jobs)
    }
  }

  /** Takes what is left of a run out of the queue; who simulates a point of it hears so with its next sign of life. */
  async withdraw(run: string): Promise<void> {
    const jobs = await this.#boss.findJobs<QueuedPoint>(POINTS, { data: { run } })
    const live = jobs.filter(({ state }) => LIVE.includes(state)).map(({ id }) => id)
    if (live.length > 0) await this.#boss.cancel(POINTS, live)
  }

  /** Throws the answers of a run away. */
  async forget(run: string): Promise<void> {
    await this.#boss.getDb().executeSql(
      `DELETE FROM northbridge.point_answers
       WHERE run = $1 OR given < now() - interval '${FORGOTTEN_DAYS} days'`,
      [run],
    )
  }

  /** A point to simulate; undefined if none waits. */
  async take(): Promise<TakenPoint | undefined> {
    for (;;) {
      const [job] = await this.#boss.fetch<QueuedPoint>(POINTS)
      if (job === undefined) return undefined
      const configuration = JSON.parse(job.data.configuration) as TakenPoint['configuration']
      const point = { ...job.data, configuration, id: job.id, retryCount: job.retryCount }
      // Who put it in may have looked for its answer just before that came.
      if ((await this.answersOf(point.run, [point.index])).size === 0) return point
      await this.#boss.complete(POINTS, attemptOf(point))
    }
  }

  /** A sign of life. Returns those that are not ours any more: they were cancelled, or given to another. */
  async notHeld(points: readonly TakenPoint[]): Promise<readonly TakenPoint[]> {
    if (points.length === 0) return []
    const response = await this.#boss.touch(POINTS, points.map(attemptOf))
    // Its types do not tell of the ids that it returns.
    const { settled = [] } = response as { settled?: readonly string[] }
    return points.filter(({ id }) => !settled.includes(id))
  }

  /** Leaves the answer to a point, unless there is one, and the point is done. */
  async answer(point: TakenPoint, answer: PointAnswer): Promise<void> {
    await this.#boss.getDb().executeSql(
      `INSERT INTO northbridge.point_answers (run, point, answer) VALUES ($1, $2, $3)
       ON CONFLICT (run, point) DO NOTHING`,
      [point.run, point.index, JSON.stringify(answer)],
    )
    await this.#boss.complete(POINTS, attemptOf(point))
  }

  /** Gives a point back that could not be simulated: somebody else may, after a while; after some attempts nobody. */
  async giveBack(point: TakenPoint, reason: string): Promise<void> {
    await this.#boss.fail(POINTS, attemptOf(point), { message: reason })
  }

  /** Some of the answers that there are among these points of a run, ascending. */
  async answersOf(run: string, indices: readonly number[]): Promise<ReadonlyMap<number, PointAnswer>> {
    const { rows } = await this.#boss.getDb().executeSql(
      `SELECT point, answer FROM northbridge.point_answers WHERE run = $1 AND point = ANY($2::integer[])
       ORDER BY point LIMIT ${BATCH}`,
      [run, indices],
    )
    return new Map(rows.map(({ point, answer }) => [point, JSON.parse(answer) as PointAnswer]))
  }

  /** Points that were given up since the last call, by run, and why. */
  async givenUp(): Promise<readonly { readonly run: string; readonly reason: string }[]> {
    const jobs = await this.#boss.fetch<QueuedPoint>(GIVEN_UP, { batchSize: BATCH, includeMetadata: true })
    if (jobs.length > 0) await this.#boss.complete(GIVEN_UP, jobs.map(attemptOf))
    return jobs.map(job => ({ run: job.data.run, reason: reasonOf(job) }))
  }

  async close(): Promise<void> {
    await this.#boss.stop({ graceful: false })
  }
}

const attemptOf = ({ id, retryCount }: { readonly id: string; readonly retryCount: number }) => ({
  id,
  retryCount,
})

/** Why the last attempt failed: as the worker said, or as the queue did, of a worker that says nothing any more. */
function reasonOf({ sourceOutput }: JobWithMetadata<QueuedPoint>): string {
  const { message, value } = (sourceOutput ?? {}) as { message?: string; value?: { message?: string } }
  return (
    message ?? `every worker that took a point of it was lost (${value?.message ?? 'no reason is known'})`
  )
}
