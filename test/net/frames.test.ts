/** Frames, their headers and checksums, and the wire that carries them. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  Frame,
  FrameHeaders,
  formatMac,
  frameCheckSequence,
  insertTag,
  ipv4ChecksumOk,
  LinkPartner,
  lineOccupancy,
  macHigh,
  macLow,
  NetworkPort,
  parseMac,
  removeTag,
  transportChecksumOk,
  Wire,
} from '../../src/net/index.ts'

/** An IPv4 header whose checksum, b861, is worked out in many textbooks, and a UDP datagram without checksum. */
const IPV4 =
  '020000000001' + '020000000002' + '0800' + '45000073000040004011b861c0a80001c0a800c7' + '0035e97c005f0000'
const frameOf = (hex: string, length = 0): Uint8Array => {
  const bytes = Buffer.from(hex, 'hex')
  return Uint8Array.from([...bytes, ...new Array<number>(Math.max(0, length - bytes.length)).fill(0)])
}

describe('headers', () => {
  it('are found where they lie', () => {
    const bytes = frameOf(IPV4, 14 + 0x73)
    const headers = new FrameHeaders()
    headers.parse(bytes, bytes.length)
    expect(headers).toMatchObject({
      tagged: false,
      etherType: 0x0800,
      networkStart: 14,
      ipVersion: 4,
      ipHeaderLength: 20,
      fragment: false,
      protocol: 17,
      transportStart: 34,
      transportHeaderLength: 8,
      packetEnd: 14 + 0x73,
    })
    expect(formatMac(headers.destinationLow, headers.destinationHigh)).toBe('02:00:00:00:00:01')
    expect(ipv4ChecksumOk(bytes, headers)).toBe(true)
    expect(transportChecksumOk(bytes, headers)).toBe(true)
    bytes[16] = bytes[16]! ^ 1
    expect(ipv4ChecksumOk(bytes, headers)).toBe(false)
  })

  it('move behind a tag, and back when it is taken away', () => {
    const plain = frameOf(IPV4, 14 + 0x73)
    const frame = new Frame()
    frame.set(plain)
    expect(insertTag(frame, 0x6064)).toBe(true)
    const headers = new FrameHeaders()
    headers.parse(frame.bytes, frame.length)
    expect(headers).toMatchObject({
      tagged: true,
      tag: 0x6064,
      vlan: 100,
      etherType: 0x0800,
      transportStart: 38,
    })
    removeTag(frame)
    expect(frame.toBytes()).toEqual(plain)
  })

  it('of any bytes never lie outside the frame', () => {
    const headers = new FrameHeaders()
    const etherType = fc.constantFrom('0800', '86dd', '81000001' + '0800', '8100000186dd', '0806')
    fc.assert(
      fc.property(etherType, fc.uint8Array({ maxLength: 120 }), (type, rest) => {
        const bytes = Uint8Array.from([...frameOf(`020000000001020000000002${type}`), ...rest])
        headers.parse(bytes, bytes.length)
        expect(headers.networkStart).toBeLessThanOrEqual(bytes.length)
        expect(headers.packetEnd).toBeLessThanOrEqual(bytes.length)
        expect(headers.transportStart + headers.transportHeaderLength).toBeLessThanOrEqual(headers.packetEnd)
        if (headers.ipVersion > 0) {
          expect(headers.networkStart + headers.ipHeaderLength).toBeLessThanOrEqual(headers.packetEnd)
        }
      }),
      { numRuns: 500 },
    )
  })

  it('have addresses that survive being written as text', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), bytes => {
        expect(parseMac(formatMac(macLow(bytes, 0), macHigh(bytes, 0)))).toEqual(bytes)
      }),
    )
    expect(() => parseMac('02:00:00:00:00')).toThrow()
  })
})

describe('the frame check sequence', () => {
  it('is CRC-32: of "123456789", cbf43926', () => {
    expect(frameCheckSequence(Uint8Array.from(Buffer.from('123456789')), 9)).toBe(0xcbf4_3926)
  })
})

describe('a wire', () => {
  const build = () => {
    const changes: boolean[] = []
    const heard: number[] = []
    const port = new NetworkPort('a', 1000, {
      receive: frame => heard.push(frame.length),
      carrierChanged: () => changes.push(port.carrier),
    })
    const partner = new LinkPartner('b')
    const wire = new Wire(port, partner.port)
    return { port, partner, wire, changes, heard }
  }

  it('occupies the line with preamble, check sequence, gap and padding', () => {
    // 64-byte frames at 1 Gb/s: 1,488,095 a second.
    expect(lineOccupancy(60)).toBe(84)
    expect(lineOccupancy(14)).toBe(84)
    expect(lineOccupancy(1514)).toBe(1538)
    expect(Math.floor(1e9 / 8 / lineOccupancy(60))).toBe(1_488_095)
  })

  it('carries frames both ways at the speed of its slower end', () => {
    const { port, partner, wire, heard } = build()
    const seen: number[] = []
    partner.listener = frame => seen.push(frame.length)
    expect(wire.speed).toBe(1000)
    expect(port.send(Frame.of(new Uint8Array(100)))).toBe(true)
    expect(partner.send(Frame.of(new Uint8Array(70)))).toBe(true)
    expect([seen, heard]).toEqual([[100], [70]])
    expect([...wire.frames]).toEqual([1, 1])
    expect([...wire.occupied]).toEqual([124, 94])
  })

  it('loses what is sent without carrier, and tells both ends of it', () => {
    const { port, partner, wire, changes, heard } = build()
    wire.plugged = false
    expect(port.carrier).toBe(false)
    expect(partner.send(Frame.of(new Uint8Array(70)))).toBe(false)
    partner.port.enabled = false
    wire.plugged = true
    expect(port.carrier).toBe(false)
    partner.port.enabled = true
    expect(port.carrier).toBe(true)
    expect([heard, [...wire.lost]]).toEqual([[], [0, 1]])
    expect(changes.at(-1)).toBe(true)
  })
})
