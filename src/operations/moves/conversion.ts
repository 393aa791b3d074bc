/** Machines that become machines of another kind: physical to virtual, virtual to virtual, virtual to physical. */
import { type Static, Type } from '@sinclair/typebox'
import { NorthbridgeError } from '../../core/index.ts'
import {
  CONVERSION_DEFAULTS,
  CONVERSION_OUTCOMES,
  CONVERSION_WAYS,
  type Conversion,
  type ConversionOptions,
  convert as convertMachine,
  DISK_CHOICES,
  NETWORK_CHOICES,
  planConversion as plan,
  TwoPlatforms,
  undoneOnFailure,
} from '../../system/index.ts'
import type { OperationContext } from '../context.ts'
import { macText, stationMac } from '../network/schemas.ts'
import { operation } from '../operation.ts'
import { poweredPlatform } from '../platforms.ts'
import { Count, Fields, FunctionAddress, inPlatform, Name, Nullable, Words } from '../schemas.ts'
import { checkRoom } from '../usage.ts'

const Item = Fields(
  {
    what: Type.String({ description: 'processors, memory, network, disk …' }),
    name: Type.String({ description: 'Which one: an address, a name' }),
    outcome: Words(...CONVERSION_OUTCOMES),
    was: Type.String(),
    is: Nullable(Type.String({ description: 'null: nothing is in its place' })),
    driver: Nullable(
      Fields(
        { was: Nullable(Type.String()), is: Nullable(Type.String()) },
        { description: 'Of a device. It is kept if its driver is' },
      ),
    ),
    reason: Nullable(Type.String({ description: 'Why it is not what it was' })),
  },
  { $id: 'ConversionItem' },
)

const View = Fields(
  {
    way: Words(...CONVERSION_WAYS),
    source: Type.String(),
    vm: Nullable(
      Type.String({ description: 'The virtual machine that comes of it; null: the other platform' }),
    ),
    kept: Count(2 ** 31),
    changed: Count(2 ** 31),
    notCarried: Count(2 ** 31),
    items: Type.Array(Item),
    diskBytes: Nullable(
      Type.Integer({
        minimum: 0,
        description: 'Copied: zeros are not; null without a disk, and in a plan',
      }),
    ),
  },
  {
    $id: 'Conversion',
    description: 'Everything that a machine had, and what became of it',
  },
)

const Interface = Fields({
  model: Type.Optional(Words(...NETWORK_CHOICES)),
  switch: Type.Optional(Name),
  function: Type.Optional(FunctionAddress),
})

const CHOICES = {
  way: Type.Unsafe<(typeof CONVERSION_WAYS)[number]>({
    ...Words(...CONVERSION_WAYS),
    description:
      'p2v: the host of this platform becomes a virtual machine of the other one. v2v: a virtual machine gets other devices there. v2p: it becomes the host there',
  }),
  vm: Type.Optional(Type.String({ description: 'What is converted (v2v, v2p)' })),
  to: Type.String({ description: 'The other platform' }),
  name: Type.Optional(Name),
  vcpus: Type.Optional(Count(64, 1)),
  memoryMiB: Type.Optional(Count(2 ** 30, 2)),
  network: Type.Optional(
    Type.Array(Words(...NETWORK_CHOICES), {
      minItems: 1,
      maxItems: 6,
      description: `Models in order of preference; default ${CONVERSION_DEFAULTS.network.join(', ')}`,
    }),
  ),
  disks: Type.Optional(
    Type.Array(Words(...DISK_CHOICES), {
      minItems: 1,
      maxItems: 6,
      description: `Likewise; default ${CONVERSION_DEFAULTS.disks.join(', ')}`,
    }),
  ),
  switch: Type.Optional(Name),
  interfaces: Type.Optional(
    Type.Record(Type.String(), Interface, { description: 'By address: what is different for one interface' }),
  ),
  disk: Type.Optional(
    Fields(
      { function: FunctionAddress, namespace: Type.Optional(Count(64, 1)) },
      { description: 'The namespace that takes the disk. What is on it is overwritten' },
    ),
  ),
}
const Input = inPlatform(CHOICES)

const path = '/v1/platforms/{platform}/conversions'
const ERRORS = [
  'notFound',
  'poweredOff',
  'invalidArgument',
  'nameTaken',
  'outOfMemory',
  'outOfResources',
  'limitExceeded',
  'unsupported',
  'functionInUse',
  'vmPaused',
] as const

interface Prepared {
  readonly platforms: TwoPlatforms
  readonly options: ConversionOptions
}

function prepare(
  context: OperationContext,
  { platform, to, interfaces = {}, ...rest }: Static<typeof Input>,
): Prepared {
  const source = poweredPlatform(context, platform)
  const target = poweredPlatform(context, to)
  if (source === target) {
    const message = 'must be another platform'
    throw new NorthbridgeError('invalidArgument', `to ${message}`, { issues: [{ path: '/to', message }] })
  }
  if (rest.way !== 'v2p') checkRoom(context, 'vms')
  const byMac = Object.entries(interfaces).map(
    ([mac, choice]) => [macText(stationMac(mac, 'interfaces')), choice] as const,
  )
  const options = { ...CONVERSION_DEFAULTS, ...rest, interfaces: Object.fromEntries(byMac) }
  return { platforms: new TwoPlatforms(source, target), options }
}

function view({ items, ...rest }: Conversion): Static<typeof View> {
  const count = (outcome: string): number => items.filter(item => item.outcome === outcome).length
  return {
    ...rest,
    kept: count('kept'),
    changed: count('changed'),
    notCarried: count('notCarried'),
    items: items.map(item => ({ ...item })),
  }
}

function line({ what, name, outcome, was, is, driver, reason }: Static<typeof Item>): string {
  const which = what === name ? what : `${what} ${name}`
  const run =
    driver === null || is === null ? '' : ` (driver ${driver.was ?? 'none'} -> ${driver.is ?? 'none'})`
  const words = { kept: 'kept', changed: 'changed', notCarried: 'not carried over' }
  const become = is === null || is === was ? was : `${was} -> ${is}`
  return `  ${words[outcome]}: ${which}: ${become}${run}${reason === null ? '' : `; ${reason}`}`
}

const tell =
  (verb: string) =>
  ({ source, vm, kept, changed, notCarried, items }: Static<typeof View>, { to }: { to: string }): string =>
    [
      `"${source}" ${verb} ${vm === null ? `the host of "${to}"` : `"${vm}" on "${to}"`}: ${kept} kept, ${changed} changed, ${notCarried} not carried over.`,
      ...items.map(line),
    ].join('\n')

export const planConversion = operation({
  summary: 'Tells what a conversion of a machine would keep, change and not carry over; nothing is changed',
  rest: { method: 'POST', path: `${path}/plan` },
  words: 'platforms plan-conversion',
  others: (_context, { to }) => [to],
  asks: true,
  input: Input,
  output: View,
  errors: ERRORS,
  *run(context, input) {
    const { platforms, options } = prepare(context, input)
    return view(yield* plan(platforms, options))
  },
  tell: tell('would become'),
})

export const convert = operation({
  summary:
    'Makes a virtual machine of a host, another one of a virtual machine, or a host of it, and reports what was kept',
  rest: { method: 'POST', path },
  words: 'platforms convert',
  others: (_context, { to }) => [to],
  input: Input,
  output: View,
  errors: ERRORS,
  *run(context, input) {
    const { platforms, options } = prepare(context, input)
    const { source, target } = platforms
    return view(yield* undoneOnFailure([source, target], convertMachine(platforms, options)))
  },
  tell: tell('is'),
})
