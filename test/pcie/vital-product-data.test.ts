/** "Vital Product Data": the protocol of address, flag and data. */
import { describe, expect, it } from 'vitest'
import { AT, definition, plugged } from './images.ts'
import { ALL } from './machine.ts'

const ADDRESS_LANES = 0xffff_0000
const F = 0x8000_0000
/** Identifier string "NIC", read-only area of 4 bytes, writable area of 8 bytes, end. */
const CONTENTS = [
  ...[0x82, 3, 0, 0x4e, 0x49, 0x43],
  ...[0x90, 4, 0, 0x52, 0x56, 1, 0x77],
  ...[0x91, 8, 0, 0x59, 0x41, 5, 0x31, 0x32, 0x33, 0x34, 0x35],
  0x78,
]

function withVpd(contents?: readonly number[]) {
  const fn = plugged(
    definition({ capability: { id: 0x03 } }, contents ? { vitalProductData: Uint8Array.from(contents) } : {}),
  )
  const read = (address: number): number => {
    fn.writeConfig(AT, (address << 16) >>> 0, ADDRESS_LANES)
    expect(fn.readConfig(AT) & F).not.toBe(0)
    return fn.readConfig(AT + 4) >>> 0
  }
  const write = (address: number, value: number): void => {
    fn.writeConfig(AT + 4, value, ALL)
    fn.writeConfig(AT, ((address << 16) | F) >>> 0, ADDRESS_LANES)
    expect(fn.readConfig(AT) & F).toBe(0)
  }
  return { fn, read, write }
}

describe('vital product data', () => {
  it('is read by writing the address with F clear: the function sets F when the data are there', () => {
    const { read } = withVpd(CONTENTS)
    expect([read(0), read(4)]).toEqual([0x4e00_0382, 0x0490_4349])
  })

  it('is written by data, then the address with F set, within the writable area only', () => {
    const { read, write } = withVpd(CONTENTS)
    write(20, 0x6162_6364)
    expect(read(20)).toBe(0x6162_6364)
    const before = read(4)
    write(4, 0)
    expect(read(4)).toBe(before)
    // Bytes 16 to 23 are writable; the dword at 12 is the tag and its length, then nothing of the area.
    const tag = read(12)
    write(12, 0)
    expect(read(12)).toBe(tag)
  })

  it('a write that does not carry F starts nothing', () => {
    const { fn } = withVpd(CONTENTS)
    fn.writeConfig(AT, 4 << 16, 0x00ff_0000)
    expect(fn.readConfig(AT) & F).toBe(0)
    expect(fn.readConfig(AT + 4)).toBe(0)
  })

  it('of a device without contents reads as erased storage', () => {
    expect(withVpd().read(0)).toBe(0xffff_ffff)
  })

  it('outlives a reset, and save and load', () => {
    const one = withVpd(CONTENTS)
    one.write(20, 0x6162_6364)
    one.fn.reset('fundamental')
    expect(one.read(20)).toBe(0x6162_6364)
    const other = withVpd(CONTENTS)
    other.fn.load(one.fn.save())
    expect(other.read(20)).toBe(0x6162_6364)
  })
})
