/** "Single Root I/O Virtualization and Sharing": where virtual functions answer, and what may change when. */
import { describe, expect, it } from 'vitest'
import { formatRequesterId } from '../../src/core/index.ts'
import type { PcieFunction } from '../../src/pcie/index.ts'
import { ALL, Machine, part, request, rid } from './machine.ts'

// Offsets in the SR-IOV capability of the 82576 and 82599, at 160h.
const CONTROL = 0x168
const NUM_VFS = 0x170
const ROUTING = 0x174
const PAGE_SIZE = 0x180
const VF_BAR0 = 0x184
const VF_BAR3 = 0x190
const VFE = 0x01
const MSE = 0x08
const ARI = 0x10

/** A root port 00:01.0 with buses 1 and 2, and a NIC below it at 01:00.0. */
function withNic(name: string, ariForwarding: boolean) {
  const machine = new Machine()
  const port = machine.plug(part('root-port'), '1.0')
  const pf = machine.plug(part(name), '0.0', port)
  machine.number(0, 1, 0, 1, 2)
  if (ariForwarding) machine.write(0, 1, 0, 0xb8, 0x20, 0xffff)
  const write = (offset: number, value: number) => machine.write(1, 0, 0, offset, value)
  const read = (offset: number) => machine.read(1, 0, 0, offset)
  return { machine, port, pf, write, read }
}

const addresses = (functions: readonly PcieFunction[]): string[] =>
  functions.map(fn => formatRequesterId(fn.rid))

describe('addresses of virtual functions', () => {
  it.each(['intel-82576', 'intel-82599'])('%s with ARI: 01:10.0, 01:10.2, …', name => {
    const { machine, pf, write, read } = withNic(name, true)
    write(CONTROL, ARI)
    expect(read(ROUTING)).toBe((2 << 16) | 128)
    write(NUM_VFS, 7)
    write(CONTROL, ARI | VFE | MSE)
    expect(addresses(pf.virtualFunctions)).toEqual([
      '01:10.0',
      '01:10.2',
      '01:10.4',
      '01:10.6',
      '01:11.0',
      '01:11.2',
      '01:11.4',
    ])
    expect(machine.read(1, 0x10, 2, 0x00)).toBe(0xffff_ffff)
    expect(machine.read(1, 0x10, 2, 0x08)).toBe(0x0200_0001)
    expect(machine.read(1, 0x10, 1, 0x08)).toBe(0xffff_ffff)
    expect(machine.fabric.functionAt(0, rid(1, 0x11, 4))).toBe(pf.virtualFunctions[6])
  })

  it('without ARI they spill over to the next bus: 02:10.0, 02:10.2', () => {
    const { machine, pf, write, read } = withNic('intel-82576', false)
    expect(read(ROUTING)).toBe((2 << 16) | 384)
    write(NUM_VFS, 2)
    write(CONTROL, VFE | MSE)
    expect(addresses(pf.virtualFunctions)).toEqual(['02:10.0', '02:10.2'])
    expect(machine.read(2, 0x10, 0, 0x08)).toBe(0x0200_0001)
  })

  it('a port without ARI Forwarding lets no configuration request to device 16 of its link pass', () => {
    const { machine, port, write } = withNic('intel-82576', true)
    write(CONTROL, ARI)
    write(NUM_VFS, 1)
    write(CONTROL, ARI | VFE)
    expect(machine.read(1, 0x10, 0, 0x08)).toBe(0x0200_0001)
    expect(port.ariForwarding).toBe(true)
    machine.write(0, 1, 0, 0xb8, 0, 0xffff)
    expect(machine.read(1, 0x10, 0, 0x08)).toBe(ALL)
  })

  it('the bridge above must pass the bus number on', () => {
    const { machine, write } = withNic('intel-82576', false)
    machine.number(0, 1, 0, 1, 1)
    write(NUM_VFS, 1)
    write(CONTROL, VFE)
    expect(machine.read(2, 0x10, 0, 0x08)).toBe(ALL)
  })

  it('ARI Capable Hierarchy is writable in the lowest physical function and counts for all', () => {
    const machine = new Machine()
    const port = machine.plug(part('root-port'), '1.0')
    machine.plug(part('intel-82576', 0), '0.0', port)
    const second = machine.plug(part('intel-82576', 1), '0.1', port)
    machine.number(0, 1, 0, 1, 2)
    machine.write(1, 0, 1, CONTROL, ARI)
    expect(machine.read(1, 0, 1, CONTROL)).toBe(0)
    machine.write(1, 0, 0, CONTROL, ARI)
    expect(machine.read(1, 0, 1, ROUTING)).toBe((2 << 16) | 128)
    machine.write(1, 0, 1, NUM_VFS, 2)
    machine.write(1, 0, 1, CONTROL, VFE)
    expect(addresses(second.virtualFunctions)).toEqual(['01:10.1', '01:10.3'])
  })
})

describe('what may change when', () => {
  it('NumVFs above TotalVFs is refused', () => {
    const { write, read } = withNic('intel-82576', true)
    write(NUM_VFS, 8)
    write(NUM_VFS, 9)
    expect(read(NUM_VFS) & 0xffff).toBe(8)
  })

  it('while VF Enable is set NumVFs, page size, VF BARs and the ARI bit do not change', () => {
    const { write, read, pf } = withNic('intel-82576', true)
    write(NUM_VFS, 2)
    write(VF_BAR0, 0xd000_0000)
    write(CONTROL, ARI | VFE)
    write(NUM_VFS, 4)
    write(PAGE_SIZE, 2)
    write(VF_BAR0, 0xe000_0000)
    write(CONTROL, VFE)
    expect([NUM_VFS, PAGE_SIZE, VF_BAR0, CONTROL].map(read)).toEqual([2, 1, 0xd000_0004, ARI | VFE])
    expect(pf.virtualFunctions).toHaveLength(2)
  })

  it('System Page Size takes one supported size, and the VF BARs are sized by it', () => {
    const { write, read } = withNic('intel-82576', true)
    write(PAGE_SIZE, 0x4) // 16 KiB: not among 553h
    expect(read(PAGE_SIZE)).toBe(1)
    write(PAGE_SIZE, 0x11) // two sizes
    expect(read(PAGE_SIZE)).toBe(1)
    write(VF_BAR0, ALL)
    expect(read(VF_BAR0)).toBe(0xffff_c004)
    write(PAGE_SIZE, 0x10) // 64 KiB
    write(VF_BAR0, ALL)
    expect(read(VF_BAR0)).toBe(0xffff_0004)
  })

  it('NumVFs 0 with VF Enable set makes no virtual function', () => {
    const { write, pf } = withNic('intel-82576', true)
    write(CONTROL, VFE)
    expect(pf.virtualFunctions).toEqual([])
  })

  it('function dependency link of a function that depends on none is its own number', () => {
    const machine = new Machine()
    const second = machine.plug(part('intel-82576', 1), '1.1')
    expect((second.readConfig(NUM_VFS) >>> 16) & 0xff).toBe(1)
  })
})

describe('configuration space of a virtual function', () => {
  const enabled = () => {
    const { write, pf } = withNic('intel-82576', true)
    write(NUM_VFS, 1)
    write(CONTROL, ARI | VFE)
    return pf.virtualFunctions[0]!
  }

  it('hard-wires identity, BARs, header type and INTx', () => {
    const vf = enabled()
    for (const offset of [0x00, 0x0c, 0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x30, 0x3c])
      vf.writeConfig(offset, ALL, ALL)
    expect([0x00, 0x0c, 0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x30, 0x3c].map(o => vf.readConfig(o))).toEqual([
      ALL,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
    ])
  })

  it('has Bus Master Enable, and nothing else of Command', () => {
    const vf = enabled()
    vf.writeConfig(0x04, 0xffff, 0xffff)
    expect(vf.readConfig(0x04)).toBe(0x0010_0004)
  })

  it('offers function level reset, and nothing else of Device Control', () => {
    const vf = enabled()
    expect(vf.readConfig(0xa4) & 0x1000_0000).toBe(0x1000_0000)
    vf.writeConfig(0xa8, 0x7fff, 0xffff)
    expect(vf.readConfig(0xa8) & 0xffff).toBe(0)
    vf.writeConfig(0x04, 0x4, 0xffff)
    vf.writeConfig(0xa8, 0x8000, 0xffff)
    expect(vf.readConfig(0x04) & 0x4).toBe(0)
  })

  it('has no SR-IOV capability', () => {
    expect(enabled().layout.findExtended(0x10)).toBe(0)
  })
})

describe('memory of virtual functions', () => {
  function placed() {
    const made = withNic('intel-82576', true)
    made.machine.window(0, 1, 0, 0xd00, 0xd0f)
    made.write(VF_BAR0, 0xd000_0000)
    made.write(VF_BAR3, 0xd002_0000)
    made.write(NUM_VFS, 3)
    made.write(CONTROL, ARI | VFE)
    return made
  }

  it('is decoded while VF Enable and VF MSE are set, whatever the Memory Space Enable of the PF', () => {
    const { machine, write } = placed()
    machine.fabric.writeMemory(0xd000_4000, 0x1234, ALL)
    expect(machine.fabric.readMemory(0xd000_4000)).toBe(ALL)
    write(CONTROL, ARI | VFE | MSE)
    expect(machine.fabric.readMemory(0xd000_4000)).toBe(0)
    machine.fabric.writeMemory(0xd000_4000, 0x1234, ALL)
    expect(machine.fabric.readMemory(0xd000_4000)).toBe(0x1234)
  })

  it('virtual function i has the i-th aperture; behind the last nobody answers', () => {
    const { machine, write, pf } = placed()
    write(CONTROL, ARI | VFE | MSE)
    expect(pf.virtualFunctions.map(vf => vf.barAddress(0))).toEqual([0xd000_0000, 0xd000_4000, 0xd000_8000])
    expect(machine.fabric.functionDecoding(0xd000_bffc)).toBe(pf.virtualFunctions[2])
    expect(machine.fabric.readMemory(0xd000_c000)).toBe(ALL)
    // Each has its own MSI-X table: Vector Control comes out of reset masked.
    expect(machine.fabric.readMemory(0xd002_400c)).toBe(1)
  })
})

describe('removal', () => {
  it('clearing VF Enable removes them: their ids answer no more and they send no more', () => {
    const { machine, write, pf } = withNic('intel-82576', true)
    write(NUM_VFS, 2)
    write(CONTROL, ARI | VFE)
    const vf = pf.virtualFunctions[1]!
    machine.write(1, 0x10, 2, 0x04, 0x4, 0xffff)
    const message = request(0x1000)
    vf.issue(message)
    expect([message.status, message.requesterId]).toEqual([0, rid(1, 0x10, 2)])
    write(CONTROL, ARI)
    vf.issue(message)
    expect(message.status).toBe(6)
    expect(machine.read(1, 0x10, 2, 0x08)).toBe(ALL)
  })

  it('function level reset of the PF removes its VFs, clears NumVFs, and keeps the ARI bit of the device', () => {
    const { write, read, pf } = withNic('intel-82576', true)
    write(NUM_VFS, 2)
    write(CONTROL, ARI | VFE | MSE)
    write(0xa8, 0x8000)
    expect([pf.virtualFunctions.length, read(CONTROL), read(NUM_VFS), read(ROUTING)]).toEqual([
      0,
      ARI,
      0,
      (2 << 16) | 128,
    ])
  })

  it('function level reset of a VF leaves the others', () => {
    const { write, pf } = withNic('intel-82576', true)
    write(NUM_VFS, 2)
    write(CONTROL, ARI | VFE)
    const [first, second] = pf.virtualFunctions
    for (const vf of [first!, second!]) vf.writeConfig(0x04, 0x4, 0xffff)
    first!.writeConfig(0xa8, 0x8000, 0xffff)
    expect([first!.busMasterEnabled, second!.busMasterEnabled]).toEqual([false, true])
    expect(pf.virtualFunctions).toEqual([first, second])
  })
})
