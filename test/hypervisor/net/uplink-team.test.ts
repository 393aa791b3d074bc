import { beforeEach, describe, expect, it } from 'vitest'
import { Engine } from '../../../src/engine/index.ts'
import type { PortVlan } from '../../../src/hypervisor/net/port-vlan.ts'
import { teamHash } from '../../../src/hypervisor/net/team-policy.ts'
import { TEAM_EVENT, type TeamOptions, UplinkTeam } from '../../../src/hypervisor/net/uplink-team.ts'
import { VirtualSwitch } from '../../../src/hypervisor/net/virtual-switch.ts'
import { Frame } from '../../../src/net/formats/index.ts'
import { tcpFrame } from '../../../src/net/traffic/index.ts'

class Link {
  readonly name: string
  readonly sent: Uint8Array[] = []
  readonly mac = mac(0xe0)
  readonly speedMbps = 1000
  carrier = true
  full = false

  constructor(name: string) {
    this.name = name
  }

  send(frame: Frame): boolean {
    if (!this.carrier || this.full) return false
    this.sent.push(frame.toBytes())
    return true
  }
}

const mac = (n: number) => Uint8Array.of(2, 0, 0, 0, 0, n)
const frameOf = (from: number, to: number | 'all'): Frame =>
  Frame.of(
    Uint8Array.of(
      ...(to === 'all' ? new Uint8Array(6).fill(255) : mac(to)),
      ...mac(from),
      8,
      0,
      ...new Array(46).fill(0),
    ),
  )

let engine: Engine
let network: VirtualSwitch
let links: Link[]

function teamOf(options: Partial<TeamOptions> = {}, vlan?: PortVlan): UplinkTeam {
  engine = new Engine()
  engine.handle(TEAM_EVENT, () => {})
  network = new VirtualSwitch({ name: 'vs0', clock: engine })
  const team = new UplinkTeam({ name: 'team0', mode: 'activeBackup', ...options }, network, engine)
  team.port = network.addPort({ name: 'team0', kind: 'uplink', ...(vlan && { vlan }) }, team)
  for (const link of links) team.add(link)
  return team
}

const vm = (name: string, vlan?: PortVlan) => {
  const heard: Uint8Array[] = []
  const deliver = (frame: Frame) => void heard.push(frame.toBytes())
  return { port: network.addPort({ name, kind: 'vm', ...(vlan && { vlan }) }, { deliver }), heard }
}

const sentBy = () => links.map(({ sent }) => sent.length)

beforeEach(() => {
  links = [new Link('up0'), new Link('up1')]
})

describe('active-backup', () => {
  it('sends by the first uplink that has a carrier', () => {
    const team = teamOf()
    const { port } = vm('a')
    network.receive(port, frameOf(1, 9))
    expect(sentBy()).toEqual([1, 0])
    expect(team.active).toBe(links[0])
  })

  it('moves to the next when the carrier goes, keeps the addresses and announces them by RARP', () => {
    const team = teamOf()
    const { port } = vm('a')
    network.receive(port, frameOf(1, 9))
    links[0]!.carrier = false
    team.carrierChanged()
    expect(team.active).toBe(links[1])
    const [announcement] = links[1]!.sent
    expect([...announcement!.subarray(0, 14)]).toEqual([
      ...new Uint8Array(6).fill(255),
      ...mac(1),
      0x80,
      0x35,
    ])
    // RARP: Ethernet, IPv4, 6, 4, request reverse, from and for the same address.
    expect([...announcement!.subarray(14, 42)]).toEqual([
      ...[0, 1, 8, 0, 6, 4, 0, 3],
      ...[...mac(1), 0, 0, 0, 0],
      ...[...mac(1), 0, 0, 0, 0],
    ])
    network.receive(port, frameOf(1, 9))
    expect([...links[1]!.sent[1]!.subarray(6, 12)]).toEqual([...mac(1)])
    expect(team.counters).toMatchObject({ failovers: 1, announcements: 1, lost: 0 })
    expect(engine.trace.since(0).at(-1)).toMatchObject({
      kind: 'network',
      message: 'team team0: up1 takes over from up0',
      detail: { step: 'failover', from: 'up0', to: 'up1' },
    })
  })

  it('announces with the tag of the VLAN where the team’s port is a trunk', () => {
    const team = teamOf({}, { mode: 'trunk' })
    const { port } = vm('a', { mode: 'access', vlan: 30 })
    network.receive(port, frameOf(1, 9))
    links[0]!.carrier = false
    team.carrierChanged()
    expect([...links[1]!.sent[0]!.subarray(12, 18)]).toEqual([0x81, 0, 0, 30, 0x80, 0x35])
  })

  it.each([
    [true, 'up0'],
    [false, 'up1'],
  ])('gives the preferred uplink its place back with failback %s', (failback, active) => {
    const team = teamOf({ failback })
    links[0]!.carrier = false
    team.carrierChanged()
    links[0]!.carrier = true
    team.carrierChanged()
    expect(team.active!.name).toBe(active)
  })

  it('takes nothing from the uplink in reserve: a flooded frame would come twice', () => {
    const team = teamOf()
    const { heard } = vm('a')
    expect(team.receive(links[0]!, frameOf(9, 'all'))).toBeUndefined()
    expect(team.receive(links[1]!, frameOf(9, 'all'))).toBe('backupUplink')
    expect(heard.length).toBe(1)
  })

  it('loses frames with a name while no uplink has a carrier', () => {
    const team = teamOf()
    const { port } = vm('a')
    for (const link of links) link.carrier = false
    team.carrierChanged()
    network.receive(port, frameOf(1, 9))
    expect(network.port('team0').counters.droppedOut).toEqual({ noCarrier: 1 })
    expect(team.active).toBeUndefined()
  })

  it('has frames wait for an adapter without room, and names those for which there is no room to wait', () => {
    const team = teamOf()
    const { port } = vm('a')
    links[0]!.full = true
    for (let i = 0; i < 65; i++) network.receive(port, frameOf(1, 9))
    expect(network.port('team0').counters.droppedOut).toEqual({ queueFull: 1 })
    expect(team.counters.waiting).toBe(64)
    links[0]!.full = false
    team.roomAgain(links[0]!)
    expect([team.counters.waiting, team.counters.sent, links[0]!.sent.length]).toEqual([0, 64, 64])
  })

  it('takes what waited along to the next uplink, after the announcements', () => {
    const team = teamOf()
    const { port } = vm('a')
    links[0]!.full = true
    for (let i = 0; i < 5; i++) network.receive(port, frameOf(1, 9))
    links[0]!.carrier = false
    team.carrierChanged()
    expect(sentBy()).toEqual([0, 6])
    expect(team.counters).toMatchObject({ waiting: 0, announcements: 1, sent: 5 })
  })
})

describe('balance', () => {
  it('keeps to one uplink for each port by port id, and to those with a carrier', () => {
    const team = teamOf({ mode: 'balance' })
    const [a, b] = [vm('a'), vm('b')]
    for (let i = 0; i < 3; i++) {
      network.receive(a.port, frameOf(1, 9))
      network.receive(b.port, frameOf(2, 9))
    }
    expect(sentBy()).toEqual([3, 3])
    links[0]!.carrier = false
    team.carrierChanged()
    network.receive(a.port, frameOf(1, 9))
    network.receive(b.port, frameOf(2, 9))
    expect(sentBy()).toEqual([3, 5])
  })

  it('takes frames from every uplink', () => {
    const team = teamOf({ mode: 'balance' })
    const { heard } = vm('a')
    team.receive(links[0]!, frameOf(8, 'all'))
    team.receive(links[1]!, frameOf(9, 'all'))
    expect(heard.length).toBe(2)
  })
})

describe('Transmit hash policies of bonding.txt', () => {
  const tcp = (sourcePort: number) =>
    Frame.of(
      tcpFrame({
        from: { mac: mac(0x11), ip: 0x0a00_0001 },
        to: { mac: mac(0x22), ip: 0x0a00_0102 },
        ports: { source: sourcePort, destination: 80 },
        identification: 1,
        payload: new Uint8Array(4),
        sequence: 0,
        acknowledgment: 0,
        flags: 16,
      }),
    )

  it('layer2 is source byte 5 XOR destination byte 5 XOR packet type', () => {
    expect(teamHash('layer2', frameOf(0x11, 0x22), 0)).toBe(0x11 ^ 0x22 ^ 0x0800)
  })

  it('layer2+3 adds the addresses and folds', () => {
    const hash = 0x11 ^ 0x22 ^ 0x0800 ^ (0x0a00_0001 ^ 0x0a00_0102)
    const once = hash ^ (hash >>> 16)
    expect(teamHash('layer2+3', tcp(5000), 0)).toBe((once ^ (once >>> 8)) >>> 0)
  })

  it('layer3+4 is of ports and addresses: one conversation, one uplink', () => {
    const hash = ((5000 << 16) | 80) ^ (0x0a00_0001 ^ 0x0a00_0102)
    const once = hash ^ (hash >>> 16)
    expect(teamHash('layer3+4', tcp(5000), 0)).toBe(((once ^ (once >>> 8)) >>> 0) >>> 1)
    expect(new Set([5000, 5002, 5004, 5006].map(port => teamHash('layer3+4', tcp(port), 0) % 2)).size).toBe(2)
  })

  it('what is no IP is hashed by layer 2', () => {
    const frame = frameOf(1, 2)
    frame.bytes[12] = 0x88
    expect(teamHash('layer3+4', frame, 0)).toBe(1 ^ 2 ^ 0x8800)
  })
})
