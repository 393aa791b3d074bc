import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  ALL_LANES,
  decode,
  get,
  lanesOf,
  RegisterFile,
  register,
  ro,
  rw,
  rw1c,
  set,
  wo,
} from '../../src/core/index.ts'

const STATUS = register(0x34, 32, 'STATUS', { OVERFLOW: rw1c(0), PENDING: ro(1), INDEX: ro(15, 8) })
const POINTER = register(0x20, 64, 'POINTER', { ADDRESS: rw(63, 12), MODE: rw(11, 10) })
const COMMAND = register(0x18, 32, 'COMMAND', { GO: wo(31) })

describe('a field', () => {
  it('reads the bits it names, from whichever word they are in', () => {
    expect(get(rw(47, 32), [0, 0xdead_beef])).toBe(0xbeef)
    expect(get(ro(15, 8), [0x0000_ab00])).toBe(0xab)
  })

  it('may cross from one word into the next, exact to 53 bits', () => {
    expect(get(rw(63, 12), [0xfffff000, 0xffff_ffff])).toBe(2 ** 52 - 1)
    expect(get(rw(63, 38), [0, 0x8000_0040])).toBe(0x200_0001)
  })

  it('gives back what was set, and leaves the neighbours alone', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 63 }),
        fc.integer({ min: 0, max: 52 }),
        fc.maxSafeNat(),
        fc.tuple(fc.nat(0xffff_ffff), fc.nat(0xffff_ffff)),
        (low, extent, raw, [first, second]) => {
          const high = Math.min(low + extent, 63)
          const width = high - low + 1
          const value = Number(BigInt.asUintN(Math.min(width, 52), BigInt(raw)))
          const words = new Uint32Array([first, second])
          set(rw(high, low), words, value)
          const before = (BigInt(second) << 32n) | BigInt(first)
          const mask = ((1n << BigInt(width)) - 1n) << BigInt(low)
          const expected = (before & ~mask) | (BigInt(value) << BigInt(low))
          expect((BigInt(words[1]!) << 32n) | BigInt(words[0]!)).toBe(expected)
          if (width <= 52) expect(get(rw(high, low), words)).toBe(value)
        },
      ),
    )
  })

  it('cannot span three words', () => {
    expect(() => rw(64, 31)).toThrow('at most two words')
  })
})

describe('a register file', () => {
  const make = () => new RegisterFile(0x40, [STATUS, POINTER, COMMAND])

  it('keeps read-only and reserved bits whatever is written', () => {
    const file = make()
    file.words[STATUS.at] = 0x0000_5a02
    file.write(0x34, 0xffff_ffff, ALL_LANES)
    expect(file.words[STATUS.at]).toBe(0x0000_5a02)
  })

  it('clears RW1C bits by a written 1 only, and only in the byte lanes of the access', () => {
    const file = make()
    file.words[STATUS.at] = 1
    file.write(0x34, 0, ALL_LANES)
    expect(file.words[STATUS.at]).toBe(1)
    file.write(0x34, 1, lanesOf(0b1110))
    expect(file.words[STATUS.at]).toBe(1)
    file.write(0x34, 1, lanesOf(0b0001))
    expect(file.words[STATUS.at]).toBe(0)
  })

  it('does not store write-only bits', () => {
    const file = make()
    file.write(0x18, 0x8000_0000, ALL_LANES)
    expect(file.words[COMMAND.at]).toBe(0)
  })

  it('writes both words of a 64-bit register where its fields are', () => {
    const file = make()
    file.write(0x20, 0xffff_ffff, ALL_LANES)
    file.write(0x24, 0xffff_ffff, ALL_LANES)
    expect([...file.words.slice(8, 10)]).toEqual([0xffff_fc00, 0xffff_ffff])
    expect(decode(POINTER.f, file.words, POINTER.at)).toEqual({ ADDRESS: 2 ** 52 - 1, MODE: 3 })
  })

  it('makes bits read-only where the capability is missing', () => {
    const file = make()
    file.hardwire(POINTER.at, 0xc00)
    file.write(0x20, 0xffff_ffff, ALL_LANES)
    expect(file.words[POINTER.at]).toBe(0xffff_f000)
  })
})
