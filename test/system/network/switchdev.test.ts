/** Switchdev mode: the host's switch moves what virtual functions send, port by port of their representors. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { bytesToHex, hexToBytes, NorthbridgeError } from '../../../src/core/index.ts'
import { parseTopology } from '../../../src/platform/index.ts'
import { CHIPS, follow, NetworkWorld, OTHER, PF, type Step, serverWith } from './network-world.ts'

const TOPOLOGY = parseTopology(
  JSON.parse(readFileSync(join(import.meta.dirname, '../../../topologies/synthetic-eswitch.json'), 'utf8')),
)
const VFS = ['0000:01:10.0', '0000:01:10.2', '0000:01:10.4'] as const
const [A, B, C] = ['02:00:00:00:00:0a', '02:00:00:00:00:0b', '02:00:00:00:00:0c'] as const
const OUTSIDE = '02:00:00:00:00:99'
const BROADCAST = 'ff:ff:ff:ff:ff:ff'
const VMS = { a: A, b: B, c: C } as const
type Vm = keyof typeof VMS

/** A frame of an experimental EtherType, as hexadecimal digits. */
function frameOf(to: string, from: string, length = 100): string {
  const bytes = new Uint8Array(length).map((_, i) => 7 * i)
  bytes.set(hexToBytes(`${to}${from}88b5`.replaceAll(':', '')))
  return bytesToHex(bytes)
}

/** Three guests with a virtual function each, and a switch above the physical one. */
function world(mode: 'legacy' | 'switchdev' = 'switchdev'): NetworkWorld {
  const made = NetworkWorld.create(TOPOLOGY)
  made.do('setNumVfs', { function: PF, numVfs: 3 })
  made.do('createSwitch', { name: 'vs0', uplinks: [PF] })
  if (mode === 'switchdev') made.do('setEswitch', { function: PF, mode })
  for (const [index, vm] of (['a', 'b', 'c'] as const).entries()) {
    made.createVm(vm)
    made.do('addNetworkDevice', { vm, model: 'sriov', mac: VMS[vm], function: VFS[index]! })
  }
  return made
}

/** What each guest and the wire got of a frame that a guest sends. */
function sent(made: NetworkWorld, from: Vm, data: string) {
  made.do('captureFrames', { function: PF, capture: 'on' })
  made.send(from, 1, hexToBytes(data))
  return { ...heard(made, data), wire: onWire(made, data) }
}

const heard = (made: NetworkWorld, data: string) => ({
  guests: (['a', 'b', 'c'] as const).filter(vm => made.received(vm, 1).has(data)),
})

function onWire(made: NetworkWorld, data: string): boolean {
  const { pcap } = made.do('capturedFrames', { function: PF })
  made.do('captureFrames', { function: PF, capture: 'off' })
  return pcap.includes(data)
}

/** What guests got of a frame from the wire; `data`, if it is not what came. */
function arrived(made: NetworkWorld, frame: string, data = frame) {
  const { platform } = made
  made.run(
    (function* () {
      const port = platform.wires.port(platform.functionAt(platform.host.find(PF).address))
      expect(platform.wires.send(port, hexToBytes(frame))).toBe(true)
      yield* platform.hypervisor.settle()
    })(),
  )
  return heard(made, data).guests
}

const ports = (made: NetworkWorld) => made.do('switch', { switch: 'vs0' }).ports
const portOf = (made: NetworkWorld, name: string) => ports(made).find(port => port.name === name)!

describe('in switchdev mode', () => {
  it('each virtual function has a port of the switch above its adapter', () => {
    const made = world()
    expect(ports(made).map(({ name, kind }) => [name, kind])).toEqual([
      ['vs0-uplink', 'uplink'],
      ['vs0-vf0', 'representor'],
      ['vs0-vf1', 'representor'],
      ['vs0-vf2', 'representor'],
    ])
    expect(made.do('nic', { function: PF }).eswitch).toBe('switchdev')
    expect(made.do('nic', { function: OTHER }).eswitch).toBe(null)
  })

  it('a frame goes from one to another through both ports, byte for byte, and to nobody else', () => {
    const made = world()
    sent(made, 'b', frameOf(BROADCAST, B))
    for (const length of [60, 333, 1514]) {
      expect(sent(made, 'a', frameOf(B, A, length))).toEqual({ guests: ['b'], wire: false })
    }
    expect(portOf(made, 'vs0-vf0').framesIn).toBe(3)
    expect(portOf(made, 'vs0-vf1').framesOut).toBe(3)
    expect(portOf(made, 'vs0-vf2').framesOut).toBe(1)
    expect(made.do('nic', { function: PF }).drops).toEqual({})
  })

  it('an address that the switch has not heard of is flooded; a learned one is not', () => {
    const made = world()
    expect(sent(made, 'a', frameOf(C, A))).toEqual({ guests: ['b', 'c'], wire: true })
    sent(made, 'c', frameOf(A, C))
    expect(sent(made, 'a', frameOf(C, A))).toEqual({ guests: ['c'], wire: false })
  })

  it('a frame to an address outside leaves by the wire, byte for byte', () => {
    const made = world()
    arrived(made, frameOf(BROADCAST, OUTSIDE))
    expect(sent(made, 'a', frameOf(OUTSIDE, A, 1514))).toEqual({ guests: [], wire: true })
    expect(portOf(made, 'vs0-uplink').framesOut).toBe(1)
  })

  it('a frame from the wire reaches its function by its port, a broadcast every one', () => {
    const made = world()
    sent(made, 'b', frameOf(BROADCAST, B))
    expect(arrived(made, frameOf(B, OUTSIDE, 1514))).toEqual(['b'])
    expect(arrived(made, frameOf(BROADCAST, OUTSIDE))).toEqual(['a', 'b', 'c'])
    expect(portOf(made, 'vs0-vf1').framesOut).toBe(2)
  })

  it('functions talk to each other while there is no cable', () => {
    const made = world()
    made.do('setCable', { function: PF, cable: 'pulled' })
    sent(made, 'b', frameOf(BROADCAST, B))
    expect(sent(made, 'a', frameOf(B, A)).guests).toEqual(['b'])
  })

  it('a port that listens hears what virtual functions say to each other', () => {
    const made = world()
    sent(made, 'b', frameOf(BROADCAST, B))
    made.createVm('ear')
    made.do('addNetworkDevice', {
      vm: 'ear',
      model: 'paravirtual',
      mac: '02:00:00:00:00:0e',
      switch: 'vs0',
    })
    const listener = ports(made).find(({ kind }) => kind === 'vm')!.name
    made.do('mirrorPort', { switch: 'vs0', ports: ['vs0-vf0'], direction: 'in', port: listener })
    sent(made, 'a', frameOf(B, A))
    expect(made.received('ear', 1)).toEqual(new Set([frameOf(B, A)]))
  })

  it('a paravirtual device of the same switch and a virtual function reach each other', () => {
    const made = world()
    made.createVm('soft')
    made.do('addNetworkDevice', {
      vm: 'soft',
      model: 'paravirtual',
      mac: '02:00:00:00:00:0e',
      switch: 'vs0',
    })
    made.send('a', 1, hexToBytes(frameOf('02:00:00:00:00:0e', A)))
    expect(made.received('soft', 1)).toEqual(new Set([frameOf('02:00:00:00:00:0e', A)]))
    made.send('soft', 1, hexToBytes(frameOf(A, '02:00:00:00:00:0e')))
    expect(made.received('a', 1).has(frameOf(A, '02:00:00:00:00:0e'))).toBe(true)
  })

  it('a VLAN of a port isolates its function, and is a tag on the wire', () => {
    const made = world()
    made.do('setRepresentor', { switch: 'vs0', port: 'vs0-vf0', vlan: 10 })
    expect(sent(made, 'a', frameOf(BROADCAST, A)).guests).toEqual([])
    expect(sent(made, 'b', frameOf(BROADCAST, B)).guests).toEqual(['c'])
    made.do('setRepresentor', { switch: 'vs0', port: 'vs0-vf2', vlan: 10 })
    expect(sent(made, 'a', frameOf(BROADCAST, A)).guests).toEqual(['c'])
    const plain = frameOf(BROADCAST, OUTSIDE)
    const tagged = `${plain.slice(0, 24)}8100000a${plain.slice(24)}`
    expect(arrived(made, tagged, plain)).toEqual(['a', 'c'])
    expect(arrived(made, frameOf(BROADCAST, OUTSIDE))).toEqual(['b'])
    made.do('setRepresentor', { switch: 'vs0', port: 'vs0-vf0' })
    expect(portOf(made, 'vs0-vf0').vlan).toBe('access 1')
  })

  it('a limit of a port holds for what its function sends', () => {
    const made = world()
    made.do('setRepresentor', {
      switch: 'vs0',
      port: 'vs0-vf0',
      limit: { bitsPerSecond: 1, burst: 150 },
    })
    expect(sent(made, 'a', frameOf(BROADCAST, A)).guests).toEqual(['b', 'c'])
    expect(sent(made, 'a', frameOf(BROADCAST, A)).guests).toEqual([])
    expect(portOf(made, 'vs0-vf0').droppedIn).toEqual({ ingressLimit: 1 })
  })

  it('the journey of a frame names the ports that it passed', () => {
    const made = world()
    sent(made, 'b', frameOf(BROADCAST, B))
    const { steps, received } = made.do('traceFrame', { vm: 'a', data: frameOf(B, A) })
    expect(received).toEqual([{ vm: 'b', slot: 1, intact: true }])
    const text = JSON.stringify(steps)
    const places = ['fromFunction', 'forwarded', 'toFunction'].map(step => text.indexOf(step))
    expect(places.every(place => place >= 0)).toBe(true)
    expect(places).toEqual([...places].sort((a, b) => a - b))
  })

  it('the source of a frame is its function, whoever it says it is', () => {
    const made = world()
    sent(made, 'b', frameOf(BROADCAST, B))
    // Spoofed frames are dropped by the adapter before the host hears of them.
    made.do('setVf', { function: PF, vf: 0, spoofCheck: true })
    expect(sent(made, 'a', frameOf(B, C)).guests).toEqual([])
    expect(portOf(made, 'vs0-vf0').framesIn).toBe(0)
    made.do('setVf', { function: PF, vf: 0, spoofCheck: false })
    expect(sent(made, 'a', frameOf(B, C)).guests).toEqual(['b'])
    expect(portOf(made, 'vs0-vf0').framesIn).toBe(1)
  })

  it('ports go with their functions', () => {
    const made = world()
    for (const vm of ['a', 'b', 'c']) made.do('removeNetworkDevice', { vm, slot: 1 })
    made.do('setNumVfs', { function: PF, numVfs: 0 })
    expect(ports(made).map(({ name }) => name)).toEqual(['vs0-uplink'])
    made.do('setNumVfs', { function: PF, numVfs: 1 })
    expect(ports(made).map(({ name }) => name)).toEqual(['vs0-uplink', 'vs0-vf0'])
  })
})

describe('legacy mode', () => {
  it('is how an adapter begins, and works as before after switchdev', () => {
    const before = world('legacy')
    const after = world()
    after.do('setEswitch', { function: PF, mode: 'legacy' })
    for (const made of [before, after]) {
      expect(made.do('nic', { function: PF }).eswitch).toBe('legacy')
      expect(ports(made).map(({ name }) => name)).toEqual(['vs0-uplink'])
      expect(sent(made, 'a', frameOf(B, A))).toEqual({ guests: ['b'], wire: false })
      expect(sent(made, 'a', frameOf(OUTSIDE, A)).wire).toBe(true)
      expect(arrived(made, frameOf(C, OUTSIDE))).toEqual(['c'])
    }
    expect(portOf(before, 'vs0-uplink').framesIn).toBe(portOf(after, 'vs0-uplink').framesIn)
  })
})

function refusal(action: () => unknown): NorthbridgeError {
  try {
    action()
  } catch (error) {
    if (error instanceof NorthbridgeError) return error
    throw error
  }
  throw new Error('was not refused')
}

describe('what is refused', () => {
  it.each(CHIPS)('both modes on an %s, as Linux does', chip => {
    const made = NetworkWorld.create(serverWith(chip))
    for (const mode of ['legacy', 'switchdev'] as const) {
      const error = refusal(() => made.do('setEswitch', { function: PF, mode }))
      expect([error.code, error.details]).toMatchObject(['unsupported', { errno: 'EOPNOTSUPP' }])
    }
    expect(made.do('nic', { function: PF }).eswitch).toBe('legacy')
  })

  it('what would be sorted by the adapter, or tagged by it', () => {
    const made = world()
    made.createVm('d')
    const sorted = { vm: 'd', model: 'vmdq', mac: '02:00:00:00:00:0d', function: PF } as const
    expect(refusal(() => made.do('addNetworkDevice', sorted)).code).toBe('unsupported')
    expect(refusal(() => made.do('setVf', { function: PF, vf: 0, vlan: 5 })).code).toBe('unsupported')
    made.do('setEswitch', { function: PF, mode: 'legacy' })
    made.do('addNetworkDevice', sorted)
    expect(refusal(() => made.do('setEswitch', { function: PF, mode: 'switchdev' })).code).toBe(
      'functionInUse',
    )
    made.do('removeNetworkDevice', { vm: 'd', slot: 1 })
    made.do('setVf', { function: PF, vf: 0, vlan: 5 })
    expect(refusal(() => made.do('setEswitch', { function: PF, mode: 'switchdev' })).code).toBe('unsupported')
  })

  it('rules for a port that is no representor', () => {
    const error = refusal(() => world().do('setRepresentor', { switch: 'vs0', port: 'vs0-uplink', vlan: 3 }))
    expect(error.code).toBe('invalidArgument')
  })
})

describe('a saved platform', () => {
  const future: readonly Step[] = [
    ['A to B', made => sent(made, 'a', frameOf(B, A))],
    ['A to all', made => sent(made, 'a', frameOf(BROADCAST, A))],
    ['the wire to C', made => arrived(made, frameOf(C, OUTSIDE))],
    ['the switch', made => made.do('switch', { switch: 'vs0' })],
    ['other rules', made => made.do('setRepresentor', { switch: 'vs0', port: 'vs0-vf1', vlan: 20 })],
    ['C to B', made => sent(made, 'c', frameOf(B, C))],
    ['legacy', made => made.do('setEswitch', { function: PF, mode: 'legacy' })],
    ['A to B by the adapter', made => sent(made, 'a', frameOf(B, A))],
    ['the adapter', made => made.do('nic', { function: PF })],
  ]

  it('goes on in switchdev mode exactly as it would have', () => {
    const made = world()
    made.do('setRepresentor', { switch: 'vs0', port: 'vs0-vf0', limit: { bitsPerSecond: 9000, burst: 900 } })
    sent(made, 'b', frameOf(BROADCAST, B))
    const saved = structuredClone(made.platform.save())
    const restored = NetworkWorld.restore(saved, TOPOLOGY)
    expect(restored.platform.stateHash()).toBe(made.platform.stateHash())
    expect(follow(restored, future)).toEqual(follow(made, future))
  })
})
