/** Which addresses a header decodes: I/O BARs and windows, ISA and VGA Enable, the expansion ROM. */
import { describe, expect, it } from 'vitest'
import type { PcieFunction } from '../../src/pcie/index.ts'
import { ALL, Machine, part } from './machine.ts'

/** Ranges that a function claims of I/O or of memory, as [first, last]. */
function claimsOf(fn: PcieFunction, space: 'io' | 'memory'): [number, number][] {
  const ranges: [number, number][] = []
  const receive = (base: number, end: number): void => {
    if (end > base) ranges.push([base, end - 1])
  }
  if (space === 'io') fn.ioClaims(receive)
  else fn.claims(receive)
  return ranges
}

function plugged(name: string): PcieFunction {
  return new Machine().plug(part(name), '1.0')
}

/** A bridge whose memory windows are closed, with I/O decoding on. */
function bridge(ioBase: number, ioLimit: number, control: number): PcieFunction {
  const fn = plugged('pci-bridge')
  fn.writeConfig(0x1c, ((ioLimit >>> 12) << 12) | ((ioBase >>> 12) << 4), 0xffff)
  fn.writeConfig(0x20, 0x0000_fff0, ALL)
  fn.writeConfig(0x24, 0x0000_fff0, ALL)
  fn.writeConfig(0x3c, control << 16, 0xffff_0000)
  fn.writeConfig(0x04, 0x3, 0xffff)
  return fn
}
const ISA = 0x04
const VGA = 0x08
const VGA16 = 0x10

describe('I/O space', () => {
  it('an I/O BAR decodes its size while I/O Space Enable is set', () => {
    const nic = plugged('intel-82576')
    nic.writeConfig(0x18, 0xc040, ALL)
    expect(claimsOf(nic, 'io')).toEqual([])
    nic.writeConfig(0x04, 0x1, 0xffff)
    expect(claimsOf(nic, 'io')).toEqual([[0xc040, 0xc05f]])
    nic.writeConfig(0x44, 0x3, 0xffff) // D3hot
    expect(claimsOf(nic, 'io')).toEqual([])
  })

  it('a bridge forwards from I/O Base to the end of the 4 KiB of I/O Limit; base above limit closes the window', () => {
    expect(claimsOf(bridge(0xd000, 0xe000, 0), 'io')).toEqual([[0xd000, 0xefff]])
    expect(claimsOf(bridge(0xe000, 0xd000, 0), 'io')).toEqual([])
  })

  it('with ISA Enable only the first 256 bytes of each KiB of it', () => {
    expect(claimsOf(bridge(0xd000, 0xd000, ISA), 'io')).toEqual([
      [0xd000, 0xd0ff],
      [0xd400, 0xd4ff],
      [0xd800, 0xd8ff],
      [0xdc00, 0xdcff],
    ])
  })

  it('VGA Enable forwards the VGA ports and their aliases, with VGA 16-bit Decode the ports alone', () => {
    const aliased = claimsOf(bridge(0xe000, 0xd000, VGA), 'io')
    expect(aliased).toHaveLength(2 * 64)
    expect(aliased.slice(0, 4)).toEqual([
      [0x3b0, 0x3bb],
      [0x3c0, 0x3df],
      [0x7b0, 0x7bb],
      [0x7c0, 0x7df],
    ])
    expect(claimsOf(bridge(0xe000, 0xd000, VGA | VGA16), 'io')).toEqual(aliased.slice(0, 2))
  })
})

describe('memory space', () => {
  it('VGA Enable forwards A0000h to BFFFFh', () => {
    expect(claimsOf(bridge(0xe000, 0xd000, VGA), 'memory')).toEqual([[0xa_0000, 0xb_ffff]])
    expect(claimsOf(bridge(0xe000, 0xd000, 0), 'memory')).toEqual([])
  })

  it('the expansion ROM decodes with its own enable and Memory Space Enable', () => {
    const nic = plugged('intel-82576')
    for (const [offset, value] of [
      [0x10, 0xe000_0000],
      [0x14, 0xe040_0000],
      [0x1c, 0xe080_0000],
      [0x30, 0xe0c0_0000],
    ] as const) {
      nic.writeConfig(offset, value, ALL)
    }
    nic.writeConfig(0x04, 0x2, 0xffff)
    const rom = (): boolean => claimsOf(nic, 'memory').some(([base]) => base === 0xe0c0_0000)
    expect(rom()).toBe(false)
    nic.writeConfig(0x30, 0xe0c0_0001, ALL)
    expect(claimsOf(nic, 'memory')).toContainEqual([0xe0c0_0000, 0xe0ff_ffff])
    nic.writeConfig(0x04, 0, 0xffff)
    expect(rom()).toBe(false)
  })
})
