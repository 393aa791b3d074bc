/** Operations on what a platform has been: its commands, going back to one of them, and trying another way from there. */
import { type Static, Type } from '@sinclair/typebox'
import { NorthbridgeError, type Saved } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import type { Topology } from '../platform/index.ts'
import { SimulatedPlatform } from '../system/index.ts'
import type { OperationContext } from './context.ts'
import type { PastCommand } from './history.ts'
import { operation } from './operation.ts'
import { PlatformView, view } from './platforms.ts'
import { Count, Facts, Fields, inPlatform, Name, Nullable } from './schemas.ts'
import { checkPlatform } from './usage.ts'

const path = '/v1/platforms/{platform}'

export const CommandView = Fields(
  {
    sequence: Count(Number.MAX_SAFE_INTEGER, 1),
    operation: Type.String(),
    input: Facts,
    error: Nullable(Type.String({ description: 'Code that it ended with' })),
    timeNs: Type.Number({ description: 'Virtual time after it, nanoseconds' }),
    lastEvent: Count(Number.MAX_SAFE_INTEGER),
    version: Type.String({ description: 'Of the Northbridge that carried it out' }),
  },
  { $id: 'Command' },
)

export const commandView = ({
  sequence,
  operation,
  input,
  error,
  after,
  version,
}: PastCommand): Static<typeof CommandView> => ({
  sequence,
  operation,
  input: { ...(input as object) },
  error,
  timeNs: after.timeNs,
  lastEvent: after.told,
  version,
})

export const commands = operation({
  summary: 'Lists what has been done to a platform, as far back as it is kept',
  rest: { method: 'GET', path: `${path}/commands` },
  words: 'platforms commands',
  input: inPlatform({
    after: Type.Optional(Count(Number.MAX_SAFE_INTEGER)),
  }),
  output: Type.Array(CommandView),
  errors: ['notFound', 'storeFailed'],
  list: {
    key: (item: Static<typeof CommandView>) => item.sequence,
    columns: ['sequence', 'timeNs', 'operation', 'error'],
  },
  *run(context, { platform, after }) {
    // The log of a platform that cannot go on may still be read.
    if (!context.platforms.has(platform)) context.platforms.get(platform)
    const past = yield* context.history.commands(platform, after)
    return past.map(commandView)
  },
})

const atCommand = Count(Number.MAX_SAFE_INTEGER, 1)

export const rewindPlatform = operation({
  summary: 'Puts a platform back to where it stood after one of its commands; that is a command too',
  rest: { method: 'POST', path: `${path}/rewind` },
  words: 'platforms rewind',
  input: inPlatform({ to: atCommand }),
  output: PlatformView,
  errors: ['notFound', 'limitExceeded', 'stateUnavailable', 'storeFailed'],
  kept: { asState: true },
  frees: true,
  *run(context, { platform: id, to }) {
    if (!context.platforms.has(id)) context.platforms.get(id)
    const past = yield* context.history.platformAfter(id, to)
    const entry = context.platforms.find(id)
    if (entry === undefined) return yield* put(context, id, past.topology, past.save())
    entry.running.load(past.save())
    return view(entry)
  },
  tell: ({ id, timeNs }, { to }) =>
    `Platform "${id}" stands where it stood after command ${to}, at ${timeNs} ns.`,
})

export const forkPlatform = operation({
  summary: 'Makes another platform in the state of this one, as it is or as it was after one of its commands',
  rest: { method: 'POST', path: `${path}/fork`, status: 201, location: '/v1/platforms/{id}' },
  words: 'platforms fork',
  input: inPlatform({ name: Name, at: Type.Optional(atCommand) }),
  output: PlatformView,
  errors: ['notFound', 'nameTaken', 'limitExceeded', 'stateUnavailable', 'storeFailed'],
  kept: { makes: true, asState: true },
  *run(context, { platform, name, at }) {
    const { running } = context.platforms.get(platform)
    if (at === undefined && running.usesFiles) {
      throw new NorthbridgeError(
        'stateUnavailable',
        `disks of "${platform}" are on files: two platforms cannot both have them`,
      )
    }
    context.platforms.reserve(name)
    try {
      const { topology } = running
      const source = at === undefined ? running : yield* context.history.platformAfter(platform, at)
      return yield* put(context, name, topology, source.save())
    } catch (error) {
      context.platforms.release(name)
      throw error
    }
  },
  tell: ({ id, timeNs }, { platform }) => `Platform "${id}" is a fork of "${platform}" at ${timeNs} ns.`,
})

/** A platform with a state that another one had. */
export function* put(
  context: OperationContext,
  id: string,
  topology: Topology,
  state: Saved,
): Software<Static<typeof PlatformView>> {
  const { files } = context
  const running = yield* SimulatedPlatform.restore(topology, { id, name: id, files }, state)
  checkPlatform(context, running)
  const entry = { id, running }
  context.platforms.set(id, entry)
  return view(entry)
}
