/** The operation that offers traffic: generated frames, each from who sends it, at its time. */
import { type Static, Type } from '@sinclair/typebox'
import type { NicModel } from '../../devices/index.ts'
import { type Software, within } from '../../engine/index.ts'
import { macHigh, macLow } from '../../net/index.ts'
import {
  bursts,
  fixedSize,
  imix,
  incast,
  requestResponse,
  type Station,
  type Traffic,
} from '../../net/traffic/index.ts'
import type { PluggedPort } from '../../platform/index.ts'
import type { SimulatedPlatform } from '../../system/index.ts'
import { invalid } from '../judge.ts'
import { operation } from '../operation.ts'
import { poweredPlatform } from '../platforms.ts'
import { Count, Fields, Identifier, inPlatform, Words } from '../schemas.ts'
import { driverOf, withDriver } from './devices.ts'
import { portOf } from './nics.ts'
import { Counts, Mac, stationMac, Vlan } from './schemas.ts'

const PATTERNS = ['fixed', 'imix', 'bursts', 'incast', 'requestResponse'] as const
const DEFAULT = {
  frames: 100,
  length: 512,
  load: 1,
  burst: 16,
  request: 64,
  response: 1024,
  seed: 1,
} as const
const SERVICE_TIME = 10_000
/** Interrupts that an adapter puts off have come by then. */
const AFTERMATH = 1_000_000
/** 10.0.0.1 is the first station. */
const FIRST_IP = 0x0a00_0001

const TrafficReport = Fields(
  {
    offered: Count(1_000_000),
    sent: Count(1_000_000),
    received: Type.Array(
      Fields({ vm: Type.String(), slot: Count(31), frames: Count(1_000_000), bytes: Type.Number() }),
      { description: 'By guests, in the order of their devices' },
    ),
    leftByWire: Type.Number({ description: 'Frames that came out of the port' }),
    durationNs: Type.Number({ description: 'Of virtual time' }),
    adapterDrops: Counts,
    switchDrops: Counts,
  },
  { $id: 'TrafficReport', description: 'What became of offered frames' },
)

const input = inPlatform({
  function: Identifier,
  pattern: Words(...PATTERNS),
  stations: Type.Array(Mac, {
    minItems: 2,
    maxItems: 256,
    title:
      'MAC addresses: the first sends to the others in turn (incast: they to it; requestResponse: it asks them); addresses of virtual machines’ devices send from there, all others from outside',
  }),
  frames: Type.Optional(Count(100_000, 1)),
  length: Type.Optional(
    Type.Integer({ minimum: 64, maximum: 1518, title: 'bytes with frame check sequence' }),
  ),
  burst: Type.Optional(Count(1024, 1)),
  request: Type.Optional(Type.Integer({ minimum: 4, maximum: 1400, title: 'bytes of payload' })),
  response: Type.Optional(Type.Integer({ minimum: 4, maximum: 1400, title: 'bytes of payload' })),
  load: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1, title: 'share of the line' })),
  vlan: Type.Optional(Vlan),
  seed: Type.Optional(Count(0xffff_ffff)),
})

export const offerTraffic = operation({
  summary: 'Offers generated traffic at a port and from virtual machines, and counts what became of it',
  rest: { method: 'POST', path: '/v1/platforms/{platform}/nics/{function}/traffic' },
  words: 'nics traffic',
  input,
  output: TrafficReport,
  errors: ['notFound', 'poweredOff', 'invalidArgument'],
  *run(context, given) {
    const running = poweredPlatform(context, given.platform)
    const port = portOf(running, given.function)
    const traffic = trafficOf(given, port.port.wire!.speed)
    return yield* within(running.engine, offer(running, port, traffic, given.stations))
  },
  tell: ({ offered, sent, received, leftByWire, durationNs }) =>
    [
      `${sent} of ${offered} frames were sent in ${durationNs} ns; ${leftByWire} left by the wire.`,
      ...received.map(
        ({ vm, slot, frames, bytes }) => `"${vm}" slot ${slot}: ${frames} frames, ${bytes} bytes`,
      ),
    ].join('\n'),
})

function trafficOf(given: Static<typeof input>, speedMbps: number): Traffic {
  const { pattern, frames, length, burst, request, response, load, seed } = { ...DEFAULT, ...given }
  const macs = given.stations.map((text, i) => stationMac(text, `stations/${i}`))
  const same = given.stations.findIndex((text, i) => given.stations.indexOf(text) < i)
  if (same >= 0) throw invalid([{ path: `/stations/${same}`, message: 'is there already' }])
  const stations = macs.map((mac, i): Station => {
    const station = { mac, ip: FIRST_IP + i }
    return given.vlan === undefined ? station : { ...station, vlan: given.vlan }
  })
  const common = { stations, seed, frames, load, bitsPerSecond: speedMbps * 1_000_000 }
  switch (pattern) {
    case 'fixed':
      return fixedSize({ ...common, length })
    case 'imix':
      return imix(common)
    case 'bursts':
      return bursts({ ...common, length, burst })
    case 'incast':
      return incast({ ...common, length })
    case 'requestResponse':
      return requestResponse({ ...common, request, response, serviceTime: SERVICE_TIME })
  }
}

/** Who is behind an address: the network device of a virtual machine; undefined: somebody outside. */
function* offer(
  running: SimulatedPlatform,
  port: PluggedPort,
  traffic: Traffic,
  addresses: readonly string[],
): Software<Static<typeof TrafficReport>> {
  const { engine, wires, networking } = running
  const senders = addresses.map(text => {
    const mac = stationMac(text, 'stations')
    return networking.devices.find(device => sameMac(device.mac, mac))
  })
  const before = counted(running, port)
  const begin = engine.now
  let offered = 0
  let sent = 0
  for (const { time, from, data } of traffic) {
    yield* running.elapse(Math.max(0, begin + time - engine.now))
    offered++
    const device = senders[from]
    const gone =
      device === undefined
        ? wires.send(port, data)
        : yield* withDriver(running, device.vm, device.slot, driver => driver.send(data))
    if (gone) sent++
    yield* running.hypervisor.settle()
    for (const { vm, slot } of networking.devices) takeFrames(running, vm, slot)
  }
  yield* running.elapse(AFTERMATH)
  for (const { vm, slot } of networking.devices) takeFrames(running, vm, slot)
  const after = counted(running, port)
  return {
    offered,
    sent,
    received: networking.devices.map(({ vm, slot }, i) => ({
      vm,
      slot,
      frames: after.guests[i]!.received - before.guests[i]!.received,
      bytes: after.guests[i]!.receivedBytes - before.guests[i]!.receivedBytes,
    })),
    leftByWire: after.out - before.out,
    durationNs: engine.now - begin,
    adapterDrops: difference(after.adapter, before.adapter),
    switchDrops: difference(after.switches, before.switches),
  }
}

const sameMac = (a: Uint8Array, b: Uint8Array): boolean =>
  macLow(a, 0) === macLow(b, 0) && macHigh(a, 0) === macHigh(b, 0)

/** Nobody reads them: the counters have told of them. */
const takeFrames = (running: SimulatedPlatform, vm: string, slot: number): void =>
  void running.hypervisor.lookAtGuest(vm, 0, kernel => driverOf(kernel, vm, slot).takeFrames())

function counted(running: SimulatedPlatform, plugged: PluggedPort) {
  const { networking, hypervisor } = running
  const { port, function: fn } = plugged
  const wire = port.wire!
  const switches: Record<string, number> = {}
  for (const { network } of networking.switches) {
    for (const { counters } of network.ports) {
      for (const drops of [counters.droppedIn, counters.droppedOut]) {
        for (const [cause, count] of Object.entries(drops)) switches[cause] = (switches[cause] ?? 0) + count
      }
    }
  }
  return {
    guests: networking.devices.map(({ vm, slot }) => ({
      ...hypervisor.lookAtGuest(vm, 0, kernel => driverOf(kernel, vm, slot).counters),
    })),
    out: wire.frames[wire.ends[0] === port ? 0 : 1]!,
    adapter: { ...(fn.modelMade as NicModel | undefined)?.inspect().drops } as Record<string, number>,
    switches,
  }
}

const difference = (
  after: Readonly<Record<string, number>>,
  before: Readonly<Record<string, number>>,
): Record<string, number> =>
  Object.fromEntries(
    Object.entries(after)
      .map(([cause, count]) => [cause, count - (before[cause] ?? 0)] as const)
      .filter(([, count]) => count > 0),
  )
