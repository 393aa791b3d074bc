/** Frames of any bytes at all, followed through adapters, switch and guests of every model: none is too strange to be told of. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { bytesToHex, NorthbridgeError } from '../../src/core/index.ts'
import { NetworkWorld, PORTS } from './network-world.ts'

const RUNS = Number(process.env['RUNS'] ?? 60)
const P = { platform: 'p' } as const

/** What parsers fall over: tags in tags, headers that end too early, lengths that lie, protocols of every kind. */
const type = fc.constantFrom(
  [0x08, 0x00, 0x45],
  [0x08, 0x00, 0x4f],
  [0x08, 0x00, 0x40],
  [0x86, 0xdd, 0x60],
  [0x81, 0x00, 0x00, 0x0a, 0x08, 0x00, 0x45],
  [0x81, 0x00, 0x00, 0x0a, 0x81, 0x00, 0x00, 0x14],
  [0x81, 0x00],
  [0x08, 0x06],
  [0x88, 0x08],
  [0x88, 0x09],
  [0x05, 0xdc],
  [],
)
const rest = fc.oneof(
  fc.uint8Array({ maxLength: 120 }),
  // IPv4 behind its first byte: total length, fragment, protocol; then whatever.
  fc
    .tuple(
      fc.nat(0xffff),
      fc.constantFrom(0, 0x2000, 0x1fff),
      fc.constantFrom(1, 6, 17, 132, 4),
      fc.uint8Array({ maxLength: 1600 }),
    )
    .map(([total, fragment, protocol, payload]) =>
      Uint8Array.of(
        ...[0, total >>> 8, total & 0xff, 0, 1, fragment >>> 8, fragment & 0xff, 64, protocol, 0, 0],
        ...[10, 0, 0, 1, 10, 0, 0, 2],
        ...payload,
      ),
    ),
)

it('a frame of any bytes is sent and told of, or refused for its length', () => {
  const world = new NetworkWorld({
    machines: [
      { model: 'emulated', vlan: undefined, ringEntries: 16, spoofCheck: true },
      { model: 'paravirtual', vlan: 10, ringEntries: 16, spoofCheck: true },
      { model: 'vmdq', vlan: undefined, ringEntries: 16, spoofCheck: true },
      { model: 'sriov', vlan: undefined, ringEntries: 16, spoofCheck: true },
    ],
    direct: true,
  })
  const macs = [...world.devices.map(({ mac }) => mac), 'ff:ff:ff:ff:ff:ff', '01:80:c2:00:00:01']
  const frame = fc
    .tuple(fc.constantFrom(...macs), fc.constantFrom(...macs, '02:00:00:00:00:77'), type, rest)
    .map(([to, from, kind, payload]) => {
      const addresses = Buffer.from(`${to}${from}`.replaceAll(':', ''), 'hex')
      return Uint8Array.of(...addresses, ...kind, ...payload)
    })
  const sender = fc.oneof(
    fc.constantFrom(...PORTS).map(function_ => ({ function: function_ })),
    fc.constantFrom(...world.devices).map(({ vm }) => ({ vm })),
  )
  let received = 0
  fc.assert(
    fc.property(sender, frame, (who, bytes) => {
      const input = { ...P, ...who, data: bytesToHex(bytes) }
      if (bytes.length < 14) {
        expect(() => world.call('traceFrame', input)).toThrow(NorthbridgeError)
        return
      }
      const trace = world.call('traceFrame', input)
      expect(trace.length).toBe(bytes.length)
      expect(trace.sent ? trace.steps.length : 1).toBeGreaterThan(0)
      received += trace.received.length
    }),
    { numRuns: RUNS, seed: Number(process.env['SEED'] ?? 2) },
  )
  expect(received).toBeGreaterThan(0)
})
