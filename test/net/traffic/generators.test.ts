import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  bursts,
  fixedSize,
  IMIX,
  imix,
  incast,
  type Offer,
  type OfferedFrame,
  requestResponse,
} from '../../../src/net/traffic/index.ts'

const STATIONS = [1, 2, 3, 4].map(n => ({
  mac: Uint8Array.of(2, 0, 0, 0, 0, n),
  ip: 0x0a00_0000 + n,
  ...(n === 4 && { vlan: 100 }),
}))
const OFFER: Offer = { stations: STATIONS, seed: 5, frames: 48, bitsPerSecond: 1e9 }

/** An independent reading of a frame, byte by byte as RFC 791, 768 and 9293 draw it. */
function parse(data: Uint8Array) {
  const word = (at: number) => data[at]! * 256 + data[at + 1]!
  const tagged = word(12) === 0x8100
  const ip = tagged ? 18 : 14
  const total = word(ip + 2)
  const ones = (from: number, to: number, start = 0) => {
    let sum = start
    for (let at = from; at < to; at += 2) sum += data[at]! * 256 + (at + 1 < to ? data[at + 1]! : 0)
    while (sum > 0xffff) sum = (sum % 0x1_0000) + Math.floor(sum / 0x1_0000)
    return sum
  }
  const protocol = data[ip + 9]!
  const length = total - 20
  const pseudo = ones(ip + 12, ip + 20) + protocol + length
  return {
    to: data[5],
    from: data[11],
    vlan: tagged ? word(14) % 4096 : undefined,
    type: word(ip - 2),
    headerOk: ones(ip, ip + 20) === 0xffff,
    transportOk: ones(ip + 20, ip + 20 + length, pseudo) === 0xffff,
    protocol,
    /** Of the frame on the medium. */
    length: data.length + 4,
    payload: length - (protocol === 17 ? 8 : 20),
    sequence: protocol === 6 ? word(ip + 24) * 65_536 + word(ip + 26) : undefined,
  }
}

const PATTERNS: readonly (readonly [string, (offer: Offer) => Generator<OfferedFrame>])[] = [
  ['fixed size', offer => fixedSize({ ...offer, length: 512 })],
  ['IMIX', imix],
  ['bursts', offer => bursts({ ...offer, length: 256, burst: 8 })],
  ['incast', offer => incast({ ...offer, length: 1024 })],
  [
    'request and response',
    offer => requestResponse({ ...offer, request: 64, response: 1000, serviceTime: 5000 }),
  ],
]

describe.each(PATTERNS)('%s', (_name, pattern) => {
  it('sends whole datagrams with right lengths and checksums, in order of time', () => {
    fc.assert(
      fc.property(fc.nat(1000), fc.integer({ min: 1, max: 60 }), (seed, frames) => {
        const sent = [...pattern({ ...OFFER, seed, frames })]
        expect(sent.length).toBe(frames)
        for (const [i, { time, from, to, data }] of sent.entries()) {
          expect(time).toBeGreaterThanOrEqual(sent[i - 1]?.time ?? 0)
          expect(data.length).toBeGreaterThanOrEqual(60)
          expect(parse(data)).toMatchObject({
            from: from + 1,
            to: to + 1,
            vlan: STATIONS[from]!.vlan,
            type: 0x0800,
            headerOk: true,
            transportOk: true,
          })
        }
      }),
      { numRuns: 20 },
    )
  })

  it('is the same for the same seed, and another for another', () => {
    const bytes = (seed: number) =>
      [...pattern({ ...OFFER, seed })].map(({ data }) => Buffer.from(data).toString('hex'))
    expect(bytes(1)).toEqual(bytes(1))
    expect(bytes(1)).not.toEqual(bytes(2))
  })
})

it('fills the medium: 64-byte frames at 1 Gb/s come 672 ns apart, at half load 1,344', () => {
  const times = (load: number) =>
    [...fixedSize({ ...OFFER, frames: 3, length: 64, load })].map(({ time }) => time)
  expect(times(1)).toEqual([0, 672, 1344])
  expect(times(0.5)).toEqual([0, 1344, 2688])
})

it('mixes lengths 7:4:1', () => {
  const counts = new Map<number, number>()
  for (const { data } of imix({ ...OFFER, stations: STATIONS.slice(0, 3), frames: 12_000 })) {
    counts.set(data.length + 4, (counts.get(data.length + 4) ?? 0) + 1)
  }
  expect([...counts.keys()].sort((a, b) => a - b)).toEqual(IMIX.map(([length]) => length))
  for (const [length, weight] of IMIX) expect(counts.get(length)! / 1000).toBeCloseTo(weight, 0)
})

it('sends bursts back to back and then is silent until the load is met', () => {
  const times = [...bursts({ ...OFFER, frames: 4, length: 64, burst: 2, load: 0.25 })].map(({ time }) => time)
  expect(times).toEqual([0, 672, 5376, 6048])
})

it('has all senders of an incast send at the same moment', () => {
  const sent = [...incast({ ...OFFER, frames: 6, length: 1024 })]
  expect(sent.map(({ from }) => from)).toEqual([1, 2, 3, 1, 2, 3])
  expect(new Set(sent.slice(0, 3).map(({ time }) => time)).size).toBe(1)
  expect(sent[3]!.time).toBeGreaterThan(sent[2]!.time)
})

it('counts bytes of each conversation in its sequence numbers', () => {
  const sent = [...requestResponse({ ...OFFER, frames: 8, request: 64, response: 1000, serviceTime: 5000 })]
  const asked = sent.filter(({ from, to }) => from === 0 && to === 1)
  expect(asked.map(({ data }) => parse(data).sequence)).toEqual([0, 64])
  const answers = sent.filter(({ from }) => from === 1)
  expect(answers.map(({ data }) => parse(data).sequence)).toEqual([0, 1000])
  expect(answers[0]!.time - asked[0]!.time).toBeGreaterThan(5000)
})
