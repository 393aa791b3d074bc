/** A real PostgreSQL server for a test: in a folder of its own, on a socket of its own, gone when the test ends. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Client } from 'pg'

const USER = 'northbridge'
/** No test cuts the power: what the operating system has been told is as safe as what is on the disk, and quicker. */
const SETTINGS = ['listen_addresses=', 'max_connections=40', 'fsync=off']
const DEBIAN = '/usr/lib/postgresql'

/** Where the server's programs are: on the path, or in the folder of Debian's newest package. */
function programsFolder(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(':')
  const packaged = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a)) : []
  return [...folders, ...packaged.map(version => join(DEBIAN, version, 'bin'))].find(folder =>
    ['postgres', 'initdb'].every(program => existsSync(join(folder, program))),
  )
}

const PROGRAMS = programsFolder()

/** Why tests with a server are skipped; undefined if they are not. */
export const noPostgres: string | undefined =
  PROGRAMS === undefined ? 'skipped: PostgreSQL is not installed (no postgres and initdb)' : undefined

/** PostgreSQL does not run as root: it is then started as a user who may do little. */
function unprivileged(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  for (const user of ['postgres', 'nobody']) {
    const { status, stdout } = spawnSync('id', ['-u', user], { encoding: 'utf8' })
    if (status !== 0) continue
    return { uid: Number(stdout), gid: Number(execFileSync('id', ['-g', user], { encoding: 'utf8' })) }
  }
  throw new Error('PostgreSQL does not run as root, and there is no user "postgres" or "nobody"')
}

export class PostgresServer {
  readonly #folder: string
  readonly #as: { uid: number; gid: number } | undefined
  #process: ChildProcess | undefined

  private constructor(folder: string, as: { uid: number; gid: number } | undefined) {
    this.#folder = folder
    this.#as = as
  }

  static async start(): Promise<PostgresServer> {
    const folder = mkdtempSync(join(tmpdir(), 'nb-pg-'))
    const as = unprivileged()
    if (as !== undefined) chownSync(folder, as.uid, as.gid)
    const server = new PostgresServer(folder, as)
    execFileSync(
      join(PROGRAMS!, 'initdb'),
      ['-D', join(folder, 'data'), '-U', USER, '--auth=trust', '--no-sync', '--encoding=UTF8', '--no-locale'],
      { stdio: 'ignore', cwd: folder, ...as },
    )
    await server.run()
    return server
  }

  /** Of a database on this server. */
  url(database = 'postgres'): string {
    return `postgresql://${USER}@/${database}?host=${encodeURIComponent(this.#folder)}`
  }

  /** A database that nobody has used yet. */
  async freshDatabase(): Promise<string> {
    const name = `database_${freshNames++}`
    await this.query(`CREATE DATABASE ${name}`)
    return this.url(name)
  }

  async query(sql: string, database?: string): Promise<Record<string, unknown>[]> {
    const client = new Client({ connectionString: database ?? this.url() })
    // What was cut off after it has answered is no failure of the question.
    client.on('error', () => {})
    await client.connect()
    try {
      return (await client.query(sql)).rows
    } finally {
      await client.end()
    }
  }

  /** Starts it on the data that are there, and waits until it answers. */
  async run(): Promise<void> {
    for (let attempt = 0; attempt < 1200; attempt++) {
      // It refuses to start while processes of one that was killed are still ending.
      if (this.#process === undefined || hasEnded(this.#process)) this.#process = this.#spawn()
      try {
        await this.query('SELECT 1')
        return
      } catch {
        await delay(50)
      }
    }
    throw new Error('PostgreSQL does not start')
  }

  #spawn(): ChildProcess {
    const data = join(this.#folder, 'data')
    return spawn(
      join(PROGRAMS!, 'postgres'),
      ['-D', data, '-k', this.#folder, ...SETTINGS.flatMap(setting => ['-c', setting])],
      { stdio: 'ignore', cwd: this.#folder, ...this.#as },
    )
  }

  /** Cuts all connections of clients to a database, as an operator or a failing network does. */
  async cut(database: string): Promise<void> {
    await this.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid()`,
      database,
    )
  }

  /** `kill -9`: nothing is written any more, nobody is told. */
  crash(): Promise<void> {
    return this.#end('SIGKILL')
  }

  async #end(signal: 'SIGKILL' | 'SIGQUIT'): Promise<void> {
    const server = this.#process!
    if (hasEnded(server)) return
    const ended = once(server, 'exit')
    server.kill(signal)
    await ended
  }

  async stop(): Promise<void> {
    // Nothing of it is wanted any more: an immediate shutdown will do.
    await this.#end('SIGQUIT')
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null

let freshNames = 1
