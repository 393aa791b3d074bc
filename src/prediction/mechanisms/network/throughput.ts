/** Streams: what the slowest of wire, processors, queues and walkers lets through, and what the others spend on it. */
import type { Costs } from '../../../timing/index.ts'
import { type Modelled, type Part, paced, part, summed, valued } from '../../prediction.ts'
import type { Scenario } from '../../scenario.ts'
import { readUse, writeUse } from '../link.ts'
import { remapping } from '../remapping.ts'
import { BACKEND, type Charge, GUEST, HOST } from './charge.ts'
import { chargesOf, unitsOf } from './charges.ts'
import { type Packets, packetsOf, packetsTogether } from './packets.ts'

/** A descriptor read and one written back go with a packet. */
const DESCRIPTOR_BYTES = 16
const ROUNDS = 8

export interface Stream {
  readonly packets: Packets
  readonly charges: readonly Charge[]
  /** Nanoseconds between two packets. */
  readonly pace: Modelled
}

function deviceParts({ link, receiving }: Scenario, costs: Costs, { payload }: Packets): Part[] {
  const data = receiving ? writeUse(link, costs, payload) : readUse(link, costs, payload)
  const fetched = readUse(link, costs, DESCRIPTOR_BYTES)
  const written = writeUse(link, costs, DESCRIPTOR_BYTES)
  return [
    part('link to root complex', 'packets and descriptors', data.up + fetched.up + written.up),
    part('link to device', 'packets and descriptors', data.down + fetched.down),
    part('device', 'packets', costs.devicePacket),
  ]
}

/** Adapters of the same kind that work side by side: each machine to which a whole device is given has one. */
const adaptersOf = ({ model, vms }: Scenario): number => (model === 'direct' ? Math.max(1, vms) : 1)

/** Batches depend on the pace and the pace on batches: a few rounds settle it. */
export function streamOf(scenario: Scenario, costs: Costs): Stream {
  const packets = packetsOf(scenario)
  const adapters = adaptersOf(scenario)
  const others = !scenario.wired
    ? []
    : [
        ...[part('wire', 'frames', packets.wire), ...deviceParts(scenario, costs, packets)].map(
          ({ resource, cause, amount }) => part(resource, cause, amount / adapters),
        ),
        ...remapping(scenario, costs, packets.payload),
      ]
  let together = 1
  let stream!: Stream
  for (let round = 0; round < ROUNDS; round++) {
    const charges = chargesOf({ scenario, costs, packets, together })
    const shares = charges.map(({ resource, cause, nanoseconds }) =>
      part(resource, cause, nanoseconds / unitsOf(resource, scenario)),
    )
    const pace = paced('ns', [...shares, ...others])
    stream = { packets, charges, pace }
    const queues = Math.max(1, scenario.model === 'native' ? scenario.cores : scenario.vms)
    together = packetsTogether(pace.value * queues, costs.interruptInterval)
  }
  return stream
}

export const gigabits = (scenario: Scenario, costs: Costs): number => {
  const { packets, pace } = streamOf(scenario, costs)
  return (packets.payload * 8) / pace.value
}

const MEGABITS = 1000

export function throughput(scenario: Scenario, costs: Costs): Modelled {
  const { packets, pace } = streamOf(scenario, costs)
  const value = (packets.payload * 8) / pace.value
  return valued(pace, scenario.record.unit === 'Mb/s' ? value * MEGABITS : value)
}

/** Gigabits a second of payload that the wire carries at most, or all wires. */
export function lineRate(scenario: Scenario): number {
  const { payload, wire } = packetsOf(scenario)
  return (adaptersOf(scenario) * payload * 8) / wire
}

/** Of what the wire carries at most in payload. */
export function fractionOfLineRate(scenario: Scenario, costs: Costs): Modelled {
  const { pace } = streamOf(scenario, costs)
  return valued(pace, (100 * gigabits(scenario, costs)) / lineRate(scenario))
}

const isProcessor = ({ resource }: Charge): boolean => [GUEST, HOST, BACKEND].includes(resource)

/** Processors busy with the stream, of `all` in per cent. */
function busy({ charges, pace }: Stream, which: (charge: Charge) => boolean, all: number): Modelled {
  const parts = charges
    .filter(charge => isProcessor(charge) && which(charge))
    .map(({ resource, cause, nanoseconds }) => part(resource, cause, (100 * nanoseconds) / pace.value / all))
  return summed('%', parts)
}

export const processorShare = (scenario: Scenario, costs: Costs): Modelled =>
  busy(streamOf(scenario, costs), () => true, 1)

const HOST_PROCESSORS = 8
export const hostProcessorShare = (scenario: Scenario, costs: Costs): Modelled =>
  busy(streamOf(scenario, costs), () => true, HOST_PROCESSORS)

/** The line is full already: another machine brings no packets, but interrupts of its own, with their exits. */
export function additionalProcessorShare(scenario: Scenario, costs: Costs): Modelled {
  const { charges, pace } = streamOf(scenario, costs)
  const ownPackets = pace.value * Math.max(1, scenario.vms)
  return summed(
    '%',
    charges
      .filter(({ interrupt }) => interrupt)
      .map(({ resource, cause, nanoseconds }) => part(resource, cause, (100 * nanoseconds) / ownPackets)),
  )
}

const perSecond = (scenario: Scenario, costs: Costs, of: (charge: Charge) => number): Modelled => {
  const { charges, pace } = streamOf(scenario, costs)
  const rate = 1e9 / pace.value
  return summed(
    '1/s',
    charges.map(charge => part(charge.resource, charge.cause, of(charge) * rate)),
  )
}

/** Those of the traffic, and those that a busy virtual processor has anyway. */
export function exitsPerSecond(scenario: Scenario, costs: Costs): Modelled {
  const { parts } = perSecond(scenario, costs, ({ exits = 0 }) => exits).breakdown
  const timers = scenario.vms === 0 ? 0 : costs.timerExits * scenario.vms
  return summed('1/s', [...parts, part(GUEST, 'timers', timers)])
}
export const registerExitsPerSecond = (scenario: Scenario, costs: Costs): Modelled =>
  perSecond(scenario, costs, ({ exits = 0, register }) => (register ? exits : 0))
export const injectionsPerSecond = (scenario: Scenario, costs: Costs): Modelled =>
  perSecond(scenario, costs, ({ injections = 0 }) => injections)

const MEGABYTE = 1e6
export function exitsPerMegabyte(scenario: Scenario, costs: Costs): Modelled {
  const { charges, packets } = streamOf(scenario, costs)
  return summed(
    'exits',
    charges.map(({ resource, cause, exits = 0 }) =>
      part(resource, cause, (exits * MEGABYTE) / packets.payload),
    ),
  )
}
