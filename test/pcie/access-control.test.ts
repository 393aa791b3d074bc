/** "Access Control Services" and peer-to-peer: which requests turn sideways, which go up, which are blocked. */
import { describe, expect, it } from 'vitest'
import { ALL, Machine, part, request, rid, withSwitch } from './machine.ts'

// ACS bits.
const SV = 0x01
const TB = 0x02
const RR = 0x04
const UF = 0x10
const DT = 0x40

const SUCCESSFUL = 0
const UNSUPPORTED = 1
const BLOCKED = 7
const MEMORY = 1
const PEER = 2

/** A switch whose downstream ports have the capability, with these control bits at the first one. */
function switched(control: number) {
  const made = withSwitch('switch-downstream-port-acs')
  made.machine.write(2, 0, 0, 0xf28, control << 16, 0xffff_0000)
  return made
}

describe('peer-to-peer inside a switch', () => {
  it('without access control a request to a sibling goes straight to it', () => {
    const { machine, a } = withSwitch()
    const sent = request(0xe100_0040)
    a.issue(sent)
    expect([sent.status, sent.target, sent.physicalPage]).toEqual([SUCCESSFUL, PEER, 0xe1000])
    expect(machine.fabric.readMemory(0xe100_0040)).toBe(0x0403_0201)
    expect(machine.notes.arrivals).toEqual([])
  })

  it('reads return the bytes of the peer, at any alignment', () => {
    const { machine, a } = withSwitch()
    machine.fabric.writeMemory(0xe100_0040, 0x4433_2211, ALL)
    machine.fabric.writeMemory(0xe100_0044, 0x8877_6655, ALL)
    const sent = request(0xe100_0043, false, new Uint8Array(3))
    a.issue(sent)
    expect([...sent.data]).toEqual([0x44, 0x55, 0x66])
  })

  it('a request that runs over the end of a BAR is unsupported', () => {
    const { a } = withSwitch()
    const sent = request(0xe101_fffe)
    a.issue(sent)
    expect(sent.status).toBe(UNSUPPORTED)
  })

  it('an open window with nobody behind it is unsupported', () => {
    const { a } = withSwitch()
    const sent = request(0xe1f0_0000)
    a.issue(sent)
    expect(sent.status).toBe(UNSUPPORTED)
  })

  it('P2P Request Redirect sends it up instead', () => {
    const { machine, a } = switched(RR)
    const sent = request(0xe100_0040)
    a.issue(sent)
    expect([sent.target, machine.notes.arrivals.length]).toEqual([MEMORY, 1])
    expect(machine.fabric.readMemory(0xe100_0040)).toBe(0)
  })

  it('Direct Translated P2P lets translated requests pass the redirect', () => {
    for (const [control, target] of [
      [RR | DT, PEER],
      [RR, MEMORY],
    ] as const) {
      const { a } = switched(control)
      const sent = request(0xe100_0040)
      sent.addressType = 2
      a.issue(sent)
      expect(sent.target).toBe(target)
    }
  })

  it('an address behind the very port that it came out of needs Upstream Forwarding', () => {
    for (const [control, status, arrivals] of [
      [0, UNSUPPORTED, 0],
      [UF, SUCCESSFUL, 1],
    ] as const) {
      const { machine, a } = switched(control)
      const sent = request(0xe000_0040)
      a.issue(sent)
      expect([sent.status, machine.notes.arrivals.length]).toEqual([status, arrivals])
    }
  })
})

describe('every setting of the control bits', () => {
  it.each([
    ['memory', 0x1000],
    ['the sibling', 0xe100_0040],
    ['the requester itself', 0xe000_0040],
    ['a hole in the window', 0xe1f0_0000],
  ])('a request to %s ends in exactly one way', (_what, address) => {
    for (let control = 0; control < 0x80; control++) {
      for (const addressType of [0, 2]) {
        const { machine, a } = switched(control)
        const sent = request(address)
        sent.addressType = addressType
        a.issue(sent)
        const written = machine.fabric.readMemory(0xe100_0040) === 0x0403_0201
        const ends = [machine.notes.arrivals.length === 1, written, sent.status !== SUCCESSFUL]
        expect(ends.filter(Boolean), `control ${control}`).toHaveLength(1)
        // Redirected, and not released by a translated address: nothing may go sideways.
        if (control & RR && addressType === 0) expect(written).toBe(false)
      }
    }
  })
})

describe('P2P Egress Control', () => {
  /** A switch port with egress control of 8 ports; the sibling has port number 5. */
  function controlled(control: number, vector: number) {
    const machine = new Machine()
    const withEgress = part('switch-downstream-port-acs')
    withEgress.image[0xf28] = 0x7f
    withEgress.image[0xf29] = 8
    const sibling = part('switch-downstream-port')
    sibling.image[0x68 + 0x0f] = 5
    const port = machine.plug(part('root-port'), '1.0')
    const upstream = machine.plug(part('switch-upstream-port'), '0.0', port)
    const first = machine.plug(withEgress, '0.0', upstream)
    const second = machine.plug(sibling, '1.0', upstream)
    const a = machine.plug(part('intel-82574l'), '0.0', first)
    machine.plug(part('intel-82574l'), '0.0', second)
    machine.number(0, 1, 0, 1, 4)
    machine.number(1, 0, 0, 2, 4)
    machine.number(2, 0, 0, 3, 3)
    machine.number(2, 1, 0, 4, 4)
    machine.window(2, 1, 0, 0xe10, 0xe1f)
    machine.write(4, 0, 0, 0x10, 0xe100_0000)
    for (const bus of [3, 4]) machine.write(bus, 0, 0, 0x04, 0x6, 0xffff)
    machine.write(2, 0, 0, 0xf28, control << 16, 0xffff_0000)
    machine.write(2, 0, 0, 0xf2c, vector)
    const sent = request(0xe100_0000)
    a.issue(sent)
    return [sent.status, sent.target]
  }
  const EC = 0x20

  it.each([
    ['vector bit clear: direct, even with redirect', EC | RR, 0xdf, [SUCCESSFUL, PEER]],
    ['vector bit set: blocked', EC, 0x20, [BLOCKED, 0]],
    ['vector bit set, redirect on: sent up', EC | RR, 0x20, [SUCCESSFUL, MEMORY]],
    ['not enabled: the vector does not matter', 0, 0x20, [SUCCESSFUL, PEER]],
  ] as const)('%s', (_what, control, vector, expected) => {
    expect(controlled(control, vector)).toEqual(expected)
  })
})

describe('checks at the port that a request enters by', () => {
  it('Source Validation blocks ids outside the secondary bus range', () => {
    const { machine, a } = switched(SV)
    const sent = request(0x1000)
    a.issue(sent)
    expect(sent.status).toBe(SUCCESSFUL)
    a.captureBus(9)
    a.issue(sent)
    expect([sent.status, machine.notes.arrivals.length]).toEqual([BLOCKED, 1])
  })

  it('Translation Blocking blocks every request that is not untranslated', () => {
    const { a } = switched(TB)
    const statuses = [0, 1, 2].map(addressType => {
      const sent = request(0x1000)
      sent.addressType = addressType
      a.issue(sent)
      return sent.status
    })
    expect(statuses).toEqual([SUCCESSFUL, BLOCKED, BLOCKED])
  })

  it('Source Validation accepts the alias of a bridge below', () => {
    const machine = new Machine()
    const port = machine.plug(part('root-port'), '1.0')
    const bridge = machine.plug(part('pcie-pci-bridge'), '0.0', port)
    const nic = machine.plug(part('intel-82540em'), '3.0', bridge)
    machine.number(0, 1, 0, 1, 2)
    machine.number(1, 0, 0, 2, 2)
    machine.write(2, 3, 0, 0x04, 0x4, 0xffff)
    machine.write(0, 1, 0, 0x14c, SV << 16, 0xffff_0000)
    const sent = request(0x1000)
    nic.issue(sent)
    expect([sent.status, sent.requesterId]).toEqual([SUCCESSFUL, rid(2, 0, 0)])
  })
})

describe('functions of one device', () => {
  /** Two functions at 00:03.x, the second with a BAR at E0000000h. */
  function pair(name: string, internalPeerToPeer?: boolean) {
    const machine = new Machine()
    const definition = { ...part(name), ...(internalPeerToPeer !== undefined && { internalPeerToPeer }) }
    const [first] = ['3.0', '3.1'].map(at => machine.plug(definition, at))
    machine.write(0, 3, 1, 0x10, 0xe000_0000)
    for (const fn of [0, 1]) machine.write(0, 3, fn, 0x04, 0x6, 0xffff)
    const sent = request(0xe000_0000)
    first!.issue(sent)
    return sent.target
  }

  it('reach each other inside the device, unless the device is known not to', () => {
    expect([pair('intel-82574l'), pair('intel-82574l', false), pair('intel-82576')]).toEqual([
      PEER,
      MEMORY,
      MEMORY,
    ])
  })

  it('functions of different devices on the root bus meet in the root complex', () => {
    const machine = new Machine()
    const [first] = ['3.0', '4.0'].map(at => machine.plug(part('intel-82574l'), at))
    machine.write(0, 4, 0, 0x10, 0xe000_0000)
    for (const device of [3, 4]) machine.write(0, device, 0, 0x04, 0x6, 0xffff)
    const sent = request(0xe000_0000)
    first!.issue(sent)
    expect(sent.target).toBe(MEMORY)
  })

  it('a virtual function never reaches its sisters inside the device', () => {
    const machine = new Machine()
    const pf = machine.plug({ ...part('intel-82576'), internalPeerToPeer: true }, '3.0')
    machine.write(0, 3, 0, 0x184, 0xe000_0000)
    machine.write(0, 3, 0, 0x170, 2)
    machine.write(0, 3, 0, 0x168, 0x19)
    const vf = pf.virtualFunctions[0]!
    vf.writeConfig(0x04, 0x4, 0xffff)
    const sent = request(0xe000_4000)
    vf.issue(sent)
    expect(sent.target).toBe(MEMORY)
  })
})

describe('conventional buses', () => {
  it('a request to a neighbour on the bus never leaves it', () => {
    const machine = new Machine()
    const bridge = machine.plug(part('pci-bridge'), '1e.0')
    const [first] = ['1.0', '2.0'].map(at => machine.plug(part('intel-82540em'), at, bridge))
    machine.number(0, 0x1e, 0, 1, 1)
    machine.write(1, 2, 0, 0x10, 0xe000_0000)
    for (const device of [1, 2]) machine.write(1, device, 0, 0x04, 0x6, 0xffff)
    const sent = request(0xe000_0000)
    first!.issue(sent)
    expect(sent.target).toBe(PEER)
  })

  it('a bridge does not forward upstream what lies in its own window', () => {
    const machine = new Machine()
    const bridge = machine.plug(part('pci-bridge'), '1e.0')
    const nic = machine.plug(part('intel-82540em'), '1.0', bridge)
    machine.number(0, 0x1e, 0, 1, 1)
    machine.window(0, 0x1e, 0, 0xe00, 0xe0f)
    machine.write(1, 1, 0, 0x04, 0x6, 0xffff)
    const sent = request(0xe080_0000)
    nic.issue(sent)
    expect(sent.status).toBe(UNSUPPORTED)
  })
})

describe('what the root complex sends down again', () => {
  function twoPorts() {
    const machine = new Machine()
    const ports = ['1.0', '2.0'].map(at => machine.plug(part('root-port'), at))
    for (const [i, port] of ports.entries()) {
      machine.plug(part('intel-82574l'), '0.0', port)
      machine.number(0, i + 1, 0, i + 1, i + 1)
      machine.window(0, i + 1, 0, 0xe00 + i * 0x10, 0xe0f + i * 0x10)
      machine.write(i + 1, 0, 0, 0x10, 0xe000_0000 + i * 0x100_0000)
      machine.write(i + 1, 0, 0, 0x04, 0x6, 0xffff)
    }
    return { machine, ports }
  }
  const translated = (address: number) => {
    const made = request(0)
    made.offset = address % 4096
    made.physicalPage = Math.floor(address / 4096)
    return made
  }

  it('reaches a peer below another root port', () => {
    const { machine, ports } = twoPorts()
    const sent = translated(0xe100_0010)
    machine.fabric.request(sent, ports[0])
    expect([sent.status, sent.target]).toEqual([SUCCESSFUL, PEER])
    expect(machine.fabric.readMemory(0xe100_0010)).toBe(0x0403_0201)
  })

  it('goes back through the same root port only with Upstream Forwarding', () => {
    const { machine, ports } = twoPorts()
    const sent = translated(0xe000_0010)
    machine.fabric.request(sent, ports[0])
    expect(sent.status).toBe(UNSUPPORTED)
    machine.write(0, 1, 0, 0x14c, UF << 16, 0xffff_0000)
    machine.fabric.request(sent, ports[0])
    expect(sent.status).toBe(SUCCESSFUL)
  })

  it('is unsupported where no function decodes the address', () => {
    const { machine, ports } = twoPorts()
    const sent = translated(0xf000_0000)
    machine.fabric.request(sent, ports[0])
    expect(sent.status).toBe(UNSUPPORTED)
  })
})
