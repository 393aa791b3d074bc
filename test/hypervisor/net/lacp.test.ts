import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { Engine } from '../../../src/engine/index.ts'
import { NEVER } from '../../../src/hypervisor/net/lacp/lacp-port.ts'
import type { LacpOptions } from '../../../src/hypervisor/net/lacp/link-aggregation.ts'
import type { SwitchPort } from '../../../src/hypervisor/net/switch-port.ts'
import type { Uplink } from '../../../src/hypervisor/net/uplink.ts'
import { TEAM_EVENT, UplinkTeam } from '../../../src/hypervisor/net/uplink-team.ts'
import { VirtualSwitch } from '../../../src/hypervisor/net/virtual-switch.ts'
import {
  Frame,
  isSlowProtocol,
  LACP_STATE,
  LACPDU_SIZE,
  nobody,
  readLacpdu,
  writeLacpdu,
} from '../../../src/net/formats/index.ts'

const SECOND = 1e9

/** One end of a cable between two systems. */
class End implements Uplink {
  readonly name: string
  readonly mac: Uint8Array
  speedMbps = 1000
  carrier = true
  /** What is sent is lost on the way, though both ends see a carrier. */
  mute = false
  readonly sent: { readonly time: number; readonly frame: Frame }[] = []
  team!: UplinkTeam
  other!: End

  constructor(name: string, number: number) {
    this.name = name
    this.mac = Uint8Array.of(2, 0, 0, 0, 1, number)
  }

  send(frame: Frame): boolean {
    if (!this.carrier) return false
    this.sent.push({ time: engine.now, frame: Frame.of(frame.toBytes()) })
    if (!this.mute) this.other.team.receive(this.other, frame)
    return true
  }
}

class System {
  readonly network: VirtualSwitch
  readonly team: UplinkTeam
  readonly station: SwitchPort
  readonly heard: Uint8Array[] = []

  constructor(name: string, lacp: LacpOptions) {
    this.network = new VirtualSwitch({ name, clock: engine })
    this.team = new UplinkTeam({ name, mode: 'lacp', policy: 'layer2', lacp }, this.network, engine)
    this.team.port = this.network.addPort({ name: 'link', kind: 'uplink' }, this.team)
    const deliver = (frame: Frame) => void this.heard.push(frame.toBytes())
    this.station = this.network.addPort({ name: 'station', kind: 'vm' }, { deliver })
    systems.push(this)
  }
}

let engine: Engine
let systems: System[]

/** Cables between systems, all plugged in at once. */
function connect(...pairs: readonly (readonly [System, System])[]): [End, End][] {
  const cables = pairs.map(([from, to], i): [End, End] => {
    const ends: [End, End] = [new End(`a${i}`, 2 * i), new End(`b${i}`, 2 * i + 1)]
    ends[0].other = ends[1]
    ends[1].other = ends[0]
    ends[0].team = from.team
    ends[1].team = to.team
    return ends
  })
  for (const ends of cables) for (const end of ends) end.team.add(end)
  return cables
}

function pass(seconds: number): void {
  const end = engine.now + seconds * SECOND
  engine.schedule(seconds * SECOND, 'end', '')
  while (engine.now < end && engine.advance());
}

function setCarrier(ends: readonly End[], on: boolean): void {
  for (const end of ends) end.carrier = on
  for (const end of ends) end.team.carrierChanged()
}

const carrying = ({ team }: System): string[] =>
  team.uplinks.filter(uplink => team.usable(uplink)).map(({ name }) => name)

const frameFrom = (n: number): Frame =>
  Frame.of(Uint8Array.of(2, 0, 0, 0, 9, 9, 2, 0, 0, 0, 0, n, 8, 0, ...new Array(46).fill(n)))

function begin(): void {
  engine = new Engine()
  systems = []
  engine.handle(TEAM_EVENT, target => {
    for (const { team } of systems) if (team.options.name === target) team.timeIsUp()
  })
  engine.handle('end', () => {})
}

beforeEach(begin)

describe('an LACPDU', () => {
  const actor = {
    systemPriority: 0x8000,
    systemLow: 0x0300_0002,
    systemHigh: 0x0504,
    key: 0x1234,
    portPriority: 0x00ff,
    port: 0x0102,
    state: 0x3d,
  }

  it('has the fields of IEEE 802.1AX where the standard has them', () => {
    const frame = new Frame()
    writeLacpdu(frame, Uint8Array.of(2, 0, 0, 0, 0, 7), actor, { ...nobody(), port: 9 })
    expect(frame.length).toBe(LACPDU_SIZE)
    const text = Buffer.from(frame.toBytes()).toString('hex')
    const information = '8000020000030405123400ff01023d000000'
    const partner = '000000000000000000000000000900000000'
    expect(text).toBe(
      `0180c2000002020000000007${'8809'}01010114${information}0214${partner}0310${'00'.repeat(14)}0000${'00'.repeat(50)}`,
    )
  })

  it('is read back; what is cut short, or of another slow protocol, is none', () => {
    const frame = new Frame()
    writeLacpdu(frame, Uint8Array.of(2, 0, 0, 0, 0, 7), actor, nobody())
    const [theirs, ours] = [nobody(), nobody()]
    expect(readLacpdu(frame, theirs, ours)).toBe(true)
    expect([theirs, ours]).toEqual([actor, nobody()])
    frame.bytes[14] = 2
    expect(isSlowProtocol(frame)).toBe(true)
    expect(readLacpdu(frame, theirs, ours)).toBe(false)
    frame.bytes[14] = 1
    frame.length = LACPDU_SIZE - 1
    expect(readLacpdu(frame, theirs, ours)).toBe(false)
  })
})

describe('two systems', () => {
  it('make one link of two cables within Aggregate_Wait_Time and the first LACPDUs', () => {
    const [a, b] = [new System('a', {}), new System('b', {})]
    connect([a, b], [a, b])
    expect(carrying(a)).toEqual([])
    pass(5)
    expect([carrying(a), carrying(b)]).toEqual([
      ['a0', 'a1'],
      ['b0', 'b1'],
    ])
    const states = a.team.lacpPorts.map(({ receive, mux, group }) => [receive, mux, group])
    expect(states).toEqual([
      ['current', 'distributing', 1],
      ['current', 'distributing', 1],
    ])
    const { activity, aggregation, synchronization, collecting, distributing } = LACP_STATE
    expect(a.team.lacpPorts[0]!.partner.state).toBe(
      activity | aggregation | synchronization | collecting | distributing,
    )
  })

  it('carry each conversation by one cable, and lose none before the other end collects', () => {
    const [a, b] = [new System('a', {}), new System('b', {})]
    const cables = connect([a, b], [a, b])
    let sent = 0
    for (let tenth = 0; tenth < 60; tenth++) {
      pass(0.1)
      for (const n of [1, 2]) if (a.network.receive(a.station, frameFrom(n)) === undefined) sent++
    }
    // Before the link there was no carrier: those have that cause.
    const { lost } = a.team.counters
    expect(b.heard.length + lost).toBe(sent)
    expect(b.heard.length).toBeGreaterThan(40)
    const data = cables.map(([end]) => end.sent.filter(({ frame }) => !isSlowProtocol(frame)).length)
    expect(data.every(count => count > 0)).toBe(true)
  })

  it('stop using a cable at once when its carrier goes, and use it again when it is back', () => {
    const [a, b] = [new System('a', {}), new System('b', {})]
    const [first] = connect([a, b], [a, b])
    pass(5)
    setCarrier(first!, false)
    expect([carrying(a), carrying(b)]).toEqual([['a1'], ['b1']])
    setCarrier(first!, true)
    expect(carrying(a)).toEqual(['a1'])
    pass(5)
    expect(carrying(a)).toEqual(['a0', 'a1'])
    expect(a.team.counters.failovers).toBe(1)
  })

  it.each([
    ['short', 3, 1],
    ['long', 90, 30],
  ] as const)('give a cable up that has gone mute one way: timeout %s, %i s', (timeout, seconds, period) => {
    const [a, b] = [new System('a', { timeout }), new System('b', {})]
    const [first] = connect([a, b], [a, b])
    pass(10)
    first![1].mute = true
    // The last that came may be as old as the time between two.
    pass(seconds - period - 0.1)
    expect(carrying(a)).toEqual(['a0', 'a1'])
    pass(period + 0.2)
    expect(carrying(a)).toEqual(['a1'])
    // Told by a's LACPDUs, which still arrive.
    expect(carrying(b)).toEqual(['b1'])
  })

  it('speak as often as the other side wants to hear: every second, or every 30', () => {
    const [a, b] = [new System('a', { timeout: 'short' }), new System('b', { timeout: 'long' })]
    const [ends] = connect([a, b])
    pass(10)
    const before = ends!.map(({ sent }) => sent.length)
    pass(60)
    expect(ends!.map(({ sent }, i) => sent.length - before[i]!)).toEqual([2, 60])
  })

  it('stay silent when both are passive, and agree when one of them is', () => {
    const passive = { activity: 'passive' } as const
    const [a, b] = [new System('a', passive), new System('b', passive)]
    const [ends] = connect([a, b])
    pass(100)
    expect(ends!.map(({ sent }) => sent.length)).toEqual([0, 0])
    const [c, d] = [new System('c', passive), new System('d', {})]
    connect([c, d], [c, d])
    pass(6)
    expect(carrying(c).length).toBe(2)
  })

  it('never send more than three LACPDUs by a port in a second', () => {
    const change = fc.tuple(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 0, max: 3 }), fc.nat(30))
    fc.assert(
      fc.property(fc.array(change, { maxLength: 30 }), changes => {
        begin()
        const [a, b] = [new System('a', { timeout: 'short' }), new System('b', {})]
        const cables = connect([a, b], [a, b], [a, b])
        for (const [cable, what, tenths] of changes) {
          const ends = cables[cable]!
          if (what < 2) setCarrier(ends, what === 1)
          else ends[0].mute = what === 3
          pass(tenths / 10)
        }
        for (const { sent } of cables.flat()) {
          const times = sent.filter(({ frame }) => isSlowProtocol(frame)).map(({ time }) => time)
          for (const [i, time] of times.entries()) {
            const third = times[i + 3]
            if (third !== undefined) expect(third - time).toBeGreaterThanOrEqual(SECOND)
          }
        }
        // Whatever happened: in peace, all that hear each other carry frames.
        for (const ends of cables) {
          ends[0].mute = false
          setCarrier(ends, true)
        }
        pass(130)
        expect([carrying(a).length, carrying(b).length]).toEqual([3, 3])
      }),
      { numRuns: 30 },
    )
  })
})

describe('selection', () => {
  it('makes no one link of cables to two systems: one of them carries frames', () => {
    const [a, b, c] = [new System('a', {}), new System('b', {}), new System('c', {})]
    connect([a, b], [a, c])
    pass(6)
    expect(carrying(a)).toEqual(['a0'])
    expect(a.team.lacpPorts.map(({ group }) => group)).toEqual([1, 2])
  })

  it('makes no one link of cables of different speed', () => {
    const [a, b] = [new System('a', {}), new System('b', {})]
    const cables = connect([a, b], [a, b])
    for (const end of cables[1]!) end.speedMbps = 10_000
    pass(8)
    expect(new Set(a.team.lacpPorts.map(({ group }) => group)).size).toBe(2)
    expect(carrying(a).length).toBe(1)
  })

  it('lets a cable to somebody who knows no LACP go alone, until one who does is found', () => {
    const a = new System('a', {})
    const b = new System('b', {})
    const cables = connect([a, b], [a, b])
    for (const [, end] of cables) end.mute = true
    pass(10)
    expect(a.team.lacpPorts.map(({ receive }) => receive)).toEqual(['defaulted', 'defaulted'])
    expect(carrying(a)).toEqual(['a0'])
    cables[1]![1].mute = false
    pass(130)
    expect(carrying(a)).toEqual(['a1'])
  })
})

it('a team that is saved goes on from there as it would have', () => {
  const when = fc.integer({ min: 0, max: 120 })
  fc.assert(
    fc.property(when, fc.nat(3), when, (tenths, event, later) => {
      begin()
      const [a, b] = [new System('a', {}), new System('b', {})]
      const cables = connect([a, b], [a, b])
      pass(tenths / 10)
      if (event < 2) setCarrier(cables[event]!, false)
      const saved = structuredClone({ engine: engine.save(), teams: systems.map(({ team }) => team.save()) })
      pass(later / 10)
      const end = systems.map(({ team }) => team.save())

      engine.load(saved.engine)
      systems = []
      for (const [i, name] of ['a', 'b'].entries()) {
        const system = new System(name, {})
        const uplinks = cables.map(ends => ends[i]!)
        for (const uplink of uplinks) uplink.team = system.team
        system.team.load(saved.teams[i]!, uplinks)
      }
      expect(systems.map(({ team }) => team.save())).toEqual(saved.teams)
      pass(later / 10)
      expect(systems.map(({ team }) => team.save())).toEqual(end)
    }),
    { numRuns: 30 },
  )
})

it('a system without links waits for nothing', () => {
  const { team } = new System('a', {})
  expect(team.save().wakeAt).toBe(NEVER)
  expect(engine.pending).toBe(0)
})
