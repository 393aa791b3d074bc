/** Receive side scaling: the verification suite that Microsoft published with the specification of the hash. */
import { describe, expect, it } from 'vitest'
import { RSS_KEY_SIZE, ToeplitzHash } from '../../src/net/index.ts'

const KEY = Uint8Array.from(
  Buffer.from('6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa', 'hex'),
)

const ipv4 = (text: string): number[] => text.split('.').map(Number)
const port = (number: number): number[] => [number >>> 8, number & 0xff]
function ipv6(text: string): number[] {
  const [head = '', tail = ''] = text.split('::')
  const words = (part: string): number[] =>
    part === '' ? [] : part.split(':').map(word => Number.parseInt(word, 16))
  const fill = new Array<number>(8 - words(head).length - words(tail).length).fill(0)
  return [...words(head), ...fill, ...words(tail)].flatMap(port)
}

/** Destination and port, source and port, hash of the addresses, hash with ports. */
const IPV4 = [
  ['161.142.100.80', 1766, '66.9.149.187', 2794, 0x323e8fc2, 0x51ccc178],
  ['65.69.140.83', 4739, '199.92.111.2', 14230, 0xd718262a, 0xc626b0ea],
  ['12.22.207.184', 38024, '24.19.198.95', 12898, 0xd2d0a5de, 0x5c2b394a],
  ['209.142.163.6', 2217, '38.27.205.30', 48228, 0x82989176, 0xafc7327f],
  ['202.188.127.2', 1303, '153.39.163.191', 44251, 0x5d1809c5, 0x10e828a2],
] as const
const IPV6 = [
  ['3ffe:2501:200:3::1', 1766, '3ffe:2501:200:1fff::7', 2794, 0x2cc18cd5, 0x40207d3d],
  ['ff02::1', 4739, '3ffe:501:8::260:97ff:fe40:efab', 14230, 0x0f0c461c, 0xdde51bbf],
  ['fe80::200:f8ff:fe21:67cf', 38024, '3ffe:1900:4545:3:200:f8ff:fe21:67cf', 44251, 0x4b61e985, 0x02d1feef],
] as const

describe('the Toeplitz hash', () => {
  const hash = new ToeplitzHash()
  hash.setKey(KEY)
  const of = (bytes: number[]): number => hash.add(0, 0, Uint8Array.from(bytes), 0, bytes.length) >>> 0

  it('has a key of 40 bytes', () => {
    expect(KEY).toHaveLength(RSS_KEY_SIZE)
  })

  it.each(IPV4)('of %s:%d from %s:%d is as published', (to, toPort, from, fromPort, plain, ports) => {
    const addresses = [...ipv4(from), ...ipv4(to)]
    expect(of(addresses)).toBe(plain)
    expect(of([...addresses, ...port(fromPort), ...port(toPort)])).toBe(ports)
  })

  it.each(IPV6)(
    'of %s port %d from %s port %d is as published',
    (to, toPort, from, fromPort, plain, ports) => {
      const addresses = [...ipv6(from), ...ipv6(to)]
      expect(of(addresses)).toBe(plain)
      expect(of([...addresses, ...port(fromPort), ...port(toPort)])).toBe(ports)
    },
  )

  it('is the same when the input comes in pieces', () => {
    const bytes = Uint8Array.from([
      ...ipv4('66.9.149.187'),
      ...ipv4('161.142.100.80'),
      ...port(2794),
      ...port(1766),
    ])
    const first = hash.add(0, 0, bytes, 0, 8)
    expect(hash.add(first, 8, bytes, 8, 4) >>> 0).toBe(0x51ccc178)
  })
})
