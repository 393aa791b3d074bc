/** The host's driver of an 82576 against the register model, and the virtual functions' drivers against it. */
import { beforeEach, describe, expect, it } from 'vitest'
import { Engine, type Software } from '../../../src/engine/index.ts'
import { GuestKernel } from '../../../src/guest/index.ts'
import { type NetworkAdapter, openAdapter } from '../../../src/host/index.ts'
import { Frame } from '../../../src/net/index.ts'
import { parseTopology } from '../../../src/platform/index.ts'
import { SimulatedPlatform } from '../../../src/system/index.ts'

const PF = '0000:01:00.0'
const VF_MAC = Uint8Array.of(2, 0, 0, 0, 0, 0xa0)
const OTHER = Uint8Array.of(2, 0, 0, 0, 0, 9)
/** Messages and information as Linux's mailbox headers have them. */
const SET_MAC = 2
const SET_MULTICAST = 3
const SET_VLAN = 4
const SET_LPE = 5
const SET_PROMISC = 6
const INFO = 16

const topology = parseTopology({
  name: 'one-port',
  iommu: { kind: 'intel-vtd', units: [{ id: 'dmar0', includeAll: true }] },
  hostBridges: [
    { devices: [{ at: '01.0', model: 'root-port', devices: [{ at: '00.0', model: 'intel-82576' }] }] },
  ],
})

let platform: SimulatedPlatform
let adapter: NetworkAdapter
const run = <Result>(software: Software<Result>): Result => platform.engine.run(software)

const frameOf = (to: Uint8Array, from: Uint8Array, length = 64): Frame => {
  const bytes = new Uint8Array(length).map((_, i) => i)
  bytes.set(to)
  bytes.set(from, 6)
  bytes.set([0x88, 0xb5], 12)
  return Frame.of(bytes)
}

const wire = () => platform.hardware.network.portOf(platform.functionAt(PF))
const settle = () => run(platform.hypervisor.settle())

beforeEach(() => {
  platform = new Engine().run(SimulatedPlatform.create(topology, { id: 'p', name: 'p' }))
  adapter = run(openAdapter(platform.host.device(PF), platform.engine))
})

describe('probe and open', () => {
  it('finds an address, a gigabit link and message interrupts', () => {
    expect([...adapter.mac.subarray(0, 3)]).toEqual([0x00, 0x1b, 0x21])
    expect([adapter.carrier, adapter.speedMbps, adapter.driver]).toEqual([true, 1000, 'igb'])
  })

  it('waits as long as the resets take: time passes', () => {
    expect(platform.engine.now).toBeGreaterThanOrEqual(10e6)
  })

  it('hears its own address and broadcast, others only when it is promiscuous', () => {
    const heard: number[] = []
    adapter.receiver = frame => heard.push(frame.length)
    const send = (to: Uint8Array) => {
      wire().partner.send(frameOf(to, OTHER))
      settle()
      return heard.length
    }
    expect(send(adapter.mac)).toBe(1)
    expect(send(new Uint8Array(6).fill(255))).toBe(2)
    const group = Uint8Array.of(1, 0, 0x5e, 0, 0, 1)
    expect(send(group)).toBe(2)
    adapter.setPromiscuous(true)
    expect(send(group)).toBe(3)
    expect(send(OTHER)).toBe(4)
    adapter.setPromiscuous(false)
    expect(send(group)).toBe(4)
  })

  it('sends and receives byte for byte, past the end of its rings', () => {
    const inward: Uint8Array[] = []
    const outward: Uint8Array[] = []
    adapter.receiver = frame => inward.push(frame.toBytes())
    wire().partner.listener = frame => outward.push(frame.toBytes())
    for (let i = 0; i < 150; i++) {
      const frame = frameOf(adapter.mac, OTHER, 60 + i * 9)
      wire().partner.send(frame)
      settle()
      const answer = frameOf(OTHER, adapter.mac, 60 + i * 9)
      expect(adapter.send(answer)).toBe(true)
      settle()
      expect(Buffer.compare(inward[i]!, frame.bytes)).toBe(0)
      expect(Buffer.compare(outward[i]!, answer.bytes)).toBe(0)
    }
    expect(adapter.counters).toMatchObject({ sent: 150, received: 150, refused: 0 })
  })

  it('tells of a link that goes and comes, and sends nothing without', () => {
    let changes = 0
    adapter.linkChanged = () => changes++
    wire().port.wire!.plugged = false
    settle()
    expect([changes, adapter.carrier, adapter.send(frameOf(OTHER, adapter.mac))]).toEqual([1, false, false])
    wire().port.wire!.plugged = true
    settle()
    expect([changes, adapter.carrier]).toEqual([2, true])
  })

  it('gives its memory back when it is closed, and can be opened again', () => {
    const before = platform.host.buffers(PF).length
    expect(before).toBeGreaterThan(0)
    run(adapter.close())
    expect(platform.host.buffers(PF)).toEqual([])
    adapter = run(openAdapter(platform.host.device(PF), platform.engine))
    expect(platform.host.buffers(PF).length).toBe(before)
  })

  it('is refused to a function without such a driver', () => {
    run(platform.host.bind(PF, null))
    expect(() => platform.host.device(PF)).toThrow('no driver of the host has')
  })
})

describe('pools of virtual machines', () => {
  it('sorts frames by address and VLAN, and has seven of them', () => {
    const pools = Array.from({ length: 7 }, (_, i) => run(adapter.openPool(Uint8Array.of(2, 0, 0, 0, 1, i))))
    expect(pools.map(({ pool }) => pool)).toEqual([1, 2, 3, 4, 5, 6, 7])
    expect(() => run(adapter.openPool(Uint8Array.of(2, 0, 0, 0, 1, 7)))).toThrow('has no pool left')
    const heard: number[] = []
    for (const pool of pools) pool.receiver = () => heard.push(pool.pool)
    for (let i = 6; i >= 0; i--) wire().partner.send(frameOf(Uint8Array.of(2, 0, 0, 0, 1, i), OTHER))
    settle()
    expect(heard.sort()).toEqual([1, 2, 3, 4, 5, 6, 7])
    run(adapter.closePool(pools[3]!))
    heard.length = 0
    wire().partner.send(frameOf(Uint8Array.of(2, 0, 0, 0, 1, 3), OTHER))
    settle()
    expect(heard).toEqual([])
  })
})

describe('the mailbox', () => {
  interface VfDriver {
    readonly mac: Uint8Array
    request(message: readonly number[]): Software<boolean>
    addVlan(vlan: number): Software<boolean>
  }

  /** A guest with virtual function 0; `mac`: what it would take if it were given none. */
  function guest(mac?: Uint8Array): VfDriver {
    run(platform.host.setNumVfs(PF, 2))
    run(platform.hypervisor.createVm({ name: 'a', vcpus: 1, memoryMiB: 16 }))
    run(platform.hypervisor.attach('a', platform.host.find(PF).virtualFunctions[0]!))
    if (mac === undefined) adapter.configureVirtualFunction(0, { mac: VF_MAC })
    const options = mac === undefined ? {} : { mac }
    return inGuest(kernel => kernel.open(1, options)) as unknown as VfDriver
  }

  const inGuest = <Result>(code: (kernel: GuestKernel) => Software<Result>): Result =>
    run(
      platform.hypervisor.runGuest('a', 0, software => {
        if (!(software instanceof GuestKernel)) throw new Error('a guest runs its kernel')
        return code(software)
      }),
    ).result
  const ask = (driver: VfDriver, ...message: number[]): boolean => inGuest(() => driver.request(message))
  const words = (mac: Uint8Array): [number, number] => {
    const view = new DataView(Uint8Array.from([...mac, 0, 0]).buffer)
    return [view.getUint32(0, true), view.getUint32(4, true)]
  }

  it('gives a virtual function the address that the administrator chose', () => {
    expect([...guest().mac]).toEqual([...VF_MAC])
    expect(adapter.virtualFunctions[0]).toMatchObject({ clearToSend: true, inUse: VF_MAC })
  })

  it('lets one without take its own, which it then owns', () => {
    const mac = Uint8Array.of(2, 0, 0, 0, 0, 0x77)
    expect([...guest(mac).mac]).toEqual([...mac])
    expect(adapter.virtualFunctions[0]!.inUse).toEqual(mac)
  })

  it('keeps the administrator’s address unless the virtual function is trusted', () => {
    const driver = guest()
    const other = Uint8Array.of(2, 0, 0, 0, 0, 0x55)
    expect(ask(driver, SET_MAC, ...words(other))).toBe(false)
    expect(ask(driver, SET_MAC, ...words(VF_MAC))).toBe(true)
    adapter.configureVirtualFunction(0, { trusted: true })
    expect(ask(driver, SET_MAC, ...words(Uint8Array.of(1, 0, 0, 0, 0, 1)))).toBe(false)
    expect(ask(driver, SET_MAC, ...words(other))).toBe(true)
    expect(adapter.virtualFunctions[0]!.inUse).toEqual(other)
  })

  it('adds and clears further addresses', () => {
    const driver = guest()
    adapter.configureVirtualFunction(0, { trusted: true })
    const further = Uint8Array.of(2, 0, 0, 0, 0, 0x66)
    expect(ask(driver, SET_MAC | (2 << INFO), ...words(further))).toBe(true)
    const reaches = () => {
      const before = platform.hypervisor.lookAtGuest('a', 0, kernel => received(kernel))
      wire().partner.send(frameOf(further, OTHER))
      settle()
      return platform.hypervisor.lookAtGuest('a', 0, kernel => received(kernel)) - before
    }
    expect(reaches()).toBe(1)
    expect(ask(driver, SET_MAC | (1 << INFO))).toBe(true)
    expect(reaches()).toBe(0)
  })

  it('grants VLANs until a port VLAN is set', () => {
    const driver = guest()
    expect(inGuest(() => driver.addVlan(100))).toBe(true)
    expect(adapter.virtualFunctions[0]!.vlans).toEqual([100])
    expect(ask(driver, SET_VLAN, 100)).toBe(true)
    expect(adapter.virtualFunctions[0]!.vlans).toEqual([])
    adapter.configureVirtualFunction(0, { vlan: 30 })
    expect(inGuest(() => driver.addVlan(101))).toBe(false)
    expect(adapter.virtualFunctions[0]!.vlans).toEqual([30])
  })

  it('takes multicast hashes, and promiscuity for groups; for everything only from the trusted', () => {
    const driver = guest()
    expect(ask(driver, SET_MULTICAST | (2 << INFO), 0x0456_0123)).toBe(true)
    expect(adapter.virtualFunctions[0]).toMatchObject({ multicastHashes: 2, promiscuous: 'none' })
    expect(ask(driver, SET_PROMISC | (2 << INFO))).toBe(true)
    expect(adapter.virtualFunctions[0]!.promiscuous).toBe('multicast')
    expect(ask(driver, SET_PROMISC | (1 << INFO))).toBe(false)
    adapter.configureVirtualFunction(0, { trusted: true })
    expect(ask(driver, SET_PROMISC | (1 << INFO))).toBe(true)
    expect(adapter.virtualFunctions[0]!.promiscuous).toBe('unicast')
  })

  it.each([
    ['frames beyond the standard size', [SET_LPE, 9000]],
    ['a message that nobody knows', [0x7f]],
    ['VLAN 0', [SET_VLAN | (1 << INFO), 0]],
  ])('refuses %s', (_what, message) => {
    expect(ask(guest(), ...message)).toBe(false)
  })

  it('forgets what a virtual function asked for when it is reset', () => {
    const driver = guest()
    inGuest(() => driver.addVlan(100))
    ask(driver, SET_MULTICAST | (1 << INFO), 0x123)
    run(platform.hypervisor.detach('a', platform.host.find(PF).virtualFunctions[0]!))
    expect(adapter.virtualFunctions[0]).toMatchObject({
      clearToSend: false,
      vlans: [],
      multicastHashes: 0,
      mac: VF_MAC,
    })
  })

  it('limits what a virtual function sends to a share of the line', () => {
    guest()
    adapter.configureVirtualFunction(0, { maximumRate: 250 })
    const model = platform.functionAt(PF).modelMade as unknown as {
      inspect(): { pools: { rateLimitMbps: number | null }[] }
    }
    expect(model.inspect().pools[0]!.rateLimitMbps).toBe(250)
    expect(() => adapter.configureVirtualFunction(0, { maximumRate: 1001 })).toThrow('1000 Mb/s at most')
    expect(() => adapter.configureVirtualFunction(7, { vlan: 1 })).toThrow('no virtual function 7')
  })

  const received = (kernel: unknown): number => {
    const driver = kernel instanceof GuestKernel ? kernel.driver(1) : undefined
    return (driver as unknown as { counters: { received: number } }).counters.received
  }
})
