import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  bytesToHex,
  digest,
  formatAddress64,
  formatFunctionAddress,
  hexToBytes,
  parseAddress64,
  parseFunctionAddress,
  parsePhysical,
  Random,
} from '../../src/core/index.ts'

describe('a 64-bit address as text', () => {
  it('comes back as it went in, to the last bit', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), value => {
        const text = `0x${value.toString(16)}`
        expect(formatAddress64(parseAddress64(text))).toBe(text)
      }),
    )
  })

  it.each(['1000', '0x', '0x1_0000', '0x10000000000000000', '-0x1', ' 0x1'])('is not %j', text => {
    expect(() => parseAddress64(text, 'address')).toThrow('address must be a hexadecimal string')
  })

  it('is at most 52 bits wide where physical', () => {
    expect(parsePhysical('0xfffffffffffff')).toBe(2 ** 52 - 1)
    expect(() => parsePhysical('0x10000000000000', 'base')).toThrow(
      'base 0x10000000000000 is wider than 52 bits',
    )
  })
})

describe('a function address', () => {
  it('prints as dddd:bb:dd.f and parses again', () => {
    fc.assert(
      fc.property(fc.nat(0xffff), fc.nat(0xffff), (segment, rid) => {
        const parsed = parseFunctionAddress(formatFunctionAddress(segment, rid as never))
        expect(parsed).toEqual({ segment, rid })
      }),
    )
  })

  it('may leave out segment 0', () => {
    expect(parseFunctionAddress('3:10.1'.padStart(7, '0'))).toEqual({ segment: 0, rid: 0x0381 })
  })

  it.each(['', '0000:03:10', '0000:03:20.1', '0000:03:10.8', '03.10.1', '0000:03:10.1 '])(
    'is not %j',
    text => {
      expect(() => parseFunctionAddress(text)).toThrow('is not a function address')
    },
  )
})

describe('bytes as hexadecimal digits', () => {
  it('come back as they went in', () => {
    fc.assert(
      fc.property(fc.uint8Array(), bytes => {
        expect(hexToBytes(bytesToHex(bytes))).toEqual(bytes)
      }),
    )
  })

  it.each(['0', 'xy', '0x00', '00 11'])('are not %j', text => {
    expect(() => hexToBytes(text)).toThrow('even number of hexadecimal digits')
  })
})

describe('the digest of a state', () => {
  it('does not depend on the order in which keys were made', () => {
    expect(digest({ a: 1, b: [2, 'x'] })).toBe(digest({ b: [2, 'x'], a: 1 }))
  })

  it('tells apart what differs in type, order or grouping only', () => {
    const states = [
      1,
      '1',
      [1],
      [[1]],
      [1, 2],
      [2, 1],
      ['12'],
      ['1', '2'],
      null,
      false,
      0,
      '',
      {},
      [],
      new Uint8Array([1]),
    ]
    expect(new Set(states.map(digest)).size).toBe(states.length)
  })
})

describe('random numbers', () => {
  it('are the same for the same seed, and go on from a saved state', () => {
    const draw = (random: Random) => Array.from({ length: 8 }, () => random.integer(0, 1_000_000))
    const first = new Random(42)
    expect(draw(first)).toEqual(draw(new Random(42)))
    const saved = first.save()
    const next = draw(first)
    const other = new Random(1)
    other.load(saved)
    expect(draw(other)).toEqual(next)
  })
})
