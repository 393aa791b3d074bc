/** Virtual machines that go on elsewhere when their platform dies: which, where to, and what is kept of them. */
import { type Static, Type } from '@sinclair/typebox'
import { NorthbridgeError } from '../../core/index.ts'
import { within } from '../../engine/index.ts'
import { protect } from '../../system/index.ts'
import type { ProtectionEntry } from '../context.ts'
import { now, operation } from '../operation.ts'
import { poweredPlatform } from '../platforms.ts'
import { Count, described, Fields, Identifier, inPlatform, Nullable, Words } from '../schemas.ts'
import { keyOf } from './forget.ts'

const Nanoseconds = Type.Number({ minimum: 0 })

const ProtectionView = Fields(
  {
    platform: Type.String(),
    vm: Type.String(),
    to: Type.String({ description: 'The platform that takes it' }),
    by: Type.Unsafe<'checkpoint' | 'restart'>({
      ...Words('checkpoint', 'restart'),
      description: 'It goes on from a checkpoint, or is made and started again',
    }),
    takenNs: Nanoseconds,
    memoryPages: Nullable(Count(2 ** 40)),
    obstacles: Type.Array(Fields({ what: Type.String(), reason: Type.String() }), {
      description: 'Why there is no checkpoint',
    }),
  },
  { $id: 'Protection', description: 'What is kept elsewhere of a virtual machine' },
)

const view = ({ platform, to, protection }: ProtectionEntry): Static<typeof ProtectionView> => ({
  platform,
  vm: protection.vm,
  to,
  by: protection.checkpoint === undefined ? 'restart' : 'checkpoint',
  takenNs: protection.takenNs,
  memoryPages: protection.checkpoint?.memory.pages.length ?? null,
  obstacles: protection.obstacles.map(obstacle => ({ ...obstacle })),
})

const path = '/v1/platforms/{platform}/vms/{vm}/protection'

const Names = Type.Record(Type.String(), Type.String())

export const protectVm = operation({
  summary: 'Has a virtual machine go on elsewhere when its platform dies: takes a checkpoint, each time anew',
  rest: { method: 'PUT', path },
  words: 'vms protect',
  others: (_context, { to }) => [to],
  kept: { asState: true },
  input: inPlatform({
    vm: Identifier,
    to: Identifier,
    switches: Type.Optional(
      described(Names, 'Switches of the other platform for those of this one; default: of the same names'),
    ),
    functions: Type.Optional(
      described(Names, 'Functions of the other platform for those that a machine has which is started again'),
    ),
  }),
  output: ProtectionView,
  errors: ['notFound', 'poweredOff', 'limitExceeded', 'invalidArgument'],
  *run(context, { platform: id, vm, to, switches, functions }) {
    const platform = poweredPlatform(context, id)
    context.platforms.get(to)
    if (to === id) {
      const message = 'must be another platform'
      throw new NorthbridgeError('invalidArgument', `to ${message}`, { issues: [{ path: '/to', message }] })
    }
    const protection = yield* within(platform.engine, protect(platform, vm))
    const options = { ...(switches && { switches }), ...(functions && { functions }) }
    const entry = { platform: id, to, protection, options }
    context.protections.set(keyOf(id, vm), entry)
    return view(entry)
  },
  tell: ({ vm, to, by, memoryPages }) =>
    by === 'checkpoint'
      ? `"${vm}" is kept on "${to}": a checkpoint of ${memoryPages} pages of memory.`
      : `"${vm}" is kept on "${to}" without what is in it: it would be started again.`,
})

export const protections = operation({
  summary: 'Lists virtual machines that go on elsewhere when their platform dies',
  rest: { method: 'GET', path: '/v1/protections' },
  words: 'protections list',
  input: Fields({}),
  output: Type.Array(ProtectionView),
  errors: [],
  list: {
    key: ({ platform, vm }: Static<typeof ProtectionView>) => keyOf(platform, vm),
    columns: ['platform', 'vm', 'to', 'by', 'takenNs', 'memoryPages'],
  },
  run: context => now(() => context.protections.entries().map(([, entry]) => view(entry))),
})

export const unprotectVm = operation({
  summary: 'Forgets what is kept of a virtual machine: it ends with its platform',
  rest: { method: 'DELETE', path, status: 204 },
  words: 'vms unprotect',
  kept: { asState: true },
  input: inPlatform({ vm: Identifier }),
  output: Type.Null(),
  errors: ['notFound'],
  run: (context, { platform, vm }) =>
    now(() => {
      context.protections.delete(keyOf(platform, vm))
      return null
    }),
  tell: (_output, { vm }) => `"${vm}" ends with its platform.`,
})
