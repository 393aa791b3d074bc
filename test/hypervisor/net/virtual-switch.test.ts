import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import type { DropCause } from '../../../src/hypervisor/net/drop-tally.ts'
import { MacTable } from '../../../src/hypervisor/net/mac-table.ts'
import type { PortVlan } from '../../../src/hypervisor/net/port-vlan.ts'
import type { PortOptions, SwitchPort } from '../../../src/hypervisor/net/switch-port.ts'
import { VirtualSwitch } from '../../../src/hypervisor/net/virtual-switch.ts'
import { Frame } from '../../../src/net/formats/index.ts'

const BROADCAST = 0xff
const SECOND = 1e9

/** Somebody behind a port: keeps what arrives, unless it is told to refuse. */
class Station {
  readonly heard: Uint8Array[] = []
  refuses: DropCause | undefined = undefined

  deliver(frame: Frame): DropCause | undefined {
    if (this.refuses !== undefined) return this.refuses
    this.heard.push(frame.toBytes())
    return undefined
  }
}

/** Addresses end in a number: 02:00:00:00:00:n; ff is broadcast. Tag as in IEEE 802.1Q, or none. */
function frameOf(from: number, to: number, tag?: number, payload = 0): Frame {
  const mac = (n: number) => (n === BROADCAST ? [255, 255, 255, 255, 255, 255] : [2, 0, 0, 0, 0, n])
  const tagBytes = tag === undefined ? [] : [0x81, 0x00, tag >>> 8, tag & 0xff]
  const bytes = Uint8Array.of(
    ...mac(to),
    ...mac(from),
    ...tagBytes,
    0x08,
    0x00,
    payload,
    ...new Array(45).fill(0),
  )
  return Frame.of(bytes)
}

const clock = { now: 0 }
let network: VirtualSwitch
const stations = new Map<string, Station>()

function add(name: string, rest: Partial<PortOptions> = {}): SwitchPort {
  const station = new Station()
  stations.set(name, station)
  return network.addPort({ name, kind: 'vm', ...rest }, station)
}

const heardBy = (...names: string[]) => names.map(name => stations.get(name)!.heard.length)

beforeEach(() => {
  clock.now = 0
  network = new VirtualSwitch({ name: 'vs0', clock })
  stations.clear()
})

describe('The learning process and forwarding of IEEE 802.1Q', () => {
  it('floods a frame for an address that it does not know, and sends to one port once it does', () => {
    const [a, b] = [add('a'), add('b')]
    add('c')
    expect(network.receive(a, frameOf(1, 2))).toBeUndefined()
    expect(heardBy('a', 'b', 'c')).toEqual([0, 1, 1])
    network.receive(b, frameOf(2, 1))
    network.receive(a, frameOf(1, 2))
    expect(heardBy('a', 'b', 'c')).toEqual([1, 2, 1])
  })

  it('delivers byte for byte', () => {
    const a = add('a')
    add('b')
    const frame = frameOf(1, 2, undefined, 77)
    network.receive(a, frame)
    expect(stations.get('b')!.heard[0]).toEqual(frame.bytes)
  })

  it('never sends a frame back by the port where it came in', () => {
    const a = add('a')
    add('b')
    network.receive(a, frameOf(1, BROADCAST))
    network.receive(a, frameOf(2, BROADCAST))
    expect(network.receive(a, frameOf(1, 2))).toBe('samePort')
    expect(heardBy('a')).toEqual([0])
  })

  it('learns anew where an address is that moved', () => {
    const [a, b, c] = [add('a'), add('b'), add('c')]
    network.receive(a, frameOf(1, BROADCAST))
    network.receive(b, frameOf(1, BROADCAST))
    network.receive(c, frameOf(3, 1))
    expect(heardBy('a', 'b', 'c')).toEqual([1, 2, 2])
  })

  it('forgets an address that was not heard for the ageing time, and not before', () => {
    const [a, b] = [add('a'), add('b')]
    add('c')
    network.receive(b, frameOf(2, BROADCAST))
    clock.now = 300 * SECOND
    network.receive(a, frameOf(1, 2))
    expect(heardBy('c')).toEqual([1])
    clock.now = 300 * SECOND + 1
    network.receive(a, frameOf(1, 2))
    expect(heardBy('c')).toEqual([2])
  })

  it('learns no group address and drops what claims to come from one', () => {
    const a = add('a')
    add('b')
    expect(network.receive(a, frameOf(BROADCAST, 2))).toBe('sourceIsGroupAddress')
    expect(a.counters.droppedIn).toEqual({ sourceIsGroupAddress: 1 })
  })

  it('drops what is no frame, and what the line damaged', () => {
    const a = add('a')
    add('b')
    expect(network.receive(a, Frame.of(new Uint8Array(13)))).toBe('tooShort')
    const damaged = frameOf(1, 2)
    damaged.damaged = true
    expect(network.receive(a, damaged)).toBe('damaged')
  })

  it('says that nobody is there if no other port takes the frame', () => {
    expect(network.receive(add('a'), frameOf(1, 2))).toBe('noReceiver')
  })

  it('forgets what was behind a port that is removed', () => {
    const [a, b] = [add('a'), add('b')]
    network.receive(b, frameOf(2, BROADCAST))
    network.removePort(b)
    add('c')
    network.receive(a, frameOf(1, 2))
    expect(heardBy('c')).toEqual([1])
    expect(network.addresses.entries(0).map(({ port }) => port)).toEqual([0])
  })
})

describe('A port whose address is given', () => {
  const address = [2, 0x0500] as const

  it('is found without having been heard, and hears no unicast for unknown others', () => {
    const a = add('a')
    add('b', { address })
    add('c')
    network.receive(a, frameOf(1, 5))
    expect(heardBy('b', 'c')).toEqual([1, 0])
    network.receive(a, frameOf(1, 6))
    network.receive(a, frameOf(1, BROADCAST))
    expect(heardBy('b', 'c')).toEqual([2, 2])
  })

  it('is among the addresses to announce, once', () => {
    const b = add('b', { address })
    expect(network.localAddresses()).toEqual([{ low: 2, high: 0x0500, vlan: 1 }])
    network.receive(b, frameOf(5, BROADCAST))
    expect(network.localAddresses().length).toBe(1)
    expect(network.isLocal(2, 0x0500, 1)).toBe(true)
  })

  it('keeps to its VLAN', () => {
    const a = add('a')
    add('b', { address, vlan: { mode: 'access', vlan: 9 } })
    expect(network.receive(a, frameOf(1, 5))).toBe('noReceiver')
  })
})

describe('VLANs', () => {
  const trunk = (allowed?: number[], native?: number): PortVlan => ({
    mode: 'trunk',
    ...(allowed && { allowed }),
    ...(native && { native }),
  })

  it('keeps apart what belongs to different VLANs, addresses too', () => {
    const a = add('a', { vlan: { mode: 'access', vlan: 10 } })
    const b = add('b', { vlan: { mode: 'access', vlan: 20 } })
    add('c', { vlan: { mode: 'access', vlan: 10 } })
    network.receive(a, frameOf(1, BROADCAST))
    network.receive(b, frameOf(1, BROADCAST))
    expect(heardBy('a', 'b', 'c')).toEqual([0, 0, 1])
    expect(network.addresses.entries(0).map(({ vlan, port }) => [vlan, port])).toEqual([
      [10, 0],
      [20, 1],
    ])
  })

  it('tags on a trunk what an access port sent without, and takes the tag off on the way back', () => {
    const a = add('a', { vlan: { mode: 'access', vlan: 10 } })
    const t = add('t', { vlan: trunk() })
    network.receive(a, frameOf(1, 2))
    expect(stations.get('t')!.heard[0]).toEqual(frameOf(1, 2, 10).bytes)
    network.receive(t, frameOf(2, 1, 10))
    expect(stations.get('a')!.heard[0]).toEqual(frameOf(2, 1).bytes)
  })

  it('keeps the priority of a tag that it changes, and takes VLAN 0 for no VLAN', () => {
    const t = add('t', { vlan: trunk(undefined, 5) })
    add('u', { vlan: trunk() })
    network.receive(t, frameOf(1, 2, 0x6000))
    expect(stations.get('u')!.heard[0]).toEqual(frameOf(1, 2, 0x6005).bytes)
  })

  it.each([
    ['a tagged frame on an access port', { mode: 'access', vlan: 10 } as const, 10, 'taggedOnAccessPort'],
    ['an untagged frame on a trunk without native VLAN', trunk([10]), undefined, 'untaggedWithoutNative'],
    ['a VLAN that the trunk does not allow', trunk([10]), 11, 'vlanNotAllowed'],
  ])('drops %s', (_what, vlan, tag, cause) => {
    const a = add('a', { vlan })
    add('b', { vlan: trunk() })
    expect(network.receive(a, frameOf(1, 2, tag))).toBe(cause)
    expect(heardBy('b')).toEqual([0])
  })

  it.each([0, 4095, 1.5])('knows no VLAN %d', vlan => {
    expect(() => add('a', { vlan: { mode: 'access', vlan } })).toThrow(
      'a VLAN is a whole number from 1 to 4094',
    )
    expect(network.ports).toEqual([])
  })
})

describe('Uplinks', () => {
  it('do not pass frames to one another', () => {
    const a = add('a', { kind: 'uplink' })
    add('b', { kind: 'uplink' })
    add('c')
    network.receive(a, frameOf(1, BROADCAST))
    expect(heardBy('b', 'c')).toEqual([0, 1])
  })

  it('bring back no broadcast of our own', () => {
    const up = add('up', { kind: 'uplink' })
    const a = add('a')
    add('b')
    network.receive(a, frameOf(1, BROADCAST))
    expect(network.receive(up, frameOf(1, BROADCAST))).toBe('reflected')
    network.receive(up, frameOf(9, 1))
    expect(heardBy('a', 'b')).toEqual([1, 1])
  })

  it('hear nothing of what virtual machines that know each other say', () => {
    const [a, b] = [add('a'), add('b')]
    add('up', { kind: 'uplink' })
    network.receive(a, frameOf(1, BROADCAST))
    network.receive(b, frameOf(2, 1))
    network.receive(a, frameOf(1, 2))
    expect(heardBy('up')).toEqual([1])
  })
})

describe('Limits, forged addresses, mirrors', () => {
  it('passes a burst at once and then as many bits a second as allowed', () => {
    const limit = { bitsPerSecond: 8e6, burst: 120 }
    const a = add('a', { ingressLimit: limit })
    add('b')
    const send = () => network.receive(a, frameOf(1, 2))
    expect([send(), send(), send()]).toEqual([undefined, undefined, 'ingressLimit'])
    clock.now += 59_000
    expect(send()).toBe('ingressLimit')
    clock.now += 1000
    expect(send()).toBeUndefined()
  })

  it('drops the copy for a port that has had its share, not the others', () => {
    const a = add('a')
    const b = add('b', { egressLimit: { bitsPerSecond: 8e6, burst: 60 } })
    add('c')
    network.receive(a, frameOf(1, BROADCAST))
    network.receive(a, frameOf(1, BROADCAST))
    expect(heardBy('b', 'c')).toEqual([1, 2])
    expect(b.counters.droppedOut).toEqual({ egressLimit: 1 })
  })

  it('takes frames from the one address only that a port may use', () => {
    const a = add('a', { onlyFrom: [2, 0x0100] })
    add('b')
    expect(network.receive(a, frameOf(1, 2))).toBeUndefined()
    expect(network.receive(a, frameOf(9, 2))).toBe('forgedSource')
  })

  it('shows a mirror port what comes in and goes out elsewhere, and nothing else', () => {
    const [a, b] = [add('a'), add('b')]
    const m = add('m')
    network.addMirror({ ports: [b.number], direction: 'both', to: m.number })
    network.receive(a, frameOf(1, 2))
    network.receive(b, frameOf(2, 1))
    network.receive(a, frameOf(1, BROADCAST, undefined, 5))
    expect(heardBy('m')).toEqual([3])
    expect(() => network.addMirror({ ports: [m.number], direction: 'in', to: m.number })).toThrow('itself')
  })
})

describe('Accounts', () => {
  it('every frame in is dropped with a cause or sent on, and every copy arrives or is dropped with a cause', () => {
    const portOptions = fc.record({
      kind: fc.constantFrom('vm' as const, 'uplink' as const),
      vlan: fc.oneof(
        fc.record({ mode: fc.constant('access' as const), vlan: fc.constantFrom(1, 2) }),
        fc.record({
          mode: fc.constant('trunk' as const),
          native: fc.constantFrom(1, 2),
          allowed: fc.subarray([1, 2, 3]),
        }),
      ),
      egressLimit: fc.constant({ bitsPerSecond: 1e6, burst: 1000 }),
    })
    const event = fc.record({
      port: fc.nat(4),
      from: fc.constantFrom(1, 2, 3, 4, BROADCAST),
      to: fc.constantFrom(1, 2, 3, 4, BROADCAST),
      tag: fc.constantFrom(undefined, 0, 1, 2, 3, 4),
      wait: fc.nat(1_000_000),
    })
    fc.assert(
      fc.property(
        fc.array(portOptions, { minLength: 5, maxLength: 5 }),
        fc.array(event, { maxLength: 80 }),
        fc.nat(4),
        (options, events, deaf) => {
          clock.now = 0
          network = new VirtualSwitch({ name: 'vs0', clock })
          stations.clear()
          const ports = options.map((option, i) => add(`p${i}`, option))
          stations.get(`p${deaf}`)!.refuses = 'noReceiveBuffer'
          let copies = 0
          network.observer = { learned() {}, forwarded: () => copies++, dropped() {} }
          let refused = 0
          for (const { port, from, to, tag, wait } of events) {
            clock.now += wait
            if (network.receive(ports[port]!, frameOf(from, to, tag)) !== undefined) refused++
          }
          const total = (values: readonly (number | undefined)[]) =>
            values.reduce<number>((sum, n) => sum + (n ?? 0), 0)
          const counters = ports.map(port => port.counters)
          expect(total(counters.map(({ framesIn }) => framesIn))).toBe(events.length)
          expect(total(counters.flatMap(({ droppedIn }) => Object.values(droppedIn)))).toBe(refused)
          const arrived = total([...stations.values()].map(({ heard }) => heard.length))
          expect(total(counters.map(({ framesOut }) => framesOut))).toBe(arrived)
          expect(arrived + total(counters.flatMap(({ droppedOut }) => Object.values(droppedOut)))).toBe(
            copies,
          )
          // Nobody hears a VLAN that its port does not carry.
          for (const [i, { vlan }] of options.entries()) {
            for (const bytes of stations.get(`p${i}`)!.heard) {
              const tag = bytes[12] === 0x81 ? (bytes[14]! * 256 + bytes[15]!) & 0xfff : undefined
              if (vlan.mode === 'access') expect(tag).toBeUndefined()
              else if (tag !== undefined) expect(vlan.allowed).toContain(tag)
            }
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  it('is the same switch after save and load', () => {
    const a = add('a', { ingressLimit: { bitsPerSecond: 1e6, burst: 500 } })
    const b = add('b')
    network.addMirror({ ports: [a.number], direction: 'in', to: add('listener').number })
    network.receive(a, frameOf(1, 2))
    network.receive(b, frameOf(2, 1))
    const saved = network.save()
    const again = VirtualSwitch.restore(saved, clock)
    for (const port of saved.ports) again.restorePort(port, stations.get(port.options.name)!)
    expect(again.save()).toEqual(saved)
    expect(again.receive(again.port('a'), frameOf(1, 2))).toBe(undefined)
    expect(stations.get('b')!.heard).toHaveLength(2)
  })
})

describe('The address table', () => {
  it('agrees with a plain map while no set overflows', () => {
    const step = fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 3 }), fc.nat(7))
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), steps => {
        const table = new MacTable(1000)
        const plain = new Map<string, number>()
        for (const [address, vlan, port] of steps) {
          const key = `${address}/${vlan}`
          expect(table.learn(address, 7, vlan, port, 0)).toBe(plain.get(key) ?? -1)
          plain.set(key, port)
        }
        for (const [key, port] of plain) {
          const [address, vlan] = key.split('/').map(Number) as [number, number]
          expect(table.lookUp(address, 7, vlan, 1000)).toBe(port)
          expect(table.lookUp(address, 7, vlan, 1001)).toBe(-1)
        }
        expect(table.entries(0).length).toBe(plain.size)
      }),
    )
  })

  it('keeps thousands of addresses; one that lost its place is unknown, never another port’s', () => {
    const table = new MacTable(1000)
    for (let i = 0; i < 8000; i++) table.learn(i * 2, 1, 1, i % 8, i / 100)
    let known = 0
    for (let i = 0; i < 8000; i++) {
      const port = table.lookUp(i * 2, 1, 1, 80)
      if (port >= 0) known++
      expect([-1, i % 8]).toContain(port)
    }
    expect(known).toBeGreaterThan(3500)
  })
})
