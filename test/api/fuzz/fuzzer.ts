/**
 * Sends a server whatever its own contract describes, and much that it does not: as two teams and a stranger, with right
 * and wrong values, identifiers of both teams, and bodies that are none. Every answer is held against the contract.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Random } from '../../../src/core/index.ts'
import { contractCheck } from '../server.ts'
import { type Ask, type Reply, type Teams, teams } from '../teams.ts'
import { goodOf, isKnown, PATHS, WRONG } from './inputs.ts'
import { chance, Samples, type Schema } from './samples.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

export interface FuzzOptions {
  readonly requests: number
  readonly seed: number
  /** Told now and then. */
  readonly progress?: (text: string) => void
}

export interface FuzzReport {
  readonly requests: number
  /** By status. */
  readonly statuses: Readonly<Record<string, number>>
  readonly operations: number
  /** Operations that were never answered with a success, and never with a refusal. */
  readonly neverDone: readonly string[]
  readonly neverRefused: readonly string[]
  readonly slowest: { readonly operation: string; readonly milliseconds: number }
  /** MiB after garbage was collected and all that the teams had was deleted: at a quarter, a half, three quarters, the end. */
  readonly memoryMiB: readonly number[]
}

/** An operation as the contract has it. */
interface Target {
  readonly id: string
  readonly method: string
  readonly path: string
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly schema: Schema }[]
  readonly body: Schema | undefined
}

interface Team {
  readonly name: 'crimson' | 'azure'
  readonly operator: Ask
  readonly viewer: Ask
}

/** Milliseconds after which a request hangs. */
const PATIENCE_MS = 60_000
/** Requests after which each team gets back what it has lost. */
const GARDENED = 25
const TOPOLOGIES = [
  'one-socket-82576',
  'hot-plug',
  'one-socket-82576',
  'nvme-sriov',
  'one-socket-82576',
  'desktop',
]

/** Functions of most of these: a physical one, its first virtual one, the port above. */
const FUNCTIONS = ['0000:01:00.0', '0000:01:10.0', '0000:00:01.0', '0000:01:00.0']

/** Functions that virtual machines have. */
const HELD = ['0000:01:10.0', '0000:01:10.2']

const BOARD = { name: 'board', iommu: { kind: 'none' }, hostBridges: [{}] }
const PAGED = { vcpus: 1, memoryMiB: 16, backing: 'paged', viommu: 'shadow' }
/** Whose `to` is another platform. */
const MOVES: ReadonlySet<string> = new Set(['migrateVm', 'protectVm', 'planConversion', 'convert'])
const SWEEP = {
  title: 'Sizes',
  configuration: { warmUp: 0, duration: 2000, workload: { kind: 'dma' } },
  axes: [{ name: 'size', field: '/workload/bytes', values: [64, 128] }],
}

const LIMITS = {
  requestMiB: 16,
  each: {
    platforms: 3,
    vms: 12,
    functions: 400,
    memoryMiB: 256,
    topologies: 20,
    experiments: 6,
    requestsPerSecond: 1e9,
  },
  namespaces: {},
}

export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const world = await teams(LIMITS)
  try {
    return await new Fuzzer(world, options).run()
  } finally {
    await world.close()
  }
}

class Fuzzer {
  readonly #world: Teams
  readonly #options: FuzzOptions
  readonly #random: Random
  readonly #statuses: Record<string, number> = {}
  readonly #done = new Set<string>()
  readonly #refused = new Set<string>()
  readonly #memoryMiB: number[] = []
  #slowest = { operation: 'none', milliseconds: 0 }
  #samples!: Samples
  #check!: ReturnType<typeof contractCheck>

  constructor(world: Teams, options: FuzzOptions) {
    this.#world = world
    this.#options = options
    this.#random = new Random(options.seed)
  }

  async run(): Promise<FuzzReport> {
    const { requests, progress } = this.#options
    const document = (await this.#world.stranger('GET', '/openapi.json')).body
    const targets = targetsOf(document)
    this.#samples = new Samples(document, this.#random)
    this.#check = contractCheck(document)
    const parties = [await this.#team('crimson'), await this.#team('azure')]
    const quarter = Math.floor(requests / 4)
    for (let sent = 0; sent < requests; sent++) {
      // Each operation in turn, so that none is left to chance.
      const target = targets[sent % targets.length]!
      if (sent % GARDENED === 0) for (const team of parties) await this.#garden(team, sent / GARDENED)
      await this.#one(target, this.#pick(parties))
      if ((sent + 1) % quarter === 0) {
        for (const team of parties) await clear(team)
        await this.#measure()
        progress?.(`${sent + 1} requests, ${this.#memoryMiB.at(-1)} MiB`)
      }
    }
    const ids = targets.map(({ id }) => id)
    return {
      requests,
      statuses: this.#statuses,
      operations: targets.length,
      neverDone: ids.filter(id => !this.#done.has(id)),
      neverRefused: ids.filter(id => !this.#refused.has(id)),
      slowest: this.#slowest,
      memoryMiB: this.#memoryMiB,
    }
  }

  async #team(name: Team['name']): Promise<Team> {
    return {
      name,
      operator: await this.#world.member('operator', name),
      viewer: await this.#world.member('viewer', name),
    }
  }

  /** What most operations need is there again: a platform that is on, a machine, virtual functions. */
  async #garden({ name, operator }: Team, round: number): Promise<void> {
    const topology = TOPOLOGIES[round % TOPOLOGIES.length]!
    const made = await operator('POST', '/v1/platforms', { topology, name })
    // Now and then another machine takes its place.
    if (made.status === 409 && chance(this.#random, 0.3)) {
      await operator('DELETE', `/v1/platforms/${name}`)
      await operator('POST', '/v1/platforms', { topology, name })
    }
    const at = `/v1/platforms/${name}`
    await operator('POST', `${at}/power`, { action: 'on' })
    await operator('PUT', `${at}/functions/${PATHS['function']}/sriov`, { numVfs: 2 })
    await operator('POST', `${at}/vms`, { name: `${name}-vm`, vcpus: 1, memoryMiB: 16 })
    await operator('POST', `${at}/vms`, { ...PAGED, name: `${name}-paged` })
    await operator('POST', `${at}/vms/${name}-vm/resume`)
    await operator('POST', `${at}/vms/${name}-vm/snapshots`, { name: PATHS['snapshot'] })
    for (const [i, vm] of ['vm', 'paged'].entries())
      await operator('POST', `${at}/vms/${name}-${vm}/devices`, { function: HELD[i] })
    await operator('PUT', `${at}/vms/${name}-paged/viommu/translation`, { enabled: true })
    await operator('POST', `${at}/switches`, { name: 'vs0' })
    // Where machines may move to.
    await operator('POST', '/v1/platforms', { topology: 'one-socket-82576', name: `${name}-two` })
    await operator('POST', `/v1/platforms/${name}-two/power`, { action: 'on' })
  }

  async #one(target: Target, team: Team): Promise<void> {
    const random = this.#random
    const ask = chance(random, 0.9) ? team.operator : chance(random, 0.7) ? team.viewer : this.#world.stranger
    const request = this.#request(target, team)
    const [method, url, , headers] = request
    this.#world.log.length = 0
    const begin = performance.now()
    const reply = await inTime(
      ask(...request),
      `${method} ${url} ${JSON.stringify(request[2])?.slice(0, 2000)}`,
    )
    const milliseconds = performance.now() - begin
    if (milliseconds > this.#slowest.milliseconds) this.#slowest = { operation: target.id, milliseconds }
    this.#statuses[reply.status] = (this.#statuses[reply.status] ?? 0) + 1
    if (reply.status < 400) this.#done.add(target.id)
    else this.#refused.add(target.id)
    this.#judge(request, reply, team)
    if (headers?.['accept'] === undefined) this.#check(method, url, reply)
  }

  #judge([method, url, body, headers]: Parameters<Ask>, reply: Reply, { name }: Team): void {
    const what = `${method} ${url} ${JSON.stringify(body)?.slice(0, 2000)} → ${reply.status} ${reply.text.slice(0, 500)}`
    if (reply.status >= 500) throw new Error(`${what}\n${this.#world.log.join('')}`)
    if (
      reply.status >= 400 &&
      !String(reply.headers['content-type']).startsWith('application/problem+json')
    ) {
      throw new Error(`not a problem document: ${what}`)
    }
    const other = name === 'crimson' ? 'azure' : 'crimson'
    // Who names it is told what was asked for.
    if ([url, JSON.stringify(body) ?? '', JSON.stringify(headers)].some(text => text.includes(other))) return
    if (reply.text.includes(other) || JSON.stringify(reply.headers).includes(other)) {
      throw new Error(`a leak between namespaces: ${what}`)
    }
  }

  #request(target: Target, team: Team): Parameters<Ask> {
    const { method, path, parameters, body } = target
    const random = this.#random
    const ofVm = path.includes('{vm}')
    const url = path.replace(/\{(\w+)\}/g, (_match, name: string) => this.#identifier(name, team, ofVm))
    const query = parameters.filter(parameter => parameter.in === 'query' && chance(random, 0.5))
    const search = new URLSearchParams(
      query.map(({ name, schema }): [string, string] => [
        name,
        String(this.#value(target.id, name, schema, team)),
      ]),
    )
    if (chance(random, 0.02)) search.append(this.#pick(['limit', 'cursor', 'after', 'x']), this.#pick(JUNK))
    const headers: Record<string, string> = {}
    if (chance(random, 0.1)) headers['idempotency-key'] = this.#pick(['k1', 'k2', 'k3', ...JUNK])
    if (chance(random, 0.02)) headers['last-event-id'] = this.#pick(['3', ...JUNK])
    if (chance(random, 0.02))
      headers['content-type'] = this.#pick(['text/plain', 'application/x+json', '', 'a/b;c'])
    const text = search.toString()
    const verb = chance(random, 0.01)
      ? this.#pick(['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])
      : method
    return [
      verb,
      text === '' ? url : `${url}?${text}`,
      verb === method ? this.#body(target.id, body, team) : undefined,
      headers,
    ]
  }

  #identifier(name: string, { name: team }: Team, ofVm: boolean): string {
    const random = this.#random
    const other = team === 'crimson' ? 'azure' : 'crimson'
    const own = {
      ...PATHS,
      platform: team,
      vm: chance(random, 0.6) ? `${team}-vm` : `${team}-paged`,
      name: this.#pick(['board', 'intel-82576', 'one-socket-82576']),
      function: this.#pick(ofVm ? HELD : FUNCTIONS),
      address: '0x1000',
      experiment: 'experiment-0001',
      switch: 'vs0',
      group: '0',
      processor: '0',
    }
    if (chance(random, 0.85)) return encodeURIComponent((own as Record<string, string>)[name] ?? 'none')
    if (name === 'platform' && chance(random, 0.6)) return other
    if (name === 'vm' && chance(random, 0.6)) return `${other}-vm`
    return this.#pick(['0', '1', 'x', '%00', '%2e%2e', 'a%2Fb', '%F0%9F%98%80', '-1', 'y'.repeat(200), '%zz'])
  }

  #body(id: string, schema: Schema | undefined, team: Team): unknown {
    const random = this.#random
    if (schema === undefined) return chance(random, 0.02) ? this.#pick([{}, 'x', '[]']) : undefined
    if (chance(random, 0.03))
      return this.#pick(['', '{', 'null', '[]', '"x"', '{"a":1,"a":2}', '\u0000', '{"__proto__":{}}'])
    const known =
      id === 'createExperiment' ? SWEEP : /Topology$/.test(id) && id !== 'importTopology' ? BOARD : undefined
    if (known !== undefined) return this.#mutated(chance(random, 0.5) ? known : this.#samples.of(schema))
    const { properties = {}, required = [] } = schema
    const names = Object.keys(properties).filter(name => required.includes(name) || chance(random, 0.3))
    const fields = names
      .filter(() => !chance(random, 0.01))
      .map((name): [string, unknown] => [name, this.#value(id, name, properties[name]!, team)])
    if (chance(random, 0.01)) fields.push([this.#pick(['extra', '__proto__', 'constructor', 'toString']), 1])
    return Object.fromEntries(fields)
  }

  #value(id: string, name: string, schema: Schema, { name: team }: Team): unknown {
    const random = this.#random
    const which = random.integer(1, 100)
    if (which <= 3) return this.#pick(WRONG.slice(0, -1))
    if (which <= 30) return this.#samples.of(schema)
    if (name === 'vm') return `${team}-vm`
    if (name === 'platforms') return [team]
    if (name === 'platform') return team
    if (name === 'to' && MOVES.has(id)) return `${team}-two`
    if (name === 'function') return this.#pick(id === 'attach' ? [...FUNCTIONS, ...HELD] : FUNCTIONS)
    if (name === 'topology') return this.#pick(TOPOLOGIES)
    if (name === 'name') return this.#pick(['a', 'b', 'c', `${team}-vm`, 'board'])
    if (isKnown(id, name) && this.#isFor(schema, goodOf(id, name))) return goodOf(id, name)
    return this.#samples.of(schema)
  }

  /** The same name means different things in different operations. */
  #isFor({ type, enum: words }: Schema, value: unknown): boolean {
    if (words !== undefined) return words.includes(value)
    if (type === 'integer' || type === 'number') return typeof value === 'number'
    return type === undefined || type === (Array.isArray(value) ? 'array' : typeof value)
  }

  /** The same document with one thing changed, or none. */
  #mutated(document: unknown): unknown {
    const random = this.#random
    if (chance(random, 0.3) || typeof document !== 'object' || document === null) return document
    const copy = structuredClone(document) as Record<string, unknown>
    const keys = Object.keys(copy)
    if (keys.length === 0) return copy
    const key = this.#pick(keys)
    if (chance(random, 0.5)) copy[key] = this.#mutated(copy[key])
    else if (chance(random, 0.3)) delete copy[key]
    else copy[key] = this.#pick(WRONG.slice(0, -1))
    return copy
  }

  #pick<Item>(items: readonly Item[]): Item {
    return items[this.#random.integer(0, items.length - 1)]!
  }

  async #measure(): Promise<void> {
    // What timers and closed streams still hold goes with the next turns.
    for (let turn = 0; turn < 3; turn++) {
      await new Promise(setImmediate)
      collect()
    }
    const { heapUsed, external } = process.memoryUsage()
    this.#memoryMiB.push(Math.round((heapUsed + external) / 2 ** 20))
  }
}

const JUNK = ['', ' ', '-1', '1e9', '00', 'x', 'null', '%', '☃', 'z'.repeat(300), '0x10', '{}']

/** Everything that a team has is deleted. */
async function clear({ operator }: Team): Promise<void> {
  for (const [list, key] of [
    ['platforms', 'id'],
    ['experiments', 'id'],
    ['topologies', 'name'],
    ['snapshots', 'name'],
  ] as const) {
    const { items } = (await operator('GET', `/v1/${list}?limit=1000`)).body as {
      items: Record<string, string>[]
    }
    for (const item of items) await operator('DELETE', `/v1/${list}/${encodeURIComponent(item[key]!)}`)
  }
}

async function inTime<Result>(work: Promise<Result>, what: string): Promise<Result> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} hangs`)), PATIENCE_MS)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

interface ContractOperation {
  readonly operationId: string
  readonly parameters?: Target['parameters']
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> }
}

function targetsOf(document: object): readonly Target[] {
  const { paths } = document as { paths: Record<string, Record<string, ContractOperation>> }
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { operationId: id, parameters = [], requestBody }]) => ({
      id,
      method: method.toUpperCase(),
      path,
      parameters,
      body: requestBody?.content['application/json']?.schema,
    })),
  )
}
