/** "Configuration Space": access attributes, byte enables, base address registers. Offsets and bits are literals. */
import { describe, expect, it } from 'vitest'
import { ALL, Machine, part, patched } from './machine.ts'

const plugged = (name: string, at = '1.0') => new Machine().plug(part(name), at)

describe('type 0 header', () => {
  it('identity, class and subsystem are read-only', () => {
    const nic = plugged('intel-82576')
    for (const offset of [0x00, 0x08, 0x2c]) {
      const before = nic.readConfig(offset)
      nic.writeConfig(offset, ~before >>> 0, ALL)
      expect(nic.readConfig(offset)).toBe(before)
    }
    expect(nic.readConfig(0x00)).toBe(0x10c9_8086)
    expect(nic.readConfig(0x08)).toBe(0x0200_0001)
  })

  it('a PCI Express endpoint with an I/O BAR implements 0547h of Command', () => {
    const nic = plugged('intel-82576')
    nic.writeConfig(0x04, 0xffff, 0xffff)
    expect(nic.readConfig(0x04) & 0xffff).toBe(0x0547)
  })

  it('I/O Space Enable is hard-wired to 0 without an I/O BAR', () => {
    const ssd = plugged('nvme-sriov')
    ssd.writeConfig(0x04, 0xffff, 0xffff)
    expect(ssd.readConfig(0x04) & 0xffff).toBe(0x0546)
  })

  it('a byte written to Command does not clear RW1C bits of Status beside it', () => {
    const nic = plugged('intel-82576')
    nic.words[1]! |= 0x8000_0000 // Detected Parity Error
    nic.writeConfig(0x04, 0xffff_ffff, 0x0000_00ff)
    expect(nic.readConfig(0x04)).toBe(0x8010_0047)
    nic.writeConfig(0x04, 0x8000_0000, 0xff00_0000)
    expect(nic.readConfig(0x04)).toBe(0x0010_0047)
  })

  it('only the byte lanes of an access are written', () => {
    const nic = plugged('intel-82576')
    nic.writeConfig(0x3c, 0x5555_555a, 0x0000_00ff)
    expect(nic.readConfig(0x3c)).toBe(0x0000_015a)
  })

  it('beyond 256 bytes a conventional function reads all ones', () => {
    expect(plugged('intel-82540em').readConfig(0x100)).toBe(0xffff_ffff)
  })
})

describe('base address registers', () => {
  const sized = (name: string, offset: number): number => {
    const fn = plugged(name)
    fn.writeConfig(offset, ALL, ALL)
    return fn.readConfig(offset)
  }

  it.each([
    ['128 KiB, 32-bit', 'intel-82576', 0x10, 0xfffe_0000],
    ['4 MiB, 32-bit', 'intel-82576', 0x14, 0xffc0_0000],
    ['32 bytes of I/O', 'intel-82576', 0x18, 0xffff_ffe1],
    ['16 KiB, 32-bit', 'intel-82576', 0x1c, 0xffff_c000],
    ['absent', 'intel-82576', 0x20, 0],
    ['512 KiB, 64-bit prefetchable', 'intel-82599', 0x10, 0xfff8_000c],
    ['its upper half', 'intel-82599', 0x14, 0xffff_ffff],
    ['32 KiB, 64-bit', 'nvme-sriov', 0x10, 0xffff_8004],
    ['4 MiB of expansion ROM', 'intel-82576', 0x30, 0xffc0_0001],
  ])('%s', (_what, name, offset, expected) => {
    expect(sized(name, offset)).toBe(expected)
  })

  it('size bits above 4 GiB show in the upper half', () => {
    const ssd = part('nvme-sriov')
    const fn = new Machine().plug({ ...ssd, bars: [{ ...ssd.bars[0]!, size: 2 ** 34 }] }, '1.0')
    fn.writeConfig(0x10, ALL, ALL)
    fn.writeConfig(0x14, ALL, ALL)
    expect([fn.readConfig(0x10), fn.readConfig(0x14)]).toEqual([0x0000_0004, 0xffff_fffc])
  })
})

describe('type 1 header', () => {
  it('window registers keep their width bits; upper halves exist for a 64-bit window', () => {
    const port = plugged('root-port')
    for (const offset of [0x18, 0x1c, 0x20, 0x24, 0x28, 0x2c, 0x30]) port.writeConfig(offset, ALL, ALL)
    expect([0x18, 0x1c, 0x20, 0x24, 0x28, 0x2c, 0x30].map(offset => port.readConfig(offset))).toEqual([
      0x00ff_ffff, 0x0000_f0f0, 0xfff0_fff0, 0xfff1_fff1, 0xffff_ffff, 0xffff_ffff, 0,
    ])
  })

  it('a 32-bit prefetchable window has no upper halves', () => {
    const bridge = plugged('pci-bridge')
    for (const offset of [0x24, 0x28, 0x2c]) bridge.writeConfig(offset, ALL, ALL)
    expect([0x24, 0x28, 0x2c].map(offset => bridge.readConfig(offset))).toEqual([0xfff0_fff0, 0, 0])
  })

  it('Bridge Control of a PCI Express port: parity, SERR, ISA, VGA, VGA16 and reset', () => {
    const port = plugged('root-port')
    port.writeConfig(0x3c, 0xffff_0000, 0xffff_0000)
    expect(port.readConfig(0x3c) >>> 16).toBe(0x005f)
  })
})

describe('an image captured from a running machine', () => {
  const captured = patched(
    part('intel-82576'),
    [0x04, 0x07], // I/O, memory, bus master
    [0x05, 0x04], // INTx disable
    [0x06, 0x18], // INTx status, capability list
    [0x13, 0xfe], // BAR0 at FE000000h
    [0x3c, 0x0b], // interrupt line
    [0x73, 0xc0], // MSI-X enable, function mask
    [0x168, 0x19], // VFE, VF MSE, ARI
    [0x170, 0x07], // NumVFs
  )

  it('is built as it was after reset', () => {
    const nic = new Machine().plug(captured, '0.0')
    expect(nic.readConfig(0x04)).toBe(0x0010_0000)
    expect(nic.readConfig(0x10)).toBe(0)
    expect(nic.readConfig(0x3c)).toBe(0x0000_0100)
    expect(nic.readConfig(0x70) >>> 16).toBe(0x0009)
    expect(nic.readConfig(0x168)).toBe(0)
    expect(nic.readConfig(0x170) & 0xffff).toBe(0)
    expect(nic.readConfig(0x180)).toBe(1)
    expect(nic.virtualFunctions).toEqual([])
  })
})

describe('Device Control', () => {
  it('comes out of reset with relaxed ordering, no-snoop and 512-byte reads', () => {
    expect(plugged('intel-82576').readConfig(0xa8) & 0xffff).toBe(0x2810)
  })

  it('Initiate FLR reads 0, and cannot be set where FLR is not offered', () => {
    const nic = plugged('intel-82574l')
    nic.writeConfig(0xe8, 0x8000, 0xffff)
    expect(nic.readConfig(0xe8) & 0x8000).toBe(0)
  })
})

describe('ACS Control', () => {
  it('has the bits that ACS Capability offers, all 0 after reset', () => {
    const port = plugged('root-port')
    expect(port.readConfig(0x14c)).toBe(0x0000_001f)
    port.writeConfig(0x14c, ALL, ALL)
    expect(port.readConfig(0x14c)).toBe(0x001f_001f)
    port.reset('hot')
    expect(port.readConfig(0x14c)).toBe(0x0000_001f)
  })
})

describe('what many functions share', () => {
  const nic = part('intel-82576')
  const other = patched(nic, [0x144, 0x77], [0x2e, 0x12]) // serial number, subsystem ID

  it('functions that differ in their bytes alone have one table of attributes', () => {
    const machine = new Machine()
    const [first, second] = [machine.plug(nic, '1.0'), machine.plug(other, '2.0')]
    expect(second.readConfig(0x144)).not.toBe(first.readConfig(0x144))
    expect(second.layout.capabilities).toBe(first.layout.capabilities)
    second.writeConfig(0x04, 0x6, 0xffff)
    expect([first.readConfig(0x04) & 0xffff, second.readConfig(0x04) & 0xffff]).toEqual([0, 0x6])
  })

  it('functions whose base addresses differ have two', () => {
    const machine = new Machine()
    const smaller = { ...nic, bars: nic.bars.map(bar => ({ ...bar, size: bar.size / 2 })) }
    const [first, second] = [machine.plug(nic, '1.0'), machine.plug(smaller, '2.0')]
    expect(second.layout.capabilities).not.toBe(first.layout.capabilities)
  })

  it('an image without the zeros at its end makes the same function', () => {
    const cut = { ...nic, image: nic.image.slice(0, 0x200), configSize: 4096 }
    expect(nic.image.subarray(0x200).some(byte => byte !== 0)).toBe(false)
    expect([...new Machine().plug(cut, '1.0').words]).toEqual([...new Machine().plug(nic, '1.0').words])
  })
})
