/** Teams of real adapters, with a switch outside: failover, and link aggregation by LACP. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytesToHex } from '../../../src/core/index.ts'
import { Frame, nameOf } from '../../../src/net/index.ts'
import { CHIPS, type Chip, NetworkWorld, OTHER, PF, PORTS, serverWith } from './network-world.ts'

const MACS = { a: '02:00:00:00:00:01', b: '02:00:00:00:00:02' } as const
const OUTSIDE = '02:00:00:00:00:99'
const VMS = ['a', 'b'] as const
type Vm = (typeof VMS)[number]

const octets = (mac: string): number[] => mac.split(':').map(text => Number.parseInt(text, 16))

/** No two frames of a run are alike. */
const frameOf = (from: string, to: string, number: number): Uint8Array =>
  Uint8Array.of(...octets(to), ...octets(from), 0x88, 0xb5, number >>> 8, number, ...new Array(44).fill(7))

/** Two virtual machines behind a team, and who is outside. */
function build(
  mode: 'activeBackup' | 'lacp',
  aggregation: 'none' | 'lacp',
  chip: Chip = '82576',
): { readonly world: NetworkWorld; readonly outward: Set<string> } {
  const world = NetworkWorld.create(serverWith(chip))
  world.do('createOutsideSwitch', { name: 'rack', functions: [...PORTS], aggregation })
  world.do('createSwitch', { name: 'vs0', uplinks: [...PORTS], mode, hash: 'layer2' })
  for (const [i, vm] of VMS.entries()) {
    world.createVm(vm)
    const model = (['emulated', 'paravirtual'] as const)[i]!
    world.do('addNetworkDevice', { vm, model, mac: MACS[vm], switch: 'vs0' })
  }
  const outward = new Set<string>()
  world.platform.wires.switch('rack').listener = frame => outward.add(bytesToHex(frame.toBytes()))
  world.do('passTime', { nanoseconds: 6e9 })
  return { world, outward }
}

const cable = (world: NetworkWorld, port: string, plugged: boolean) =>
  world.do('setCable', { function: port, cable: plugged ? 'plugged' : 'pulled' })

/** Check sequences of the frames that the trace says were lost. */
function lostIn(world: NetworkWorld): Set<unknown> {
  const lost = new Set<unknown>()
  world.platform.engine.trace.follow(({ detail }) => {
    if (detail['step'] === 'lost') lost.add(detail['checkSequence'])
  })
  return lost
}

const learnedPort = (world: NetworkWorld, mac: string): string | undefined =>
  world.do('outsideSwitch', { switch: 'rack' }).addresses.find(one => one.mac === mac)?.port

describe('failover of an active-backup team', () => {
  it('keeps the addresses, and the switch outside learns at once that they moved', () => {
    const { world } = build('activeBackup', 'none')
    world.do('traceFrame', { vm: 'a', to: OUTSIDE })
    world.do('traceFrame', { vm: 'b', to: OUTSIDE })
    const before = VMS.map(vm => learnedPort(world, MACS[vm]))
    cable(world, PF, false)
    const after = VMS.map(vm => learnedPort(world, MACS[vm]))
    expect(new Set([...before, ...after]).size).toBe(2)
    expect(after).not.toContain(before[0])
    for (const vm of VMS) {
      const { received } = world.do('traceFrame', { outside: 'rack', to: MACS[vm] })
      expect(received).toEqual([{ vm, slot: 1, intact: true }])
    }
  })

  it('loses no frame that the trace does not name, whenever cables are pulled', () => {
    const happening = fc.oneof(
      fc.record({ from: fc.constantFrom<Vm | 'outside'>('a', 'b', 'outside'), to: fc.constantFrom(...VMS) }),
      fc.record({ port: fc.constantFrom(...PORTS), plugged: fc.boolean() }),
      fc.record({ wait: fc.constantFrom(1000, 100_000, 10_000_000) }),
    )
    const { world, outward } = build('activeBackup', 'none')
    const begin = world.platform.save()
    let lostOnes = 0
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.array(happening, { minLength: 10, maxLength: 40 }),
        (timed, happenings) => {
          world.platform.load(begin)
          world.platform.wires.switch('rack').listener = frame => outward.add(bytesToHex(frame.toBytes()))
          outward.clear()
          if (timed) for (const port of PORTS) world.do('setLine', { function: port, line: 'timed' })
          const lost = lostIn(world)
          const sent: { readonly data: Uint8Array; readonly to: Vm | 'outside' }[] = []
          for (const what of happenings) {
            if ('port' in what) cable(world, what.port, what.plugged)
            else if ('wait' in what) world.do('passTime', { nanoseconds: what.wait })
            else if (what.from === 'outside') {
              const data = frameOf(OUTSIDE, MACS[what.to], sent.length)
              world.platform.wires.switch('rack').send(Frame.of(data))
              world.run(world.platform.hypervisor.settle())
              sent.push({ data, to: what.to })
            } else {
              const data = frameOf(MACS[what.from], OUTSIDE, sent.length)
              world.send(what.from, 1, data)
              sent.push({ data, to: 'outside' })
            }
          }
          world.do('passTime', { nanoseconds: 1e9 })
          const arrived = { a: world.received('a', 1), b: world.received('b', 1), outside: outward }
          for (const { data, to } of sent) {
            if (arrived[to].has(bytesToHex(data))) continue
            lostOnes++
            expect(lost).toContain(nameOf(Frame.of(data)).checkSequence)
          }
        },
      ),
      { numRuns: 20, seed: 3 },
    )
    expect(lostOnes).toBeGreaterThan(0)
  })
})

describe('an adapter under a switch', () => {
  it('leaves the team when its driver is taken off it: the next uplink takes over', () => {
    const { world } = build('activeBackup', 'none')
    world.run(world.platform.host.bind(PF, null))
    const { uplinks, team } = world.do('switch', { switch: 'vs0' })
    expect([uplinks.map(link => link.function), team.active]).toEqual([[OTHER], OTHER])
    const { received } = world.do('traceFrame', { outside: 'rack', to: MACS.a })
    expect(received).toEqual([{ vm: 'a', slot: 1, intact: true }])
  })

  it('is set up again by its driver after it was reset', () => {
    const { world } = build('activeBackup', 'none')
    cable(world, OTHER, false)
    world.run(world.platform.host.reset(PF))
    const { received } = world.do('traceFrame', { outside: 'rack', to: MACS.a })
    expect(received).toEqual([{ vm: 'a', slot: 1, intact: true }])
    expect(world.do('traceFrame', { vm: 'a', to: OUTSIDE, sender: MACS.a }).sent).toBe(true)
    expect(learnedPort(world, MACS.a)).toBeDefined()
  })

  it.each(CHIPS)('hears broadcasts of the VLANs of devices, and of no others: an Intel %s', chip => {
    const world = NetworkWorld.create(serverWith(chip))
    world.do('createSwitch', { name: 'vs0', uplinks: [PF] })
    for (const [i, vm] of VMS.entries()) {
      world.createVm(vm)
      const device = { vm, model: 'paravirtual', mac: MACS[vm], switch: 'vs0', vlan: 20 + i } as const
      world.do('addNetworkDevice', device)
    }
    const heard = (vlan: number) =>
      world.do('traceFrame', { function: PF, to: 'ff:ff:ff:ff:ff:ff', vlan }).received.map(({ vm }) => vm)
    expect([20, 21, 22].map(heard)).toEqual([['a'], ['b'], []])
    world.do('removeNetworkDevice', { vm: 'b', slot: 1 })
    expect([20, 21].map(heard)).toEqual([['a'], []])
  })
})

describe('a team that speaks LACP', () => {
  it.each(CHIPS)('works as one link with a switch that does too: two ports of an Intel %s', chip => {
    const { world, outward } = build('lacp', 'lacp', chip)
    const usable = () => world.do('switch', { switch: 'vs0' }).uplinks.map(link => link.usable)
    expect(usable()).toEqual([true, true])
    expect(world.do('outsideSwitch', { switch: 'rack' }).team!.lacp.map(({ mux }) => mux)).toEqual([
      'distributing',
      'distributing',
    ])
    const lost = lostIn(world)
    for (const port of [undefined, PF] as const) {
      if (port !== undefined) cable(world, port, false)
      for (const vm of VMS) {
        const number = outward.size
        world.send(vm, 1, frameOf(MACS[vm], OUTSIDE, number))
        expect(outward.size).toBe(number + 1)
        const { received } = world.do('traceFrame', { outside: 'rack', to: MACS[vm] })
        expect(received).toEqual([{ vm, slot: 1, intact: true }])
      }
    }
    expect([...lost]).toEqual([])
    expect(usable()).toEqual([false, true])
    cable(world, PF, true)
    world.do('passTime', { nanoseconds: 6e9 })
    expect(usable()).toEqual([true, true])
  })

  it('uses one cable while the other side knows no LACP', () => {
    const { world } = build('lacp', 'none')
    const { uplinks, team } = world.do('switch', { switch: 'vs0' })
    expect(uplinks.map(link => link.usable)).toEqual([true, false])
    expect(team.lacp.map(({ receive }) => receive)).toEqual(['defaulted', 'defaulted'])
  })

  it('keeps virtual machines out of the protocol: nobody forwards its address', () => {
    const { world } = build('lacp', 'lacp')
    const { received } = world.do('traceFrame', { vm: 'a', to: '01:80:c2:00:00:02' })
    expect(received).toEqual([])
    const { ports } = world.do('switch', { switch: 'vs0' })
    expect(ports.find(({ name }) => name.startsWith('a-'))!.droppedIn).toEqual({ reservedAddress: 1 })
  })

  it('goes on in another platform as it would have in its own', () => {
    const { world } = build('lacp', 'lacp')
    cable(world, OTHER, false)
    const saved = world.platform.save()
    const rest = (one: NetworkWorld): string => {
      cable(one, OTHER, true)
      one.do('passTime', { nanoseconds: 40e9 })
      one.do('traceFrame', { outside: 'rack', to: MACS.a })
      return one.platform.stateHash()
    }
    const hash = world.platform.stateHash()
    const end = rest(world)
    const fork = NetworkWorld.restore(saved)
    expect(fork.platform.stateHash()).toBe(hash)
    expect(rest(fork)).toBe(end)
  })
})

describe('an uplink that is busy', () => {
  it('is shared as the shares say, beside which nothing is lost before the queues are full', () => {
    const world = NetworkWorld.create()
    world.do('createSwitch', { name: 'vs0', uplinks: [PF] })
    const shares = { a: 75, b: 25 }
    for (const vm of VMS) {
      world.createVm(vm)
      const device = { vm, model: 'paravirtual', mac: MACS[vm], switch: 'vs0', share: shares[vm] } as const
      world.do('addNetworkDevice', device)
    }
    world.do('setLine', { function: PF, line: 'timed' })
    world.do('captureFrames', { function: PF, capture: 'on' })
    for (let i = 0; i < 90; i++) for (const vm of VMS) world.send(vm, 1, frameOf(MACS[vm], OUTSIDE, i))
    const { team } = world.do('switch', { switch: 'vs0' })
    expect(team.waiting).toBe(180 - team.sent - team.lost)
    expect(team.waiting).toBeGreaterThan(60)
    world.do('passTime', { nanoseconds: 1e9 })
    const port = world.platform.wires.port(world.platform.functionAt(PF))
    const senders = world.platform.wires.recorded(port).frames.map(({ data }) => data[11]!)
    expect(senders.length).toBe(180 - team.lost)
    // What the adapter's ring had taken before went first; then both wait, until one has nothing left.
    const contended = senders.slice(-team.waiting).slice(0, 60)
    const [ofA, ofB] = [1, 2].map(last => contended.filter(sender => sender === last).length)
    expect(Math.abs(ofA! - 3 * ofB!)).toBeLessThan(12)
  })
})
