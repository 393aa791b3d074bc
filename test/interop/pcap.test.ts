import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NorthbridgeError } from '../../src/core/index.ts'
import { createNorthbridge } from '../../src/index.ts'
import { packetAt, readPcap, writePcap } from '../../src/interop/pcap/index.ts'
import { imix } from '../../src/net/traffic/index.ts'
import { describeWith, run, scratchFolder } from './tools.ts'

const STATIONS = [1, 2].map(n => ({ mac: Uint8Array.of(2, 0, 0, 0, 0, n), ip: 0x0a00_0000 + n }))

/** A file by hand: the draft's figures, byte for byte. */
function file({
  big = false,
  magic = 0xa1b2c3d4,
  version = [2, 4],
  snapLength = 65535,
  link = 1,
  packets = [] as readonly {
    seconds: number
    fraction: number
    captured: number
    original: number
    data: Uint8Array
  }[],
} = {}): Uint8Array {
  const words = (...values: number[]) => {
    const view = new DataView(new ArrayBuffer(values.length * 4))
    for (const [i, value] of values.entries()) view.setUint32(i * 4, value, !big)
    return new Uint8Array(view.buffer)
  }
  const versions = new DataView(new ArrayBuffer(4))
  versions.setUint16(0, version[0]!, !big)
  versions.setUint16(2, version[1]!, !big)
  return Buffer.concat([
    words(magic),
    new Uint8Array(versions.buffer),
    words(0, 0, snapLength, link),
    ...packets.flatMap(({ seconds, fraction, captured, original, data }) => [
      words(seconds, fraction, captured, original),
      data,
    ]),
  ])
}

const ONE = { seconds: 7, fraction: 500_000, captured: 4, original: 60, data: Uint8Array.of(1, 2, 3, 4) }

function refusal(bytes: Uint8Array): NorthbridgeError {
  try {
    readPcap(bytes)
  } catch (error) {
    if (error instanceof NorthbridgeError) return error
    throw error
  }
  throw new Error('the file was read')
}

describe('PCAP Capture File Format', () => {
  it.each([
    [false, 0xa1b2c3d4, 'little', 'microseconds', 500_000_000],
    [true, 0xa1b2c3d4, 'big', 'microseconds', 500_000_000],
    [false, 0xa1b23c4d, 'little', 'nanoseconds', 500_000],
    [true, 0xa1b23c4d, 'big', 'nanoseconds', 500_000],
  ] as const)(
    'is read in either byte order and unit of time (big %s, magic %i)',
    (big, magic, order, unit, ns) => {
      const capture = readPcap(file({ big, magic, packets: [ONE] }))
      expect(capture).toMatchObject({
        byteOrder: order,
        resolution: unit,
        snapLength: 65535,
        linkType: 1,
        fcsLength: 0,
      })
      expect(capture.packets).toEqual([{ seconds: 7, nanoseconds: ns, originalLength: 60, data: ONE.data }])
    },
  )

  it('says how long the frame check sequence is that packets end with, if the file says so', () => {
    expect(readPcap(file({ link: 0x2400_0001 }))).toMatchObject({ linkType: 1, fcsLength: 4 })
  })

  it('comes back from its own writer, whatever the unit and byte order', () => {
    const packet = fc.record({
      seconds: fc.nat(0xffff_ffff),
      microseconds: fc.nat(999_999),
      data: fc.uint8Array({ maxLength: 100 }),
    })
    fc.assert(
      fc.property(
        fc.array(packet, { maxLength: 5 }),
        fc.constantFrom('microseconds', 'nanoseconds'),
        fc.constantFrom('little', 'big'),
        fc.integer({ min: 1, max: 120 }),
        (list, resolution, byteOrder, snapLength) => {
          const packets = list.map(({ seconds, microseconds, data }) => ({
            seconds,
            nanoseconds: microseconds * 1000,
            originalLength: data.length,
            data,
          }))
          const capture = readPcap(writePcap(packets, { resolution, byteOrder, snapLength }))
          expect(capture).toMatchObject({ resolution, byteOrder, snapLength })
          expect(capture.packets).toEqual(
            packets.map(one => ({ ...one, data: one.data.slice(0, snapLength) })),
          )
        },
      ),
    )
  })

  it('is refused with the offset wherever it ends too early', () => {
    const whole = file({ packets: [ONE, ONE] })
    const borders = [24, 24 + 20, 24 + 40]
    for (let length = 0; length < whole.length; length++) {
      if (borders.includes(length)) continue
      const error = refusal(whole.subarray(0, length))
      expect(error.code).toBe('malformedInput')
      expect(error.details['offset']).toBeLessThanOrEqual(length)
    }
    expect(refusal(whole.subarray(0, 50)).message).toBe(
      'pcap, offset 44: the file ends within the header of packet 2',
    )
    expect(refusal(whole.subarray(0, 62)).message).toBe(
      'pcap, offset 60: the file ends within packet 2: 4 bytes announced, 2 there',
    )
  })

  it.each([
    ['another magic number', file({ magic: 0x0a0d0d0a }), 0],
    ['another version', file({ version: [2, 3] }), 4],
    ['a fraction of a whole second', file({ packets: [{ ...ONE, fraction: 1_000_000 }] }), 28],
    ['more bytes kept than there were', file({ packets: [{ ...ONE, original: 3 }] }), 32],
    [
      'a packet that is longer than any',
      file({ packets: [{ ...ONE, captured: 262_145, original: 2 ** 31 }] }),
      32,
    ],
  ])('is refused for %s', (_what, bytes, offset) => {
    expect(refusal(bytes)).toMatchObject({ code: 'malformedInput', details: { offset } })
  })
})

/** One row for each packet of a file, by tshark. */
function dissected(path: string, fields: readonly string[], filter = ''): string[] {
  const checks = ['-o', 'ip.check_checksum:TRUE', '-o', 'udp.check_checksum:TRUE']
  const wanted = fields.flatMap(field => ['-e', field])
  const { status, stdout, stderr } = run('tshark', [
    '-r',
    path,
    '-Y',
    filter,
    '-T',
    'fields',
    ...wanted,
    ...checks,
  ])
  expect(status, stderr).toBe(0)
  return stdout.trim().split('\n')
}

describeWith('tshark', 'capture files and tshark', () => {
  const folder = scratchFolder()

  it('reads frames that were generated, and finds every checksum right', () => {
    const frames = [...imix({ stations: STATIONS, seed: 1, frames: 20, bitsPerSecond: 1e9 })]
    const path = join(folder, 'frames.pcap')
    writeFileSync(path, writePcap(frames.map(({ time, data }) => packetAt(time, data))))
    const fields = ['frame.len', 'eth.dst', 'ip.checksum.status', 'udp.checksum.status']
    expect(dissected(path, fields)).toEqual(
      frames.map(({ data }) => [data.length, '02:00:00:00:00:02', 1, 1].join('\t')),
    )
  })

  it('reads what passed a wire while a platform worked: who, how long, when, and what a failover announced', () => {
    const northbridge = createNorthbridge()
    const P = { platform: 'p' }
    const [first, second] = ['0000:01:00.0', '0000:01:00.1']
    const mac = '02:00:00:00:00:a0'
    northbridge.createPlatform({ topology: 'one-socket-82576', name: 'p' })
    northbridge.createVm({ ...P, name: 'a', vcpus: 1, memoryMiB: 16 })
    northbridge.createSwitch({ ...P, name: 'vs0', uplinks: [first, second] })
    northbridge.addNetworkDevice({ ...P, vm: 'a', model: 'paravirtual', mac, switch: 'vs0' })
    northbridge.captureFrames({ ...P, function: second, capture: 'on' })
    northbridge.passTime({ ...P, nanoseconds: 1_500_000_000 })
    northbridge.setCable({ ...P, function: first, cable: 'pulled' })
    northbridge.traceFrame({ ...P, vm: 'a', to: '02:00:00:00:00:09', sender: mac, length: 200 })
    northbridge.traceFrame({
      ...P,
      function: second,
      to: mac,
      sender: '02:00:00:00:00:09',
      length: 1514,
      vlan: 1,
    })
    const path = join(folder, 'wire.pcap')
    writeFileSync(path, Buffer.from(northbridge.capturedFrames({ ...P, function: second }).pcap, 'hex'))
    expect(dissected(path, ['eth.src', 'eth.dst', 'eth.type', 'frame.len', 'vlan.id'])).toEqual([
      `${mac}\tff:ff:ff:ff:ff:ff\t0x8035\t60\t`,
      `${mac}\t02:00:00:00:00:09\t0x88b5\t200\t`,
      `02:00:00:00:00:09\t${mac}\t0x8100\t1514\t1`,
    ])
    const [time] = dissected(path, ['frame.time_epoch'], 'frame.number == 1')
    expect(Number(time)).toBeGreaterThanOrEqual(1.5)
  })
})
