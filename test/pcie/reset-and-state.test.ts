/** Resets and what they spare; saved state and what it brings back. */
import { describe, expect, it } from 'vitest'
import { digest } from '../../src/core/index.ts'
import { MemoryRequest } from '../../src/pcie/index.ts'
import { ALL, Machine, part, request } from './machine.ts'

/** A root port with an 82576 below it: VFs on, MSI-X programmed, a pending vector, a written register. */
function busy() {
  const machine = new Machine()
  const port = machine.plug(part('root-port'), '1.0')
  const pf = machine.plug(part('intel-82576'), '0.0', port)
  machine.number(0, 1, 0, 1, 2)
  machine.window(0, 1, 0, 0xe00, 0xe0f)
  machine.write(0, 1, 0, 0xb8, 0x20, 0xffff)
  machine.write(1, 0, 0, 0x10, 0xe000_0000)
  machine.write(1, 0, 0, 0x1c, 0xe010_0000)
  machine.write(1, 0, 0, 0x184, 0xe020_0000)
  machine.write(1, 0, 0, 0x190, 0xe030_0000)
  machine.write(1, 0, 0, 0x04, 0x406, 0xffff)
  machine.write(1, 0, 0, 0x168, 0x10)
  machine.write(1, 0, 0, 0x170, 3)
  machine.write(1, 0, 0, 0x168, 0x19)
  machine.write(1, 0x10, 2, 0x04, 0x4, 0xffff)
  machine.write(1, 0, 0, 0x70, 0x8000_0000, 0xffff_0000)
  machine.fabric.writeMemory(0xe010_0000, 0xfee0_0000, ALL)
  machine.fabric.writeMemory(0xe010_0008, 0x41, ALL)
  machine.fabric.writeMemory(0xe000_5678, 0xdead_beef, ALL)
  machine.fabric.writeMemory(0xe020_4000, 0x1234_5678, ALL)
  pf.signal(0, new MemoryRequest())
  return { machine, port, pf }
}

describe('function level reset', () => {
  it('clears Command, BARs, MSI-X and registers; keeps bus number and Max_Payload_Size', () => {
    const { machine, pf } = busy()
    machine.write(1, 0, 0, 0xa8, 0x0020, 0xff) // Max_Payload_Size 256
    const { rid } = pf
    machine.write(1, 0, 0, 0xa8, 0x8000, 0xff00)
    expect([0x04, 0x10, 0x1c].map(offset => pf.readConfig(offset))).toEqual([0x0010_0000, 0, 0])
    expect(pf.readConfig(0x70) >>> 16).toBe(9)
    expect(pf.readConfig(0xa8) & 0xe0).toBe(0x20)
    expect(pf.rid).toBe(rid)
    machine.write(1, 0, 0, 0x10, 0xe000_0000)
    machine.write(1, 0, 0, 0x1c, 0xe010_0000)
    machine.write(1, 0, 0, 0x04, 0x6, 0xffff)
    expect(machine.fabric.readMemory(0xe000_5678)).toBe(0)
    expect([0x0, 0xc, 0x2000].map(at => machine.fabric.readMemory(0xe010_0000 + at))).toEqual([0, 1, 0])
  })

  it('keeps error status, which is sticky', () => {
    const { machine, pf } = busy()
    pf.words[0x104 >>> 2] = 0x0010_0000
    machine.write(1, 0, 0, 0xa8, 0x8000, 0xff00)
    expect(pf.readConfig(0x104)).toBe(0x0010_0000)
  })
})

describe('secondary bus reset', () => {
  it('resets all below; while it is held nobody answers or sends', () => {
    const { machine, pf } = busy()
    pf.words[0x104 >>> 2] = 0x0010_0000
    machine.write(0, 1, 0, 0x3c, 0x0040_0000, 0xffff_0000)
    expect(machine.read(1, 0, 0, 0)).toBe(ALL)
    expect(machine.fabric.readMemory(0xe000_0000)).toBe(ALL)
    const sent = request(0x1000)
    pf.words[1]! |= 4
    pf.issue(sent)
    expect(sent.status).toBe(6)
    machine.write(0, 1, 0, 0x3c, 0, 0xffff_0000)
    expect(machine.read(1, 0, 0, 0)).toBe(0x10c9_8086)
    expect([pf.rid, pf.virtualFunctions.length, pf.readConfig(0x10)]).toEqual([0, 0, 0])
    expect(pf.readConfig(0x104)).toBe(0x0010_0000)
  })
})

describe('power management', () => {
  it('D3hot to D0 resets a function without No_Soft_Reset, and spares one with it', () => {
    for (const [name, control, kept] of [
      ['intel-82576', 0x44, 0],
      ['nvme-sriov', 0x64, 0x6],
    ] as const) {
      const fn = new Machine().plug(part(name), '3.0')
      fn.writeConfig(0x04, 0x6, 0xffff)
      fn.writeConfig(control, 0x3, 0xffff)
      fn.writeConfig(control, 0x0, 0xffff)
      expect(fn.readConfig(0x04) & 0xffff).toBe(kept)
    }
  })

  it('a state that the function lacks is ignored', () => {
    const fn = new Machine().plug(part('intel-82576'), '3.0')
    fn.writeConfig(0x44, 0x1, 0xffff)
    expect(fn.readConfig(0x44) & 3).toBe(0)
  })
})

describe('reset of the platform', () => {
  it('nothing survives: the fabric equals one that was just built', () => {
    const { machine } = busy()
    const fresh = new Machine()
    fresh.plug(part('intel-82576'), '0.0', fresh.plug(part('root-port'), '1.0'))
    expect(digest(machine.fabric.save())).not.toBe(digest(fresh.fabric.save()))
    machine.fabric.conventionalReset()
    expect(digest(machine.fabric.save())).toBe(digest(fresh.fabric.save()))
  })
})

describe('saved state', () => {
  it('brings back registers, tables, pending bits, virtual functions and storage', () => {
    const { machine } = busy()
    const saved = machine.fabric.save()
    const other = new Machine()
    other.plug(part('intel-82576'), '0.0', other.plug(part('root-port'), '1.0'))
    other.fabric.load(saved)
    expect(digest(other.fabric.save())).toBe(digest(saved))
    expect(other.fabric.readMemory(0xe000_5678)).toBe(0xdead_beef)
    expect(other.fabric.readMemory(0xe020_4000)).toBe(0x1234_5678)
    expect(other.read(1, 0x10, 2, 0x04) & 0xffff).toBe(0x4)
    other.fabric.writeMemory(0xe010_000c, 0, ALL)
    expect(other.notes.arrivals.map(({ data }) => data[0])).toEqual([0x41])
  })

  it('reading changes nothing', () => {
    const { machine } = busy()
    const before = digest(machine.fabric.save())
    for (let offset = 0; offset < 4096; offset += 4) machine.read(1, 0x10, 0, offset)
    for (let at = 0; at < 0x3000; at += 4) machine.fabric.readMemory(0xe030_0000 + at)
    expect(digest(machine.fabric.save())).toBe(before)
  })
})

describe('messages that unmask messages', () => {
  it('a message written into a peer MSI-X table sends what was pending there, and ends', () => {
    const machine = new Machine()
    const [a, b] = ['3.0', '3.1'].map(at => machine.plug(part('intel-82574l'), at))
    for (const fn of [0, 1]) {
      machine.write(0, 3, fn, 0x1c, 0xe000_0000 + fn * 0x10_0000)
      machine.write(0, 3, fn, 0x04, 0x6, 0xffff)
      machine.write(0, 3, fn, 0xa0, 0x8000_0000, 0xffff_0000)
      // Vector 0 of each is a write of 0 to Vector Control of vector 0 of the other.
      machine.fabric.writeMemory(0xe000_0000 + fn * 0x10_0000, 0xe000_000c + (1 - fn) * 0x10_0000, ALL)
    }
    expect([a!.signal(0, new MemoryRequest()), b!.signal(0, new MemoryRequest())]).toEqual([
      'pending',
      'pending',
    ])
    machine.fabric.writeMemory(0xe000_000c, 0, ALL)
    expect(machine.fabric.readMemory(0xe000_2000) | machine.fabric.readMemory(0xe010_2000)).toBe(0)
    expect(machine.fabric.readMemory(0xe010_000c)).toBe(0)
  })
})
