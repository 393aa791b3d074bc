/** "MSI" and "MSI-X": enables, masks, pending bits, and the memory write that a message is. */
import { describe, expect, it } from 'vitest'
import { MemoryRequest } from '../../src/pcie/index.ts'
import { ALL, Machine, part, patched } from './machine.ts'

// MSI-X of the 82576: capability at 70h, table at 0 and pending bits at 2000h of BAR3.
function msiX() {
  const machine = new Machine()
  const nic = machine.plug(part('intel-82576'), '3.0')
  machine.write(0, 3, 0, 0x1c, 0xe000_0000)
  machine.write(0, 3, 0, 0x04, 0x6, 0xffff)
  const entry = (vector: number, address: number, data: number, control: number) => {
    const at = 0xe000_0000 + vector * 16
    machine.fabric.writeMemory(at, address, ALL)
    machine.fabric.writeMemory(at + 4, 0, ALL)
    machine.fabric.writeMemory(at + 8, data, ALL)
    machine.fabric.writeMemory(at + 12, control, ALL)
  }
  const control = (value: number) => machine.write(0, 3, 0, 0x70, value << 16, 0xffff_0000)
  const pending = () => machine.fabric.readMemory(0xe000_2000)
  return { machine, nic, entry, control, pending, signal: (v: number) => nic.signal(v, new MemoryRequest()) }
}

const ENABLE = 0x8000
const FUNCTION_MASK = 0x4000

describe('MSI-X', () => {
  it('is a 4-byte write of the data to the address, under the requester id of the function', () => {
    const { machine, nic, entry, control, signal } = msiX()
    entry(2, 0xfee0_1004, 0x4142_4344, 0)
    control(ENABLE)
    expect(signal(2)).toBe('sent')
    expect(machine.notes.arrivals).toEqual([
      { requesterId: 0x18, page: 0xfee01, offset: 4, data: [0x44, 0x43, 0x42, 0x41], entry: nic },
    ])
  })

  it('carries a 64-bit address', () => {
    const { machine, entry, control, signal } = msiX()
    entry(0, 0x1000, 7, 0)
    machine.fabric.writeMemory(0xe000_0004, 0xffff_ffff, ALL)
    control(ENABLE)
    signal(0)
    expect(machine.notes.arrivals[0]?.page).toBe(2 ** 52 - 2 ** 20 + 1)
  })

  it('every vector is masked after reset, and a masked one becomes pending', () => {
    const { machine, control, pending, signal } = msiX()
    control(ENABLE)
    expect(signal(3)).toBe('pending')
    expect(pending()).toBe(0x8)
    expect(machine.notes.arrivals).toEqual([])
  })

  it('clearing the vector mask sends a pending message, once', () => {
    const { machine, entry, control, pending, signal } = msiX()
    control(ENABLE)
    signal(3)
    signal(3)
    entry(3, 0xfee0_0000, 0x33, 0)
    expect(pending()).toBe(0)
    expect(machine.notes.arrivals.map(({ data }) => data[0])).toEqual([0x33])
  })

  it('the function mask holds all back; clearing it sends those whose own mask is clear', () => {
    const { machine, entry, control, pending, signal } = msiX()
    for (const vector of [0, 1, 2]) entry(vector, 0xfee0_0000, 0x30 + vector, vector === 1 ? 1 : 0)
    control(ENABLE | FUNCTION_MASK)
    expect([0, 1, 2].map(signal)).toEqual(['pending', 'pending', 'pending'])
    control(ENABLE)
    expect(machine.notes.arrivals.map(({ data }) => data[0])).toEqual([0x30, 0x32])
    expect(pending()).toBe(0x2)
  })

  it('pending bits are read-only and Vector Control keeps bit 0 only', () => {
    const { machine, pending } = msiX()
    machine.fabric.writeMemory(0xe000_2000, ALL, ALL)
    machine.fabric.writeMemory(0xe000_000c, ALL, ALL)
    machine.fabric.writeMemory(0xe000_0000, ALL, ALL)
    expect([
      pending(),
      machine.fabric.readMemory(0xe000_000c),
      machine.fabric.readMemory(0xe000_0000),
    ]).toEqual([0, 1, 0xffff_fffc])
  })

  it('without MSI-X or MSI enabled nothing is sent; beyond the table there is no vector', () => {
    const { control, signal } = msiX()
    expect(signal(0)).toBe('disabled')
    control(ENABLE)
    expect([signal(10), signal(-1)]).toEqual(['noSuchVector', 'noSuchVector'])
  })

  it('needs Bus Master Enable; a message held back by a mask waits for it', () => {
    const { machine, nic, entry, control, signal, pending } = msiX()
    control(ENABLE)
    signal(0)
    machine.write(0, 3, 0, 0x04, 0x2, 0xffff)
    entry(0, 0xfee0_0000, 0x55, 0)
    expect(machine.notes.arrivals).toEqual([])
    expect(pending()).toBe(1)
    const request = new MemoryRequest()
    expect([nic.signal(0, request), request.status]).toEqual(['sent', 6])
    machine.write(0, 3, 0, 0x04, 0x6, 0xffff)
    expect(machine.notes.arrivals.map(({ data }) => data[0])).toEqual([0x55])
  })
})

describe('MSI', () => {
  // The SATA controller has one 64-bit message at 80h; the switch port eight maskable ones at 48h.
  it('replaces the low bits of the data by the vector', () => {
    const machine = new Machine()
    const port = machine.plug(part('root-port'), '1.0')
    machine.number(0, 1, 0, 1, 3)
    const upstream = machine.plug(part('switch-upstream-port'), '0.0', port)
    machine.write(1, 0, 0, 0x04, 0x4, 0xffff)
    machine.write(1, 0, 0, 0x4c, 0xfee0_0008)
    machine.write(1, 0, 0, 0x54, 0x4047)
    machine.write(1, 0, 0, 0x48, 0x0021_0000, 0xffff_0000) // enable, 4 messages
    expect(upstream.signal(3, new MemoryRequest())).toBe('sent')
    expect(upstream.signal(4, new MemoryRequest())).toBe('noSuchVector')
    expect(machine.notes.arrivals.map(({ data, offset }) => [offset, ...data])).toEqual([
      [8, 0x47, 0x40, 0, 0],
    ])
    upstream.signal(1, new MemoryRequest())
    expect(machine.notes.arrivals[1]?.data[0]).toBe(0x45)
  })

  it('per-vector masking: a masked message is pending until the mask bit is cleared', () => {
    const machine = new Machine()
    const nic = machine.plug(part('intel-82576'), '3.0')
    machine.write(0, 3, 0, 0x04, 0x4, 0xffff)
    machine.write(0, 3, 0, 0x54, 0xfee0_0000)
    machine.write(0, 3, 0, 0x5c, 0x61)
    machine.write(0, 3, 0, 0x60, 0x1)
    machine.write(0, 3, 0, 0x50, 0x0001_0000, 0xffff_0000)
    expect(nic.signal(0, new MemoryRequest())).toBe('pending')
    expect(machine.read(0, 3, 0, 0x64)).toBe(1)
    machine.write(0, 3, 0, 0x60, 0)
    expect(machine.notes.arrivals.map(({ data }) => data[0])).toEqual([0x61])
    expect(machine.read(0, 3, 0, 0x64)).toBe(0)
  })

  it('software cannot allocate more messages than the function asked for', () => {
    const machine = new Machine()
    const sata = machine.plug(part('intel-ich9-sata'), '1f.2')
    machine.write(0, 0x1f, 2, 0x04, 0x4, 0xffff)
    machine.write(0, 0x1f, 2, 0x80, 0x0051_0000, 0xffff_0000)
    expect([sata.signal(0, new MemoryRequest()), sata.signal(1, new MemoryRequest())]).toEqual([
      'sent',
      'noSuchVector',
    ])
  })

  it('a function without either capability says so', () => {
    const nic = new Machine().plug(part('intel-82540em'), '3.0')
    expect(nic.signal(0, new MemoryRequest())).toBe('noCapability')
  })

  it('mask bits exist for the messages that the function can send', () => {
    const nic = new Machine().plug(patched(part('intel-82576'), [0x52, 0x84], [0x53, 0]), '3.0') // 4 messages, no masking
    expect(nic.layout.writable(0x60 >>> 2)).toBe(0)
    const masking = new Machine().plug(patched(part('intel-82576'), [0x52, 0x84], [0x53, 0x01]), '3.0')
    masking.writeConfig(0x60, ALL, ALL)
    expect(masking.readConfig(0x60)).toBe(0xf)
  })
})
