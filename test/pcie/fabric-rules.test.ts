/** Rules of the fabric beside access control: I/O and legacy addresses, subtractive decode, aliases, completions, root complexes. */
import { describe, expect, it } from 'vitest'
import { issueAsPhantom, type PcieFunction, reportUncorrectable } from '../../src/pcie/index.ts'
import { ALL, Machine, part, patched, request, rid, withSwitch } from './machine.ts'

const SUCCESSFUL = 0
const UNSUPPORTED = 1
const TIMEOUT = 12
const MEMORY = 1
const PEER = 2

describe('I/O space', () => {
  /** A conventional bridge with an 82540EM behind it, whose I/O BAR is BAR4. */
  function behindBridge(control = 0, base = 0xc000) {
    const machine = new Machine()
    const bridge = machine.plug(part('pci-bridge'), '1e.0')
    const nic = machine.plug(part('intel-82540em'), '1.0', bridge)
    machine.number(0, 0x1e, 0, 1, 1)
    machine.write(0, 0x1e, 0, 4, 7, 0xffff)
    machine.write(0, 0x1e, 0, 0x1c, ((base >> 8) & 0xf0) | (base & 0xf000), 0xffff)
    machine.write(0, 0x1e, 0, 0x3c, control << 16, 0xffff_0000)
    const bar = nic.definition.bars.find(({ kind }) => kind === 'io')!
    const place = (address: number): void => {
      machine.write(1, 1, 0, 0x10 + 4 * bar.index, address)
      machine.write(1, 1, 0, 4, 7, 0xffff)
    }
    return { machine, place }
  }

  it('requests go through the I/O window of a bridge to an I/O BAR', () => {
    const { machine, place } = behindBridge()
    place(0xc040)
    machine.fabric.writeIo(0xc044, 0x1234_5678, ALL)
    expect(machine.fabric.readIo(0xc044)).toBe(0x1234_5678)
    expect(machine.fabric.readIo(0xd044)).toBe(ALL)
    machine.write(1, 1, 0, 4, 6, 0xffff)
    expect(machine.fabric.readIo(0xc044)).toBe(ALL)
  })

  it('ISA Enable keeps the upper 768 bytes of each KiB out', () => {
    const { machine, place } = behindBridge(4)
    place(0xc100)
    machine.fabric.writeIo(0xc100, 1, ALL)
    expect(machine.fabric.readIo(0xc100)).toBe(ALL)
    place(0xc440)
    expect(machine.fabric.readIo(0xc440)).not.toBe(ALL)
  })

  it('VGA Enable forwards the legacy registers outside the window, with 16-bit decode not their aliases', () => {
    for (const [control, alias] of [
      [0x8, true],
      [0x18, false],
      [0, false],
    ] as const) {
      const { machine, place } = behindBridge(control)
      place(0x3c0)
      expect(machine.fabric.readIo(0x3c0) !== ALL).toBe(control !== 0)
      place(0x7c0)
      expect(machine.fabric.readIo(0x7c0) !== ALL).toBe(alias)
    }
  })
})

describe('subtractive decode', () => {
  it('a bridge of programming interface 1 takes what nobody else on its bus claims', () => {
    for (const [programming, answers] of [
      [1, true],
      [0, false],
    ] as const) {
      const machine = new Machine()
      const outer = machine.plug(part('pci-bridge'), '1e.0')
      const inner = machine.plug(patched(part('pci-bridge'), [0x09, programming]), '2.0', outer)
      machine.plug(part('intel-82540em'), '1.0', inner)
      machine.number(0, 0x1e, 0, 1, 2)
      machine.window(0, 0x1e, 0, 0xe00, 0xe0f)
      machine.number(1, 2, 0, 2, 2)
      machine.write(2, 1, 0, 0x10, 0xe000_0000)
      machine.write(2, 1, 0, 4, 6, 0xffff)
      expect(machine.fabric.readMemory(0xe000_0000) !== ALL).toBe(answers)
    }
  })
})

describe('requester ids behind bridges', () => {
  const seen = (kind: readonly [offset: number, value: number][]): number => {
    const machine = new Machine()
    const port = machine.plug(part('root-port'), '1.0')
    const outer = machine.plug(part('pcie-pci-bridge'), '0.0', port)
    const inner = machine.plug(patched(part('pci-bridge'), ...kind), '4.0', outer)
    const nic = machine.plug(part('intel-82540em'), '0.0', inner)
    machine.number(0, 1, 0, 1, 3)
    machine.number(1, 0, 0, 2, 3)
    machine.number(2, 4, 0, 3, 3)
    machine.write(3, 0, 0, 4, 4, 0xffff)
    nic.issue(request(0x1000))
    return machine.notes.arrivals[0]!.requesterId
  }

  it('the bridge nearest to the root complex is the one whose alias remains', () => {
    expect(seen([])).toBe(rid(2, 0, 0))
  })

  it('a conventional bridge on a root bus speaks under its own id', () => {
    const machine = new Machine()
    const bridge = machine.plug(part('pci-bridge'), '1e.0')
    const nic = machine.plug(part('intel-82540em'), '3.0', bridge)
    machine.number(0, 0x1e, 0, 1, 1)
    machine.write(1, 3, 0, 4, 4, 0xffff)
    nic.issue(request(0x1000))
    expect(machine.notes.arrivals[0]!.requesterId).toBe(rid(0, 0x1e, 0))
  })
})

describe('a PCI-to-PCI Express bridge', () => {
  it('has a link behind it and speaks under its own id', () => {
    const machine = new Machine()
    const outer = machine.plug(part('pci-bridge'), '1e.0')
    const express = 0x70
    const reverse = machine.plug(patched(part('pcie-pci-bridge'), [express + 2, 0x82]), '4.0', outer)
    const nic = machine.plug(part('intel-82574l'), '0.0', reverse)
    machine.number(0, 0x1e, 0, 1, 2)
    machine.number(1, 4, 0, 2, 2)
    machine.write(2, 0, 0, 4, 4, 0xffff)
    expect(reverse.secondary!.kind).toBe('link')
    const events: string[] = []
    const sent = request(0x1000)
    sent.observer = { note: (_, event) => events.push(`${event} ${sent.requesterId.toString(16)}`) }
    nic.issue(sent)
    // Its own id first, then that of the conventional bridge above it.
    expect(events.filter(event => event.startsWith('aliased'))).toEqual(['aliased 120', 'aliased f0'])
  })
})

describe('phantom functions', () => {
  function sender(bits: number, enabled: boolean): PcieFunction {
    const machine = new Machine()
    const nic = part('intel-82574l')
    const capabilities = 0xe4
    const fn = machine.plug(
      patched(nic, [capabilities, (nic.image[capabilities]! & ~0x18) | (bits << 3)]),
      '3.0',
    )
    machine.write(0, 3, 0, 4, 4, 0xffff)
    machine.write(0, 3, 0, 0xe8, enabled ? 0x200 : 0, 0xffff)
    return fn
  }

  it('lend their numbers to requests if device and software allow it', () => {
    for (const [bits, enabled, number, expected] of [
      [2, true, 1, rid(0, 3, 2)],
      [1, true, 1, rid(0, 3, 4)],
      [3, true, 5, rid(0, 3, 5)],
      [2, false, 1, 'disabled'],
      [1, true, 2, 'disabled'],
    ] as const) {
      const sent = request(0x1000)
      issueAsPhantom(sender(bits, enabled), sent, number)
      expect(sent.status === SUCCESSFUL ? sent.requesterId : 'disabled').toBe(expected)
    }
  })
})

describe('completions of reads from a peer', () => {
  function read(control: number, options: { relaxedOrdering?: boolean; peerToPeer?: 'none' } = {}) {
    const made = withSwitch('switch-downstream-port-acs')
    // At the port of the completer.
    made.machine.write(2, 1, 0, 0xf28, control << 16, 0xffff_0000)
    const sent = request(0xe100_0040, false)
    sent.relaxedOrdering = options.relaxedOrdering ?? false
    const events: string[] = []
    sent.observer = { note: (_, event) => events.push(event) }
    made.a.issue(sent)
    return { events, sent }
  }
  const CR = 0x08

  it('come back the way of the request, or by the root complex with P2P Completion Redirect', () => {
    expect(read(0).events).not.toContain('completionRedirected')
    // The root port would have to send it back where it came from, which needs Upstream Forwarding.
    expect(read(CR).sent.status).toBe(TIMEOUT)
    expect(read(CR, { relaxedOrdering: true }).sent.status).toBe(SUCCESSFUL)
  })

  it('come back with Upstream Forwarding at the root port', () => {
    const made = withSwitch('switch-downstream-port-acs')
    made.machine.write(2, 1, 0, 0xf28, CR << 16, 0xffff_0000)
    made.machine.write(0, 1, 0, 0x14c, 0x10_0000, 0xffff_0000)
    const sent = request(0xe100_0040, false)
    made.a.issue(sent)
    expect([sent.status, sent.target]).toEqual([SUCCESSFUL, PEER])
  })
})

describe('the window of a switch', () => {
  it('what no port claims there is unsupported, unless it is redirected', () => {
    for (const [control, expected] of [
      [0, [UNSUPPORTED, 0]],
      [0x1000, [SUCCESSFUL, MEMORY]],
    ] as const) {
      const machine = withSwitch('switch-downstream-port-acs').machine
      const { host } = machine
      // The first port's capability gets the Enhanced bits.
      const port = host.rootBus.functions[0]!.secondary!.functions[0]!.secondary!.functions[0]!
      port.words[0xf28 >>> 2] = (port.words[0xf28 >>> 2]! & 0xffff) | (control << 16)
      machine.window(2, 1, 0, 0xe18, 0xe1f)
      const sent = request(0xe100_0000)
      port.secondary!.functions[0]!.issue(sent)
      expect([sent.status, sent.target]).toEqual(expected)
    }
  })
})

describe('root complexes', () => {
  /** Two root ports, devices of their own, an endpoint below each; the first one writes to the second one's BAR. */
  function across(options: ConstructorParameters<typeof Machine>[2]) {
    const machine = new Machine(0, 255, options)
    const [a] = ['1.0', '2.0'].map((at, i) => {
      const port = machine.plug(part('root-port'), at)
      const fn = machine.plug(part('intel-82574l'), '0.0', port)
      machine.number(0, i + 1, 0, i + 1, i + 1)
      machine.window(0, i + 1, 0, 0xe00 + i * 0x10, 0xe0f + i * 0x10)
      for (const [n, offset] of [0x10, 0x14, 0x1c].entries()) {
        machine.write(i + 1, 0, 0, offset, 0xe000_0000 + i * 0x100_0000 + n * 0x10_0000)
      }
      machine.write(i + 1, 0, 0, 4, 6, 0xffff)
      return fn
    })
    return { machine, a: a! }
  }

  it('pass requests between root ports before translation only where they are said to', () => {
    for (const [directPeerToPeer, target] of [
      [false, MEMORY],
      [true, PEER],
    ] as const) {
      const { a } = across({ directPeerToPeer })
      const sent = request(0xe100_0000)
      a.issue(sent)
      expect(sent.target).toBe(target)
    }
  })

  it('ACS P2P Request Redirect of a root port keeps them from it', () => {
    const { machine, a } = across({ directPeerToPeer: true })
    machine.write(0, 1, 0, 0x14c, 0x4_0000, 0xffff_0000)
    const sent = request(0xe100_0000)
    a.issue(sent)
    expect(sent.target).toBe(MEMORY)
  })

  it('may refuse translated requests between functions', () => {
    for (const [peerToPeer, status] of [
      ['everywhere', SUCCESSFUL],
      ['withinHostBridge', SUCCESSFUL],
      ['none', UNSUPPORTED],
    ] as const) {
      const { machine } = across({ peerToPeer })
      const sent = request(0)
      sent.physicalPage = 0xe1000
      machine.fabric.request(sent, machine.host.rootBus.functions[0]!)
      expect(sent.status).toBe(status)
    }
  })

  it('errors of their own endpoints go to the event collector that is associated with them', () => {
    const machine = new Machine()
    const sheet = part('intel-82574l')
    const image = new Uint8Array(4096)
    image.set(sheet.image)
    const view = new DataView(image.buffer)
    const express = 0xe0
    // Device/Port Type: event collector. Root error registers behind AER, then the association with device 3.
    image[express + 2] = (image[express + 2]! & 0x0f) | 0xa0
    view.setUint32(0x100, 0x2000_0001 | 0x1_0000, true)
    view.setUint32(0x200, 0x0001_0007, true)
    view.setUint32(0x204, 1 << 3, true)
    const collector = machine.plug({ ...sheet, image, bars: [] }, '1f.0')
    const [known, stranger] = ['3.0', '4.0'].map(at => machine.plug(sheet, at))
    for (const fn of [known!, stranger!]) {
      fn.writeConfig(4, 0x100, 0xffff)
      reportUncorrectable(fn, 14, undefined, false)
    }
    expect(collector.readConfig(0x130) & 0x7f).toBe(0x24)
    expect(collector.readConfig(0x134) >>> 16).toBe(rid(0, 3, 0))
  })
})
