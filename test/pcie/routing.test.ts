/** Routing of configuration and memory requests, requester ids behind bridges, and bus mastering on the way up. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NorthbridgeError } from '../../src/core/index.ts'
import { HostBridge } from '../../src/pcie/index.ts'
import { ALL, Machine, Notes, part, request, rid, withSwitch } from './machine.ts'

describe('configuration routing', () => {
  it('follows the bus numbers that software has programmed', () => {
    const machine = new Machine()
    const port = machine.plug(part('root-port'), '1.0')
    machine.plug(part('intel-82574l'), '0.0', port)
    expect(machine.read(1, 0, 0, 0)).toBe(ALL)
    machine.number(0, 1, 0, 1, 1)
    expect(machine.read(1, 0, 0, 0)).toBe(0x10d3_8086)
    machine.number(0, 1, 0, 5, 5)
    expect([machine.read(1, 0, 0, 0), machine.read(5, 0, 0, 0)]).toEqual([ALL, 0x10d3_8086])
  })

  it('a link has device 0 only', () => {
    const machine = new Machine()
    const port = machine.plug(part('root-port'), '1.0')
    machine.plug(part('intel-82574l'), '0.0', port)
    machine.number(0, 1, 0, 1, 1)
    expect(machine.read(1, 1, 0, 0)).toBe(ALL)
  })

  it('a Type 0 configuration write tells the function its bus', () => {
    const machine = new Machine()
    const port = machine.plug(part('root-port'), '1.0')
    const nic = machine.plug(part('intel-82574l'), '0.0', port)
    machine.number(0, 1, 0, 7, 7)
    expect(nic.rid).toBe(rid(0, 0, 0))
    machine.read(7, 0, 0, 0)
    expect(nic.rid).toBe(rid(0, 0, 0))
    machine.write(7, 0, 0, 0x3c, 0, 0xff)
    expect(nic.rid).toBe(rid(7, 0, 0))
  })

  it('host bridges of a segment share its bus numbers', () => {
    const machine = new Machine(0, 0x3f)
    const other = new HostBridge({ segment: 0, bus: 0x40, lastBus: 0x7f }, new Notes())
    machine.fabric.add(other)
    const nic = other.addFunction(0, 0, part('intel-82574l'))
    expect(machine.read(0x40, 0, 0, 0)).toBe(0x10d3_8086)
    expect(machine.read(0x80, 0, 0, 0)).toBe(ALL)
    expect(nic.rid).toBe(rid(0x40, 0, 0))
  })

  it('refuses a function where another one sits, and a port where none can sit', () => {
    const machine = new Machine()
    machine.plug(part('root-port'), '1.0')
    for (const [name, at] of [
      ['intel-82574l', '1.0'],
      ['switch-upstream-port', '2.0'],
      ['switch-downstream-port', '2.0'],
    ] as const) {
      expect(() => machine.plug(part(name), at)).toThrow(NorthbridgeError)
    }
  })
})

describe('memory routing downstream', () => {
  it('goes through windows to the BAR that claims the address', () => {
    const { machine, b } = withSwitch()
    machine.fabric.writeMemory(0xe100_0040, 0xcafe_f00d, ALL)
    expect(machine.fabric.readMemory(0xe100_0040)).toBe(0xcafe_f00d)
    expect(machine.fabric.functionDecoding(0xe100_0040)).toBe(b)
  })

  it.each([
    ['the endpoint', 4, 0, 0],
    ['the downstream port', 2, 1, 0],
    ['the upstream port', 1, 0, 0],
    ['the root port', 0, 1, 0],
  ] as const)('needs Memory Space Enable of %s', (_what, bus, device, fn) => {
    const { machine } = withSwitch()
    machine.write(bus, device, fn, 0x04, 0x4, 0xffff)
    expect(machine.fabric.readMemory(0xe100_0040)).toBe(ALL)
  })

  it('a window whose base is above its limit is closed', () => {
    const { machine } = withSwitch()
    machine.window(2, 1, 0, 0xe1f, 0xe10)
    expect(machine.fabric.readMemory(0xe100_0040)).toBe(ALL)
  })

  it('a 64-bit prefetchable window reaches above 4 GiB', () => {
    const machine = new Machine()
    const port = machine.plug(part('root-port'), '1.0')
    machine.plug(part('intel-82599'), '0.0', port)
    machine.number(0, 1, 0, 1, 1)
    machine.window(0, 1, 0, 0x1f, 0x10)
    machine.write(0, 1, 0, 0x24, 0x0000_0000)
    machine.write(0, 1, 0, 0x28, 0x80)
    machine.write(0, 1, 0, 0x2c, 0x80)
    machine.write(1, 0, 0, 0x10, 0)
    machine.write(1, 0, 0, 0x14, 0x80)
    machine.write(1, 0, 0, 0x04, 0x2, 0xffff)
    machine.fabric.writeMemory(0x80_0000_0010, 0x77, ALL)
    expect(machine.fabric.readMemory(0x80_0000_0010)).toBe(0x77)
    expect(machine.fabric.readMemory(0x10)).toBe(ALL)
  })

  it('byte lanes reach the register', () => {
    const { machine } = withSwitch()
    machine.fabric.writeMemory(0xe000_0100, 0x1122_3344, ALL)
    machine.fabric.writeMemory(0xe000_0100, 0xffff_ffff, 0x00ff_0000)
    expect(machine.fabric.readMemory(0xe000_0100)).toBe(0x11ff_3344)
  })

  it('of two overlapping claims the lower one answers, and nothing breaks', () => {
    const { machine, a } = withSwitch()
    machine.window(2, 1, 0, 0xe00, 0xe0f)
    expect(machine.fabric.functionDecoding(0xe000_0000)).toBe(a)
  })
})

describe('requests upstream', () => {
  it('arrive under the id of the requester, with the root port as entry', () => {
    const { machine, port, b } = withSwitch()
    b.issue(request(0x1234))
    expect(machine.notes.arrivals).toMatchObject([
      { requesterId: rid(4, 0, 0), page: 1, offset: 0x234, entry: port },
    ])
  })

  it.each([
    ['the function itself', 4, 0, 0, 6],
    ['the downstream port', 2, 1, 0, 8],
    ['the upstream port', 1, 0, 0, 8],
    ['the root port', 0, 1, 0, 8],
  ] as const)('need Bus Master Enable of %s', (_what, bus, device, fn, status) => {
    const { machine, b } = withSwitch()
    machine.write(bus, device, fn, 0x04, 0x2, 0xffff)
    const sent = request(0x1000)
    b.issue(sent)
    expect([sent.status, machine.notes.arrivals.length]).toEqual([status, 0])
  })

  it('a function in D3hot sends nothing and claims nothing', () => {
    const { machine, b } = withSwitch()
    machine.write(4, 0, 0, 0xcc, 0x3, 0xffff)
    const sent = request(0x1000)
    b.issue(sent)
    expect([sent.status, machine.fabric.readMemory(0xe100_0000)]).toEqual([6, ALL])
  })

  it('any 64-bit address travels unharmed', () => {
    const { machine, b } = withSwitch()
    fc.assert(
      fc.property(fc.integer({ min: 2 ** 40, max: 2 ** 52 - 1 }), page => {
        machine.notes.arrivals.length = 0
        const sent = request(0)
        sent.page = page
        b.issue(sent)
        expect(machine.notes.arrivals[0]?.page).toBe(page)
      }),
      { numRuns: 50 },
    )
  })
})

describe('requester ids behind bridges', () => {
  it('a PCIe-to-PCI bridge speaks as its secondary bus, device 0, function 0', () => {
    const machine = new Machine()
    const port = machine.plug(part('root-port'), '1.0')
    const bridge = machine.plug(part('pcie-pci-bridge'), '0.0', port)
    const nic = machine.plug(part('intel-82540em'), '3.0', bridge)
    const inner = machine.plug(part('pci-bridge'), '4.0', bridge)
    const below = machine.plug(part('intel-82540em'), '5.0', inner)
    machine.number(0, 1, 0, 1, 3)
    machine.number(1, 0, 0, 2, 3)
    machine.number(2, 4, 0, 3, 3)
    machine.write(2, 3, 0, 0x04, 0x4, 0xffff)
    machine.write(3, 5, 0, 0x04, 0x4, 0xffff)
    for (const fn of [nic, below]) fn.issue(request(0x1000))
    expect(machine.notes.arrivals.map(a => a.requesterId)).toEqual([rid(2, 0, 0), rid(2, 0, 0)])
    expect([nic.rid, below.rid]).toEqual([rid(2, 3, 0), rid(3, 5, 0)])
  })

  it('a conventional bridge on the root bus speaks under its own id, whatever is below it', () => {
    const machine = new Machine()
    const bridge = machine.plug(part('pci-bridge'), '1e.0')
    const inner = machine.plug(part('pci-bridge'), '1.0', bridge)
    const nic = machine.plug(part('intel-82540em'), '2.0', inner)
    machine.number(0, 0x1e, 0, 1, 2)
    machine.number(1, 1, 0, 2, 2)
    machine.write(2, 2, 0, 0x04, 0x4, 0xffff)
    nic.issue(request(0x1000))
    expect(machine.notes.arrivals[0]).toMatchObject({ requesterId: rid(0, 0x1e, 0), entry: bridge })
  })

  it('a virtual function of a root-complex integrated device enters by its physical function', () => {
    const machine = new Machine()
    const pf = machine.plug(part('intel-82576'), '3.0')
    machine.write(0, 3, 0, 0x170, 1)
    machine.write(0, 3, 0, 0x168, 0x11)
    const vf = pf.virtualFunctions[0]!
    vf.writeConfig(0x04, 0x4, 0xffff)
    vf.issue(request(0x1000))
    expect(machine.notes.arrivals[0]).toMatchObject({ requesterId: rid(0, 0x13, 0), entry: pf })
  })
})
