/**
 * The one connection by which a server keeps its database. It holds a lock: there is one server per database. When it
 * is lost it is made again, and what was under way is done again; unless another server has taken the database over
 * meanwhile, which is for good.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from 'pg'
import { NorthbridgeError } from '../../core/index.ts'
import { connect, mayPass, storeFailure } from './connect.ts'
import { OWNER_LOCK, prepareTables } from './schema.ts'

/** Milliseconds between attempts to connect again: the first, and the most. */
const RETRY_MS = { first: 50, most: 5_000 } as const
/** Milliseconds between looks whether a lock is free. */
const LOCK_POLL_MS = 100

export class OwnedConnection {
  readonly #url: string
  readonly #patienceMs: number
  #client: Client | undefined
  #connecting: Promise<Client> | undefined
  /** Which of all the servers that have kept this database we are. */
  #owner = 0
  /** Of the moment. */
  #trouble: NorthbridgeError | undefined
  /** For good. */
  #failed: NorthbridgeError | undefined
  /** Settles when the last work in line has ended. */
  #line: Promise<unknown> = Promise.resolve()
  #working = false
  readonly #closing = new AbortController()

  /** @param patienceMs milliseconds for which a lock is waited for: a server that has just ended may seem to hold it */
  constructor(url: string, patienceMs: number) {
    this.#url = url
    this.#patienceMs = patienceMs
  }

  /** Why nothing can be done at the moment, or ever again. */
  get trouble(): NorthbridgeError | undefined {
    return this.#failed ?? this.#trouble
  }

  /** What is written as this server's own is written only while the database names the same. */
  get owner(): number {
    return this.#owner
  }

  /** The first connection: a failure is told at once. Returns how many groups of commits the database holds. */
  async open(): Promise<number> {
    try {
      const client = await connect(this.#url, 'server')
      try {
        await waitForLock(client, this.#patienceMs)
        await prepareTables(client)
        const { rows } = await client.query(
          'UPDATE northbridge.installation SET owner = owner + 1 RETURNING owner, groups',
        )
        this.#owner = Number(rows[0].owner)
        this.#take(client)
        return Number(rows[0].groups)
      } catch (error) {
        void client.end()
        throw error
      }
    } catch (error) {
      throw storeFailure(error)
    }
  }

  /**
   * Does a piece of work with the connection to itself. It is begun anew after the connection was lost, whatever of it
   * had got there: so it has to be such that doing it twice is doing it once. Throws `storeFailed`.
   */
  use<Result>(work: (client: Client) => Promise<Result>): Promise<Result> {
    const result = this.#line.then(() => this.#untilDone(work))
    this.#line = result.catch(() => {})
    return result
  }

  async #untilDone<Result>(work: (client: Client) => Promise<Result>): Promise<Result> {
    this.#working = true
    try {
      for (let wait: number = RETRY_MS.first; ; wait = Math.min(2 * wait, RETRY_MS.most)) {
        if (this.#failed !== undefined) throw this.#failed
        const client = await this.#connected()
        try {
          const result = await work(client)
          if (this.#client === client) this.#trouble = undefined
          return result
        } catch (error) {
          if (!mayPass(error)) throw this.#fail(error)
          this.#lose(client, error)
        }
        await this.#pause(wait)
      }
    } finally {
      this.#working = false
    }
  }

  #connected(): Promise<Client> {
    if (this.#client !== undefined) return Promise.resolve(this.#client)
    this.#connecting ??= this.#connectAgain().finally(() => {
      this.#connecting = undefined
    })
    return this.#connecting
  }

  async #connectAgain(): Promise<Client> {
    for (let wait: number = RETRY_MS.first; ; wait = Math.min(2 * wait, RETRY_MS.most)) {
      this.#closing.signal.throwIfAborted()
      try {
        const client = await connect(this.#url, 'server')
        if (await this.#isOurs(client)) {
          this.#take(client)
          // Work that failed half-way has yet to show that it can be done now.
          if (!this.#working) this.#trouble = undefined
          return client
        }
        void client.end()
      } catch (error) {
        if (!mayPass(error)) throw this.#fail(error)
      }
      await this.#pause(wait)
    }
  }

  /** False while the database still takes our lost connection for alive. Throws once another server has taken over. */
  async #isOurs(client: Client): Promise<boolean> {
    try {
      const { rows } = await client.query('SELECT owner FROM northbridge.installation')
      if (Number(rows[0]?.owner) !== this.#owner) throw takenOver()
      return await tryLock(client)
    } catch (error) {
      void client.end()
      throw error
    }
  }

  #take(client: Client): void {
    this.#client = client
    client.once('end', () => this.#lose(client, new Error('the connection was lost')))
  }

  #lose(client: Client, error: unknown): void {
    if (this.#client !== client) return
    this.#client = undefined
    void client.end()
    if (this.#closing.signal.aborted) return
    const { message } = storeFailure(error)
    this.#trouble = new NorthbridgeError('storeFailed', `${message}; connecting again`)
    // It has to come back even if nobody asks for anything.
    this.#connected().catch(() => {})
  }

  #fail(error: unknown): NorthbridgeError {
    this.#failed = storeFailure(error)
    return this.#failed
  }

  #pause(milliseconds: number): Promise<void> {
    return delay(milliseconds, undefined, { signal: this.#closing.signal }).catch(() => {})
  }

  /** What waits for a connection that is lost is given up. */
  async close(): Promise<void> {
    this.#closing.abort(new NorthbridgeError('storeFailed', 'the server has ended without its database'))
    await this.#line
    const client = this.#client
    this.#client = undefined
    await client?.end()
  }
}

async function tryLock(client: Client): Promise<boolean> {
  const { rows } = await client.query('SELECT pg_try_advisory_lock($1, $2) AS held', [...OWNER_LOCK])
  return rows[0].held
}

/** Throws `storeFailed` if another server keeps the lock. */
async function waitForLock(client: Client, patienceMs: number): Promise<void> {
  const end = performance.now() + patienceMs
  while (!(await tryLock(client))) {
    if (performance.now() > end) throw await heldBy(client)
    await delay(LOCK_POLL_MS)
  }
}

/** Another server has the database now: what this one would write does not follow from what is there. */
export const takenOver = (): NorthbridgeError =>
  new NorthbridgeError('storeFailed', 'another server has taken this database over; this one has to be ended')

async function heldBy(client: Client): Promise<NorthbridgeError> {
  const { rows } = await client.query(
    `SELECT a.pid, a.client_addr FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
     WHERE l.locktype = 'advisory' AND l.classid = $1 AND l.objid = $2 AND l.granted
       AND a.datname = current_database()`,
    [...OWNER_LOCK],
  )
  const holder =
    rows[0] === undefined
      ? ''
      : ` (process ${rows[0].pid} of the database, from ${rows[0].client_addr ?? 'its own machine'})`
  return new NorthbridgeError(
    'storeFailed',
    `another server keeps this database${holder}: there may be one at a time`,
  )
}
