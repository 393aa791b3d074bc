/** Resets: which of them a function uses, of functions that virtual machines have, and what else a bus reset would hit. */
import { type Static, Type } from '@sinclair/typebox'
import { within } from '../../engine/index.ts'
import type { ResetMethod } from '../../host/index.ts'
import { functionOf, OwnerView } from '../functions.ts'
import { now, operation } from '../operation.ts'
import { poweredPlatform } from '../platforms.ts'
import { Fields, Identifier, inPlatform, Nullable, Words } from '../schemas.ts'
import { heldFunction, path } from './held-function.ts'

const METHODS = ['flr', 'af_flr', 'pm', 'bus'] as const satisfies readonly ResetMethod[]

export const setResetMethods = operation({
  summary:
    'Chooses which resets of a function are used, in this order; by default all that it has, none: it is not reset',
  rest: { method: 'PUT', path: '/v1/platforms/{platform}/functions/{function}/reset-methods' },
  words: 'functions reset-methods',
  atomic: true,
  input: inPlatform({
    function: Identifier,
    methods: Type.Optional(Type.Array(Words(...METHODS), { maxItems: METHODS.length })),
  }),
  output: Fields({ function: Type.String(), methods: Type.Array(Type.String()) }),
  errors: ['notFound', 'poweredOff', 'invalidArgument'],
  run: (context, { platform: id, function: text, methods }) =>
    now(() => {
      const platform = poweredPlatform(context, id)
      const { address } = functionOf(platform, text)
      platform.host.chooseResets(address, methods)
      return { function: address, methods: [...platform.host.find(address).resetMethods] }
    }),
  tell: ({ function: fn, methods }) =>
    methods.length === 0 ? `${fn} is not reset any more.` : `${fn} is reset by ${methods.join(', else ')}.`,
})

export const resetDevice = operation({
  summary:
    'Resets a function under its guest: by its own methods, or with its bus if all of that is the machine’s',
  rest: { method: 'POST', path: `${path}/reset` },
  words: 'vms reset-device',
  // Not atomic: it is refused before anything has happened, and a function that never came back has been reset.
  input: inPlatform({ vm: Identifier, function: Identifier }),
  output: Fields({
    method: Type.String({ description: "Linux's name: flr, af_flr, pm or bus; hot: with its bus" }),
    functions: Type.Array(Type.String(), { description: 'All that were reset' }),
  }),
  errors: ['notFound', 'poweredOff', 'resetUnavailable'],
  *run(context, { platform: id, vm, function: text }) {
    const platform = poweredPlatform(context, id)
    const address = heldFunction(platform, vm, text)
    const { method, functions } = yield* within(
      platform.engine,
      platform.hypervisor.devices.reset(vm, address),
    )
    return { method, functions: [...functions] }
  },
  tell: ({ method, functions }, input) =>
    `${functions.join(', ')} ${functions.length === 1 ? 'was' : 'were'} reset (${method}) under "${input.vm}".`,
})

const MemberView = Fields(
  { function: Type.String(), group: Nullable(Type.Integer()), owner: OwnerView },
  { $id: 'HotResetMember' },
)

export const hotResetMembers = operation({
  summary: 'Lists what a reset of the bus of a function would hit, and whose it is',
  rest: { method: 'GET', path: `${path}/hot-reset` },
  words: 'vms hot-reset-members',
  input: inPlatform({ vm: Identifier, function: Identifier }),
  output: Type.Array(MemberView),
  errors: ['notFound', 'poweredOff'],
  list: {
    key: (item: Static<typeof MemberView>) => item.function,
    columns: ['function', 'group', 'owner'],
  },
  run: (context, { platform: id, vm, function: text }) =>
    now(() => {
      const platform = poweredPlatform(context, id)
      const address = heldFunction(platform, vm, text)
      return platform.hypervisor.devices
        .hotResetMembers(vm, address)
        .map(member => ({ ...member, owner: { ...member.owner } }))
        .sort((a, b) => (a.function < b.function ? -1 : 1))
    }),
})
