/** igb's mailbox: what virtual functions of an 82576 ask for, and get. */
import { beforeEach, describe, expect, it } from 'vitest'
import type { Software } from '../../../src/engine/index.ts'
import { GuestKernel } from '../../../src/guest/index.ts'
import type { NetworkAdapter } from '../../../src/host/index.ts'
import type { SimulatedPlatform } from '../../../src/system/index.ts'
import { AdapterRig, frameOf, OTHER, PF } from './adapter-rig.ts'

const VF_MAC = Uint8Array.of(2, 0, 0, 0, 0, 0xa0)
/** Messages and information as Linux's mailbox headers have them. */
const SET_MAC = 2
const SET_MULTICAST = 3
const SET_VLAN = 4
const SET_LPE = 5
const SET_PROMISC = 6
const INFO = 16

let rig: AdapterRig
let platform: SimulatedPlatform
let adapter: NetworkAdapter
const run = <Result>(software: Software<Result>): Result => rig.run(software)

beforeEach(() => {
  rig = new AdapterRig('intel-82576')
  ;({ platform, adapter } = rig)
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
      rig.arrives(frameOf(further, OTHER))
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
    // VLAN 0, frames with a priority only, can be joined and is never left.
    expect(ask(driver, SET_VLAN | (1 << INFO), 0)).toBe(true)
    expect(ask(driver, SET_VLAN, 0)).toBe(true)
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
