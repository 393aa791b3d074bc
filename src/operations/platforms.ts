/** Operations on platforms as a whole. */
import { type Static, Type } from '@sinclair/typebox'
import { NorthbridgeError } from '../core/index.ts'
import { type Software, within } from '../engine/index.ts'
import { readTopology, type Topology } from '../platform/index.ts'
import { SimulatedPlatform } from '../system/index.ts'
import type { OperationContext, PlatformEntry } from './context.ts'
import { forgetProtections } from './failover/forget.ts'
import { now, operation } from './operation.ts'
import { Count, Fields, inPlatform, Name, Words } from './schemas.ts'
import { TopologyDocument } from './topologies.ts'
import { checkPlatform } from './usage.ts'

export const PlatformView = Fields(
  {
    id: Type.String(),
    name: Type.String(),
    topology: Type.String({ description: 'Name of the topology that it was made from' }),
    seed: Count(2 ** 32 - 1),
    power: Words('on', 'off'),
    timeNs: Type.Number({ description: 'Virtual time since the world began, nanoseconds' }),
    functions: Count(2 ** 31),
    vms: Count(2 ** 31),
    lastEvent: Count(Number.MAX_SAFE_INTEGER),
  },
  { $id: 'Platform' },
)

const PlatformDetail = Fields(
  {
    ...PlatformView.properties,
    stateHash: Type.String({ description: 'Digest of the whole state: equal states have equal digests' }),
  },
  { $id: 'PlatformDetail' },
)

export function view({ id, running }: PlatformEntry): Static<typeof PlatformView> {
  const { name, seed, powered, engine, topology } = running
  return {
    id,
    name,
    topology: topology.name,
    seed,
    power: powered ? 'on' : 'off',
    timeNs: engine.now,
    functions: running.responds ? running.host.functions().length : 0,
    vms: running.responds ? running.hypervisor.vms().length : 0,
    lastEvent: engine.trace.last,
  }
}

/** A platform that is on. Throws `notFound`, `poweredOff`. */
export function poweredPlatform(context: OperationContext, id: string): SimulatedPlatform {
  const { running } = context.platforms.get(id)
  if (!running.powered) throw new NorthbridgeError('poweredOff', `Platform "${id}" is powered off`)
  return running
}

const path = '/v1/platforms'

export const createPlatform = operation({
  summary: 'Builds a platform from a topology and powers it on',
  rest: { method: 'POST', path, status: 201, location: `${path}/{id}` },
  words: 'platforms create',
  input: Fields({
    topology: Type.Union([Type.String({ title: 'the name of a topology' }), TopologyDocument]),
    name: Type.Optional(Name),
    seed: Type.Optional(Count(2 ** 32 - 1)),
  }),
  output: PlatformView,
  errors: ['notFound', 'invalidDocument', 'topologyConflict', 'nameTaken', 'limitExceeded', 'outOfResources'],
  // The catalogue may change, and a free name be another one: a log tells what it was.
  kept: { makes: true, input: (_, { topology, id, seed }) => ({ topology, name: id, seed }) },
  *run(context, { topology: wanted, name, seed = 1 }) {
    const topology = yield* resolveTopology(context, wanted)
    const id = name ?? freeName(context, topology.name)
    context.platforms.reserve(id)
    try {
      const running = yield* SimulatedPlatform.create(topology, { id, name: id, seed, files: context.files })
      checkPlatform(context, running)
      const entry = { id, running }
      context.platforms.set(id, entry)
      return view(entry)
    } catch (error) {
      context.platforms.release(id)
      throw error
    }
  },
  tell: ({ id, functions, topology }) =>
    `Platform "${id}" made of ${topology} is on: ${functions} functions.`,
})

function* resolveTopology(context: OperationContext, wanted: unknown): Software<Topology> {
  if (typeof wanted === 'string') return context.topologies.get(wanted).topology
  return yield* prefixIssues('/topology', readTopology(wanted))
}

/** A document inside an input: its wrong fields are named from the input's root. */
function* prefixIssues<Result>(prefix: string, reading: Software<Result>): Software<Result> {
  try {
    return yield* reading
  } catch (error) {
    if (!(error instanceof NorthbridgeError) || error.details.issues === undefined) throw error
    const issues = error.details.issues.map(issue => ({ ...issue, path: `${prefix}${issue.path}` }))
    throw new NorthbridgeError(error.code, error.message, { ...error.details, issues })
  }
}

function freeName(context: OperationContext, topology: string): string {
  for (let n = 1; ; n++) {
    const name = `${topology}-${n}`
    if (!context.platforms.has(name)) return name
  }
}

export const platforms = operation({
  summary: 'Lists the platforms',
  rest: { method: 'GET', path },
  words: 'platforms list',
  input: Fields({}),
  output: Type.Array(PlatformView),
  errors: [],
  list: {
    key: (item: Static<typeof PlatformView>) => item.id,
    columns: ['id', 'topology', 'power', 'functions', 'vms', 'seed'],
  },
  run: context => now(() => context.platforms.entries().map(([, entry]) => view(entry))),
})

export const platformState = operation({
  summary: 'Shows a platform, with the digest of its state',
  rest: { method: 'GET', path: `${path}/{platform}` },
  words: 'platforms get',
  input: inPlatform({}),
  output: PlatformDetail,
  errors: ['notFound'],
  run: (context, input) =>
    now(() => {
      const entry = context.platforms.get(input.platform)
      return { ...view(entry), stateHash: entry.running.stateHash() }
    }),
})

export const deletePlatform = operation({
  summary: 'Switches a platform off and forgets it',
  rest: { method: 'DELETE', path: `${path}/{platform}`, status: 204 },
  words: 'platforms delete',
  input: inPlatform({}),
  output: Type.Null(),
  errors: ['notFound'],
  run: (context, input) =>
    now(() => {
      context.platforms.delete(input.platform)
      forgetProtections(context, input.platform)
      return null
    }),
})

export const power = operation({
  summary: 'Switches a platform on or off, or resets it; virtual machines do not survive',
  rest: { method: 'POST', path: `${path}/{platform}/power` },
  words: 'platforms power',
  atomic: true,
  frees: true,
  input: inPlatform({ action: Words('on', 'off', 'reset') }),
  output: PlatformView,
  errors: ['notFound', 'alreadyDone', 'poweredOff'],
  *run(context, { platform: id, action }) {
    const entry = context.platforms.get(id)
    yield* within(entry.running.engine, entry.running.power(action))
    return view(entry)
  },
  tell: ({ id, power }) => `Platform "${id}" is ${power}.`,
})
