/** Operations on network adapters: what is in them, their virtual functions, their cables. */
import { type Static, Type } from '@sinclair/typebox'
import { type ErrorCode, formatFunctionAddress } from '../../core/index.ts'
import type { NicModel } from '../../devices/index.ts'
import { within } from '../../engine/index.ts'
import type { PcieFunction } from '../../pcie/index.ts'
import type { PluggedPort } from '../../platform/index.ts'
import type { SimulatedPlatform } from '../../system/index.ts'
import { functionOf } from '../functions.ts'
import { now, operation } from '../operation.ts'
import { poweredPlatform } from '../platforms.ts'
import { Count, Facts, Fields, Identifier, inPlatform, Nullable, Words } from '../schemas.ts'
import { Counts, Mac, macText, stationMac } from './schemas.ts'

const EswitchMode = Words('legacy', 'switchdev')

const NicView = Fields(
  {
    function: Type.String(),
    driver: Nullable(Type.String()),
    owner: Words('none', 'driver', 'vm'),
    open: Type.Boolean({ description: 'Whether the host’s driver has brought it up' }),
    carrier: Type.Boolean(),
    speedMbps: Count(1_000_000),
    line: Words('timed', 'instant'),
    framesIn: Type.Number({ description: 'From the wire' }),
    framesOut: Type.Number(),
    lost: Type.Number({ description: 'Sent while there was no carrier, either way' }),
    drops: Counts,
  },
  { $id: 'NetworkAdapter', description: 'A network port of the machine' },
)

const VfView = Fields({
  vf: Count(255),
  mac: Nullable(Mac),
  inUse: Mac,
  vlan: Count(4094),
  vlans: Type.Array(Count(4095)),
  spoofCheck: Type.Boolean(),
  trusted: Type.Boolean(),
  maximumRate: Count(1_000_000),
  clearToSend: Type.Boolean({ description: 'Its driver has announced itself since its last reset' }),
  multicastHashes: Count(4096),
  promiscuous: Words('none', 'multicast', 'unicast'),
  spoofed: Nullable(
    Type.Number({ description: 'null where the hardware does not tell whose frames it caught' }),
  ),
})

const NicDetail = Fields(
  {
    ...NicView.properties,
    eswitch: Nullable(EswitchMode),
    mac: Nullable(Mac),
    counters: Nullable(Counts),
    virtualFunctions: Type.Array(VfView),
    registers: Nullable(
      Type.Intersect([Facts], {
        description:
          'Rings, pools, filters, vectors and counters as its registers say; null before anything touched it',
      }),
    ),
  },
  { $id: 'NetworkAdapterDetail' },
)

/** The network port of a function. Throws `notFound`. */
export const portOf = (platform: SimulatedPlatform, text: string): PluggedPort =>
  platform.wires.port(platform.functionAt(functionOf(platform, text).address))

export const addressOf = (fn: PcieFunction): string => formatFunctionAddress(fn.bus.host.segment, fn.rid)

const modelOf = ({ function: fn }: PluggedPort): NicModel | undefined => fn.modelMade as NicModel | undefined

function nicView(platform: SimulatedPlatform, plugged: PluggedPort): Static<typeof NicView> {
  const { function: fn, port } = plugged
  const address = addressOf(fn)
  const host = platform.host.find(address)
  const wire = port.wire!
  const out = wire.ends[0] === port ? 0 : 1
  return {
    function: address,
    driver: host.driver,
    owner: host.owner.kind,
    open: platform.networking.adapters.some(adapter => adapter.address === address),
    carrier: port.carrier,
    speedMbps: wire.speed,
    line: wire.takesTime ? ('timed' as const) : ('instant' as const),
    framesIn: wire.frames[1 - out]!,
    framesOut: wire.frames[out]!,
    lost: wire.lost[0]! + wire.lost[1]!,
    drops: { ...modelOf(plugged)?.inspect().drops },
  }
}

const path = '/v1/platforms/{platform}/nics'

export const nics = operation({
  summary: 'Lists the network ports of a platform',
  rest: { method: 'GET', path },
  words: 'nics list',
  input: inPlatform({}),
  output: Type.Array(NicView),
  errors: ['notFound', 'poweredOff'],
  list: {
    key: (item: Static<typeof NicView>) => item.function,
    columns: ['function', 'driver', 'owner', 'open', 'carrier', 'speedMbps', 'framesIn', 'framesOut', 'lost'],
  },
  run: (context, { platform }) =>
    now(() => {
      const running = poweredPlatform(context, platform)
      return running.hardware.network.ports
        .map(port => nicView(running, port))
        .sort((a, b) => (a.function < b.function ? -1 : 1))
    }),
})

export const nic = operation({
  summary: 'Shows a network port: rings, queues, pools, filters, counters and drops by cause',
  rest: { method: 'GET', path: `${path}/{function}` },
  words: 'nics get',
  input: inPlatform({ function: Identifier }),
  output: NicDetail,
  errors: ['notFound', 'poweredOff'],
  run: (context, { platform, function: text }) =>
    now(() => {
      const running = poweredPlatform(context, platform)
      const plugged = portOf(running, text)
      const view = nicView(running, plugged)
      const adapter = running.networking.adapters.find(({ address }) => address === view.function)
      return {
        ...view,
        eswitch: adapter?.eswitch ?? null,
        mac: adapter === undefined ? null : macText(adapter.mac),
        counters: adapter === undefined ? null : { ...adapter.counters },
        virtualFunctions: (adapter?.virtualFunctions ?? []).map(({ mac, inUse, vlans, ...rest }, vf) => ({
          vf,
          ...rest,
          vlans: [...vlans],
          mac: mac === undefined ? null : macText(mac),
          inUse: macText(inUse),
        })),
        registers: (modelOf(plugged)?.inspect() ?? null) as Record<string, unknown> | null,
      }
    }),
})

/** What an adapter may end with that has to be brought up first. */
const OPENING: readonly ErrorCode[] = [
  'notFound',
  'poweredOff',
  'functionInUse',
  'unsupported',
  'invalidArgument',
  'outOfMemory',
  'outOfResources',
]

export const openNic = operation({
  summary: 'Has the host’s driver bring a network adapter up',
  rest: { method: 'POST', path: `${path}/{function}/open` },
  words: 'nics open',
  input: inPlatform({
    function: Identifier,
    ringEntries: Type.Optional(
      Type.Integer({
        minimum: 8,
        maximum: 1024,
        multipleOf: 8,
        title: 'descriptors of each ring, 8 to 1024, a multiple of 8',
      }),
    ),
    interruptInterval: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 1000, title: 'microseconds between two interrupts of a queue' }),
    ),
  }),
  output: Fields({ function: Type.String(), driver: Type.String(), mac: Mac }),
  errors: OPENING,
  *run(context, { platform, function: text, ringEntries, interruptInterval }) {
    const running = poweredPlatform(context, platform)
    const { address } = functionOf(running, text)
    const options =
      ringEntries === undefined && interruptInterval === undefined
        ? undefined
        : {
            ...(ringEntries !== undefined && { ringEntries }),
            ...(interruptInterval !== undefined && { interruptIntervalMicroseconds: interruptInterval }),
          }
    const adapter = yield* within(running.engine, running.networking.adapter(address, options))
    return { function: adapter.address, driver: adapter.driver, mac: macText(adapter.mac) }
  },
  tell: ({ function: address, driver, mac }) => `${driver} has opened ${address}: ${mac}.`,
})

export const setVf = operation({
  summary: 'Sets what a virtual function may do on the network, as "ip link set … vf" does',
  rest: { method: 'PUT', path: `${path}/{function}/vfs/{vf}` },
  words: 'nics set-vf',
  input: inPlatform({
    function: Identifier,
    vf: Count(255),
    mac: Type.Optional(Mac),
    vlan: Type.Optional(Type.Integer({ minimum: 0, maximum: 4094, title: 'the port VLAN, 0 for none' })),
    spoofCheck: Type.Optional(Type.Boolean()),
    trusted: Type.Optional(Type.Boolean()),
    maximumRate: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 1_000_000, title: 'Mb/s, 0 for no limit' }),
    ),
  }),
  output: Fields({ function: Type.String(), vf: Count(255) }),
  errors: ['notFound', 'poweredOff', 'invalidArgument', 'functionInUse', 'unsupported', 'outOfResources'],
  *run(context, { platform, function: text, vf, mac, ...settings }) {
    const running = poweredPlatform(context, platform)
    const { address } = functionOf(running, text)
    const adapter = yield* within(running.engine, running.networking.adapter(address))
    adapter.configureVirtualFunction(vf, {
      ...settings,
      ...(mac !== undefined && { mac: stationMac(mac, 'mac') }),
    })
    return { function: adapter.address, vf }
  },
  tell: ({ function: address, vf }) => `VF ${vf} of ${address} is set.`,
})

export const setEswitch = operation({
  summary:
    'Has an adapter switch for its virtual functions itself, or the host do so, as "devlink dev eswitch" does',
  rest: { method: 'PUT', path: `${path}/{function}/eswitch` },
  words: 'nics eswitch',
  input: inPlatform({ function: Identifier, mode: EswitchMode }),
  output: Fields({ function: Type.String(), mode: EswitchMode, represented: Count(255) }),
  errors: OPENING,
  *run(context, { platform, function: text, mode }) {
    const running = poweredPlatform(context, platform)
    const { address } = functionOf(running, text)
    const adapter = yield* within(running.engine, running.networking.adapter(address))
    adapter.setEswitch(mode)
    return { function: adapter.address, mode, represented: adapter.represented }
  },
  tell: ({ function: address, mode, represented }) =>
    mode === 'legacy'
      ? `${address} switches for its virtual functions itself.`
      : `The host switches for ${represented} virtual functions of ${address}.`,
})

export const setLine = operation({
  summary:
    'Lets the line of a network port take its time, frame by frame, or carry any number of frames at once',
  rest: { method: 'POST', path: `${path}/{function}/line` },
  words: 'nics line',
  input: inPlatform({ function: Identifier, line: Words('timed', 'instant') }),
  output: Fields({ function: Type.String(), line: Words('timed', 'instant'), speedMbps: Type.Number() }),
  errors: ['notFound', 'poweredOff'],
  run: (context, { platform, function: text, line }) =>
    now(() => {
      const running = poweredPlatform(context, platform)
      const wire = portOf(running, text).port.wire!
      wire.takesTime = line === 'timed'
      return { function: functionOf(running, text).address, line, speedMbps: wire.speed }
    }),
  tell: ({ function: address, line, speedMbps }) =>
    line === 'timed'
      ? `The line of ${address} carries ${speedMbps} Mb/s.`
      : `The line of ${address} takes no time.`,
})

export const setCable = operation({
  summary: 'Pulls the cable out of a network port, or plugs it in again',
  rest: { method: 'POST', path: `${path}/{function}/cable` },
  words: 'nics cable',
  input: inPlatform({ function: Identifier, cable: Words('plugged', 'pulled') }),
  output: Fields({ function: Type.String(), carrier: Type.Boolean() }),
  errors: ['notFound', 'poweredOff'],
  *run(context, { platform, function: text, cable }) {
    const running = poweredPlatform(context, platform)
    const { port } = portOf(running, text)
    port.wire!.plugged = cable === 'plugged'
    yield* within(running.engine, running.hypervisor.settle())
    return { function: functionOf(running, text).address, carrier: port.carrier }
  },
  tell: ({ function: address, carrier }) => `${address} has ${carrier ? 'a' : 'no'} carrier.`,
})
