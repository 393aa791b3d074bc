/**
 * Traffic patterns as sequences of frames with the times at which they are offered. All chance is seeded, and time is
 * the caller's: nothing here waits for anything, so responses come a fixed service time after their requests.
 */
import { assert, Random } from '../../core/index.ts'
import { FCS_SIZE, lineOccupancy, TCP_FLAG, write32 } from '../formats/index.ts'
import { type Station, tcpFrame, udpFrame, udpPayloadFor } from './packets.ts'

export interface OfferedFrame {
  /** Nanoseconds since the traffic began; never less than that of the frame before. */
  readonly time: number
  /** Positions among the stations. */
  readonly from: number
  readonly to: number
  readonly data: Uint8Array
}

export type Traffic = Generator<OfferedFrame, void, void>

export interface Offer {
  readonly stations: readonly Station[]
  readonly seed: number
  /** Frames in all. */
  readonly frames: number
  /** Of the medium of each station. */
  readonly bitsPerSecond: number
  /** Offered share of the medium, above 0 and up to 1. Default 1. */
  readonly load?: number
}

/**
 * "Simple IMIX": of twelve frames seven have 64 bytes, four 594 and one 1,518, FCS included.
 */
export const IMIX: readonly (readonly [length: number, weight: number])[] = [
  [64, 7],
  [594, 4],
  [1518, 1],
]

/** UDP discard: what listens there throws everything away. */
const DISCARD = 9
const FIRST_SOURCE_PORT = 49_152
const SERVICE = 80

/** Frames of one length (FCS included) from station 0 to the others in turn. */
export function* fixedSize({ length, ...offer }: Offer & { readonly length: number }): Traffic {
  yield* paced(offer, () => length)
}

/** Frames of the lengths of {@link IMIX}, drawn by their weights. */
export function* imix(offer: Offer): Traffic {
  const total = IMIX.reduce((sum, [, weight]) => sum + weight, 0)
  yield* paced(offer, random => {
    let left = random.integer(0, total - 1)
    for (const [length, weight] of IMIX) {
      if (left < weight) return length
      left -= weight
    }
    return assert(false, 'weights add up') as never
  })
}

/** `burst` frames back to back, then silence until the offered load is met. */
export function* bursts({
  length,
  burst,
  ...offer
}: Offer & { readonly length: number; readonly burst: number }): Traffic {
  const { stations, frames, bitsPerSecond, load = 1 } = offer
  const wire = timeOnMedium(length - FCS_SIZE, bitsPerSecond)
  const period = (wire * burst) / load
  const payload = new Payload(offer.seed)
  for (let i = 0; i < frames; i++) {
    const time = Math.floor(i / burst) * period + (i % burst) * wire
    yield oneWay(stations, i, length, Math.round(time), payload)
  }
}

/** Every other station sends one frame to station 0 at the same moment, round after round. */
export function* incast({ length, ...offer }: Offer & { readonly length: number }): Traffic {
  const { stations, frames, bitsPerSecond, load = 1 } = offer
  const senders = stations.length - 1
  assert(senders > 0, 'somebody sends to station 0')
  const period = (timeOnMedium(length - FCS_SIZE, bitsPerSecond) * senders) / load
  const payload = new Payload(offer.seed)
  for (let i = 0; i < frames; i++) {
    const from = 1 + (i % senders)
    const time = Math.round(Math.floor(i / senders) * period)
    yield { time, from, to: 0, data: datagram(stations, from, 0, i, length, payload) }
  }
}

/**
 * Station 0 asks the others in turn over TCP, one question at a time per server; each answers after `serviceTime`
 * nanoseconds. `frames` counts requests and responses.
 */
export function* requestResponse({
  request,
  response,
  serviceTime,
  ...offer
}: Offer & {
  /** Payload bytes. */
  readonly request: number
  readonly response: number
  readonly serviceTime: number
}): Traffic {
  const { stations, frames, bitsPerSecond } = offer
  const servers = stations.length - 1
  assert(servers > 0, 'somebody answers station 0')
  const payload = new Payload(offer.seed)
  const asked = new Uint32Array(stations.length)
  const answered = new Uint32Array(stations.length)
  let time = 0
  for (let i = 0; i < frames; i++) {
    const server = 1 + (Math.floor(i / 2) % servers)
    const asks = i % 2 === 0
    const data = tcpFrame({
      from: stations[asks ? 0 : server]!,
      to: stations[asks ? server : 0]!,
      ports: asks
        ? { source: FIRST_SOURCE_PORT + server, destination: SERVICE }
        : { source: SERVICE, destination: FIRST_SOURCE_PORT + server },
      identification: i,
      sequence: (asks ? asked : answered)[server]!,
      acknowledgment: (asks ? answered : asked)[server]!,
      flags: TCP_FLAG.psh | TCP_FLAG.ack,
      payload: payload.next(i, asks ? request : response),
    })
    yield { time: Math.round(time), from: asks ? 0 : server, to: asks ? server : 0, data }
    if (asks) asked[server]! += request
    else answered[server]! += response
    time += timeOnMedium(data.length, bitsPerSecond) + (asks ? serviceTime : 0)
  }
}

/** Nanoseconds that a frame of `length` bytes (without check sequence) takes on the medium. */
const timeOnMedium = (length: number, bitsPerSecond: number): number =>
  (lineOccupancy(length) * 8e9) / bitsPerSecond

/** Frames one after the other at the offered load. */
function* paced(offer: Offer, lengthOf: (random: Random) => number): Traffic {
  const { stations, seed, frames, bitsPerSecond, load = 1 } = offer
  assert(stations.length > 1 && load > 0 && load <= 1, 'two stations at least, and a load up to 1')
  const random = new Random(seed)
  const payload = new Payload(seed)
  let time = 0
  for (let i = 0; i < frames; i++) {
    const length = lengthOf(random)
    yield oneWay(stations, i, length, Math.round(time), payload)
    time += timeOnMedium(length - FCS_SIZE, bitsPerSecond) / load
  }
}

function oneWay(
  stations: readonly Station[],
  i: number,
  length: number,
  time: number,
  payload: Payload,
): OfferedFrame {
  const to = 1 + (i % (stations.length - 1))
  return { time, from: 0, to, data: datagram(stations, 0, to, i, length, payload) }
}

function datagram(
  stations: readonly Station[],
  from: number,
  to: number,
  i: number,
  length: number,
  payload: Payload,
): Uint8Array {
  const sender = stations[from]!
  return udpFrame({
    from: sender,
    to: stations[to]!,
    ports: { source: FIRST_SOURCE_PORT + from, destination: DISCARD },
    identification: i,
    payload: payload.next(i, udpPayloadFor(length, sender.vlan !== undefined)),
  })
}

/** Payloads that a receiver can tell apart: the frame's number, then bytes of the seed's own sequence. */
class Payload {
  readonly #random: Random

  constructor(seed: number) {
    this.#random = new Random(seed)
  }

  next(number: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    for (let at = 0; at < length; at += 4) {
      const word = this.#random.integer(0, 0xffff_ffff)
      for (let i = at; i < Math.min(at + 4, length); i++) bytes[i] = (word >>> (8 * (i - at))) & 0xff
    }
    if (length >= 4) write32(bytes, 0, number)
    return bytes
  }
}
