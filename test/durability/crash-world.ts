/**
 * A server that is killed, or whose database is, at any moment under load. Each of its clients has a platform of its own
 * and a twin of it in this process, to which every command that was acknowledged is done too. After a restart both have
 * to be in the same state, but for the one command that got no answer: it was done as a whole or not at all. And the log
 * that the server tells, done to a fresh installation in this process, has to lead to that state too.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { Random } from '../../src/core/index.ts'
import { createNorthbridge, type Northbridge, NorthbridgeError, type OutputOf } from '../../src/index.ts'
import { OPERATIONS, type Operation, type OperationId } from '../../src/operations/index.ts'
import { ServerProcess } from './server-process.ts'

const CLIENTS = 4
/** Fewer platforms are in memory than there are clients, so that some rest all the time. */
const LIMITS = ['--limits', 'test/durability/crash-limits.json']
const VMS = ['alpha', 'beta'] as const
const TOPOLOGY = 'one-socket-82576'
const PF = '0000:01:00.0'
const VFS = 2

interface Command {
  readonly key: string
  readonly id: OperationId
  readonly input: Readonly<Record<string, unknown>>
}

export interface CrashTally {
  kills: number
  /** Disturbances that the server has outlived, and commands that it has refused meanwhile. */
  outlasted: number
  refused: number
  acknowledged: number
  /** Commands without an answer, and how many of them had been done. */
  unanswered: number
  doneUnanswered: number
  /** Commands of logs that were done again here. */
  replayed: number
}

/** Kills the server at random moments; throws at the first promise that it has broken. */
export class CrashWorld {
  readonly tally: CrashTally = {
    kills: 0,
    outlasted: 0,
    refused: 0,
    acknowledged: 0,
    unanswered: 0,
    doneUnanswered: 0,
    replayed: 0,
  }
  readonly #place: readonly string[]
  readonly #random: Random
  readonly #clients: readonly Client[]
  #server: ServerProcess | undefined

  /** @param place arguments of `serve`: where everything is kept */
  constructor(place: readonly string[], seed: number) {
    this.#place = place
    this.#random = new Random(seed)
    this.#clients = Array.from(
      { length: CLIENTS },
      (_, number) => new Client(`client-${number}`, new Random(seed * 100 + number)),
    )
  }

  get url(): string {
    return this.#server!.url
  }

  async start(): Promise<void> {
    this.#server = await ServerProcess.start([...this.#place, ...LIMITS])
  }

  /** Lets all clients work for a while, and kills the server. */
  async crash(): Promise<void> {
    const work = this.#clients.map(client => client.work(this.url))
    await delay(this.#random.integer(1, 400))
    await this.stop('SIGKILL')
    this.tally.kills++
    this.#count(await Promise.all(work))
  }

  /** Lets all clients work while something happens that the server has to outlive. */
  async outlast(disturbance: () => Promise<void>): Promise<void> {
    let over = false
    const work = this.#clients.map(client => client.work(this.url, () => over))
    await delay(this.#random.integer(1, 200))
    await disturbance()
    await delay(this.#random.integer(1, 200))
    over = true
    this.tally.outlasted++
    this.#count(await Promise.all(work))
    for (const client of this.#clients) if (client.isWaiting) throw new Error('the server gave no answer')
  }

  #count(work: readonly Work[]): void {
    for (const { acknowledged, refused } of work) {
      this.tally.acknowledged += acknowledged
      this.tally.refused += refused
    }
  }

  /**
   * After a restart: every platform is where its log leads and where its twin is, and stays so when what got no answer is
   * sent again.
   */
  async check(): Promise<void> {
    for (const client of this.#clients) {
      this.tally.replayed += await client.replay(this.url)
      const done = await client.compare(this.url)
      if (done === undefined) continue
      this.tally.unanswered++
      if (done) this.tally.doneUnanswered++
    }
  }

  async stop(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    await this.#server!.stop(signal)
  }
}

/** How many commands of a client were done, and how many refused because nothing could be kept. */
interface Work {
  readonly acknowledged: number
  readonly refused: number
}

class Client {
  readonly #platform: string
  readonly #random: Random
  readonly #twin: Northbridge = createNorthbridge()
  #commands = 0
  #unanswered: Command | undefined

  constructor(platform: string, random: Random) {
    this.#platform = platform
    this.#random = random
  }

  /** A command has got no answer. */
  get isWaiting(): boolean {
    return this.#unanswered !== undefined
  }

  /** Sends one command after the other until there is no answer, or it is enough. */
  async work(url: string, enough = () => false): Promise<Work> {
    let acknowledged = 0
    let refused = 0
    while (!enough()) {
      const command = this.#next()
      const answer = await send(url, command)
      if (answer === undefined) {
        this.#unanswered = command
        break
      }
      if (answer.code === 'storeFailed') {
        // Nothing was done, the twin need not know.
        refused++
        await delay(5)
      } else {
        check(command, answer.code, this.#repeat(command))
        acknowledged++
      }
    }
    return { acknowledged, refused }
  }

  #next(): Command {
    const platform = this.#platform
    const random = this.#random
    const command = (id: OperationId, input: Command['input'] = {}): Command => ({
      key: `${platform}-${++this.#commands}`,
      id,
      input: { platform, ...input },
    })
    const there = this.#twin.platforms().length > 0
    if (!there) {
      return { ...command('createPlatform'), input: { topology: TOPOLOGY, name: platform } }
    }
    const vm = VMS[random.integer(0, VMS.length - 1)]!
    const fn = `0000:01:10.${random.integer(0, VFS - 1) * 2}`
    switch (random.integer(0, 13)) {
      case 0:
        return command('deleteVm', { vm })
      case 1:
      case 2:
        return command('createVm', { name: vm, vcpus: 1, memoryMiB: 4 })
      case 3:
        return command('setNumVfs', { function: PF, numVfs: random.integer(0, 1) * VFS })
      case 4:
      case 5:
        return command('attach', { vm, function: fn })
      case 6:
        return command('detach', { vm, function: fn })
      case 7:
        return command('dma', { function: PF, direction: 'read', address: '0x1000', length: 64 })
      case 8:
        return command('writeMemory', { vm, address: '0x2000', data: '5a'.repeat(8) })
      case 9: {
        const { length } = this.#twin.commands({ platform })
        return command('rewindPlatform', { to: random.integer(Math.max(1, length - 20), length) })
      }
      case 10:
        return random.integer(0, 3) === 0 ? command('deletePlatform') : command('power', { action: 'reset' })
      default:
        return command('passTime', { nanoseconds: random.integer(1, 1000) })
    }
  }

  /** Does a command to the twin; returns the code that it ended with, if it was refused. */
  #repeat({ id, input }: Command): string | undefined {
    return done(this.#twin, id, input)
  }

  /** Whether the command without answer had been done; undefined without one. Throws if the state is another one. */
  async compare(url: string): Promise<boolean | undefined> {
    const found = await this.#placeOf(url)
    const command = this.#unanswered
    const before = this.#expected()
    if (command === undefined) {
      if (found !== before) throw new Error(`${this.#platform}: ${found} instead of ${before}`)
      return undefined
    }
    this.#unanswered = undefined
    const expected = this.#repeat(command)
    const afterwards = this.#expected()
    if (found !== before && found !== afterwards) {
      throw new Error(`${this.#platform}: ${found} is neither before (${before}) nor after ${command.id}`)
    }
    // What has a key may be sent again whatever had been done; the other methods only if nothing had.
    if ((OPERATIONS[command.id] as unknown as Operation).rest.method === 'POST' || found === before) {
      const answer = await send(url, command)
      if (answer === undefined) throw new Error(`${command.key}: no answer from a server just started`)
      check(command, answer.code, expected)
    }
    const repeated = await this.#placeOf(url)
    if (repeated !== afterwards) {
      throw new Error(
        `${command.key}: ${command.id} sent again leads to ${repeated} instead of ${afterwards}`,
      )
    }
    return found !== before
  }

  /** Does the server's log of its platform to a fresh installation; returns how many commands there were. */
  async replay(url: string): Promise<number> {
    const found = await this.#stateOf(url)
    if (found === undefined) return 0
    const platform = this.#platform
    const fresh = createNorthbridge()
    const log = await commandsOf(url, platform)
    for (const { operation, input, error } of log) {
      const code = done(fresh, operation as OperationId, input) ?? null
      if (code !== error) throw new Error(`${platform}: ${operation} ends with ${code} instead of ${error}`)
    }
    const { stateHash } = fresh.platformState({ platform })
    if (stateHash !== found) throw new Error(`${platform}: its log leads to ${stateHash} instead of ${found}`)
    return log.length
  }

  #expected(): string | undefined {
    const platform = this.#platform
    if (this.#twin.platforms().length === 0) return undefined
    return place(this.#twin.platformState({ platform }).stateHash, this.#twin.commands({ platform }))
  }

  /** Where the server's platform stands, and how many commands have led there: some change nothing. */
  async #placeOf(url: string): Promise<string | undefined> {
    const found = await this.#stateOf(url)
    return found === undefined ? undefined : place(found, await commandsOf(url, this.#platform))
  }

  async #stateOf(url: string): Promise<string | undefined> {
    const response = await request(`${url}/v1/platforms/${this.#platform}`)
    const body = (await response.json()) as { stateHash?: string }
    if (response.status !== 200 && response.status !== 404) throw new Error(JSON.stringify(body))
    return body.stateHash
  }
}

/** Connections that the server closed while this thread was busy are noticed before one of them is used again. */
async function request(url: string, init?: RequestInit): Promise<Response> {
  await delay(1)
  return fetch(url, init)
}

/** Does a command; returns the code that it ended with, if it was refused. */
function done(northbridge: Northbridge, id: OperationId, input: unknown): string | undefined {
  try {
    ;(northbridge[id] as (given: unknown) => unknown)(input)
    return undefined
  } catch (error) {
    if (!(error instanceof NorthbridgeError)) throw error
    return error.code
  }
}

type ToldCommand = OutputOf<'commands'>[number]

const place = (stateHash: string, { length }: readonly unknown[]): string =>
  `${stateHash} after ${length} commands`

async function commandsOf(url: string, platform: string): Promise<readonly ToldCommand[]> {
  const commands: ToldCommand[] = []
  let page = ''
  for (;;) {
    const response = await request(`${url}/v1/platforms/${platform}/commands?limit=1000${page}`, {
      headers: { accept: 'application/json' },
    })
    const { items, next } = (await response.json()) as { items: ToldCommand[]; next?: string }
    commands.push(...items)
    if (next === undefined) return commands
    page = `&cursor=${next}`
  }
}

function check({ key, id }: Command, code: string | undefined, expected: string | undefined): void {
  if (code === expected) return
  throw new Error(`${key}: ${id} ended with ${code ?? 'success'}, on the twin with ${expected ?? 'success'}`)
}

/** The code of a refusal, nothing for a success; undefined if no answer came. */
async function send(url: string, { key, id, input }: Command): Promise<{ code?: string } | undefined> {
  const { rest } = OPERATIONS[id] as unknown as Operation
  const left: Record<string, unknown> = { ...input }
  const path = rest.path.replace(/\{(\w+)\}/g, (_match, name: string) => {
    const value = left[name]
    delete left[name]
    return encodeURIComponent(String(value))
  })
  const hasBody = rest.method === 'POST' || rest.method === 'PUT'
  try {
    const response = await request(`${url}${path}`, {
      method: rest.method,
      headers: {
        ...(rest.method === 'POST' && { 'idempotency-key': key }),
        ...(hasBody && { 'content-type': 'application/json' }),
      },
      ...(hasBody && { body: JSON.stringify(left) }),
    })
    const text = await response.text()
    return response.ok ? {} : { code: (JSON.parse(text) as { code: string }).code }
  } catch {
    return undefined
  }
}
