/** The host's drivers of network controllers, igb and ixgbe, against the register models. */
import { beforeEach, describe, expect, it } from 'vitest'
import { restoreAdapter } from '../../../src/host/index.ts'
import type { Frame } from '../../../src/net/index.ts'
import { AdapterRig, BROADCAST, frameOf, OTHER, PF } from './adapter-rig.ts'

describe.each([
  { model: 'intel-82576', driver: 'igb', speed: 1000, pools: 7, resetTime: 10e6 },
  { model: 'intel-82599', driver: 'ixgbe', speed: 10_000, pools: 63, resetTime: 50e6 },
] as const)('$driver', ({ model, driver, speed, pools, resetTime }) => {
  let rig: AdapterRig
  beforeEach(() => {
    rig = new AdapterRig(model)
  })
  const group = Uint8Array.of(1, 0, 0x5e, 0, 0, 1)

  describe('probe and open', () => {
    it('finds an address, a link and message interrupts', () => {
      const { adapter } = rig
      expect([...adapter.mac.subarray(0, 3)]).toEqual([0x00, 0x1b, 0x21])
      expect([adapter.carrier, adapter.speedMbps, adapter.driver]).toEqual([true, speed, driver])
    })

    it('waits as long as the resets take: time passes', () => {
      expect(rig.platform.engine.now).toBeGreaterThanOrEqual(resetTime)
    })

    it('hears its own address and broadcast, others only when it is promiscuous', () => {
      const { adapter } = rig
      const heard: number[] = []
      adapter.receiver = frame => heard.push(frame.length)
      const send = (to: Uint8Array) => {
        rig.arrives(frameOf(to, OTHER))
        return heard.length
      }
      expect(send(adapter.mac)).toBe(1)
      expect(send(BROADCAST)).toBe(2)
      expect(send(group)).toBe(2)
      adapter.setPromiscuous(true)
      expect(send(group)).toBe(3)
      expect(send(OTHER)).toBe(4)
      adapter.setPromiscuous(false)
      expect(send(group)).toBe(4)
    })

    it('sends and receives byte for byte, past the end of its rings', () => {
      const { adapter } = rig
      const inward: Uint8Array[] = []
      const outward: Uint8Array[] = []
      adapter.receiver = frame => inward.push(frame.toBytes())
      rig.wire.partner.listener = frame => outward.push(frame.toBytes())
      for (let i = 0; i < 150; i++) {
        const frame = frameOf(adapter.mac, OTHER, 60 + i * 9)
        rig.arrives(frame)
        const answer = frameOf(OTHER, adapter.mac, 60 + i * 9)
        expect(adapter.send(answer)).toBe(true)
        rig.settle()
        expect(Buffer.compare(inward[i]!, frame.bytes)).toBe(0)
        expect(Buffer.compare(outward[i]!, answer.bytes)).toBe(0)
      }
      expect(adapter.counters).toMatchObject({ sent: 150, received: 150, refused: 0 })
    })

    it('tells of a link that goes and comes, and sends nothing without', () => {
      const { adapter } = rig
      let changes = 0
      adapter.linkChanged = () => changes++
      rig.wire.port.wire!.plugged = false
      rig.settle()
      expect([changes, adapter.carrier, adapter.send(frameOf(OTHER, adapter.mac))]).toEqual([1, false, false])
      rig.wire.port.wire!.plugged = true
      rig.settle()
      expect([changes, adapter.carrier]).toEqual([2, true])
    })

    it('gives its memory back when it is closed, and can be opened again', () => {
      const { host } = rig.platform
      const before = host.buffers(PF).length
      expect(before).toBeGreaterThan(0)
      rig.run(rig.adapter.close())
      expect(host.buffers(PF)).toEqual([])
      rig.open()
      expect(host.buffers(PF).length).toBe(before)
    })

    it('is refused to a function without such a driver', () => {
      rig.run(rig.platform.host.bind(PF, null))
      expect(() => rig.platform.host.device(PF)).toThrow('no driver of the host has')
    })
  })

  describe('pools of virtual machines', () => {
    const macOf = (i: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, 1, i)

    it(`sorts frames by address and VLAN, and has ${pools} of them`, () => {
      const { adapter } = rig
      const opened = Array.from({ length: pools }, (_, i) => rig.run(adapter.openPool(macOf(i))))
      expect(opened.map(({ pool }) => pool)).toEqual(opened.map((_, i) => i + 1))
      expect(() => rig.run(adapter.openPool(macOf(pools)))).toThrow('has no pool left')
      const heard: number[] = []
      for (const pool of opened) pool.receiver = () => heard.push(pool.pool)
      for (let i = pools - 1; i >= 0; i--) rig.arrives(frameOf(macOf(i), OTHER))
      expect(heard).toEqual(opened.map(({ pool }) => pool).reverse())
      rig.run(adapter.closePool(opened[3]!))
      heard.length = 0
      rig.arrives(frameOf(macOf(3), OTHER))
      expect(heard).toEqual([])
    })

    it('moves them up when virtual functions are enabled, and closes those that are left without', () => {
      const { adapter } = rig
      const opened = [0, 1, 2].map(i => rig.run(adapter.openPool(macOf(i))))
      const heard: string[] = []
      adapter.receiver = () => heard.push('host')
      for (const [i, pool] of opened.entries()) pool.receiver = () => heard.push(`pool of ${i}`)
      rig.virtualFunction(0, pools - 2)
      expect(opened.map(({ pool }) => pool)).toEqual([pools - 1, pools, -1])
      for (const to of [adapter.mac, macOf(0), macOf(1)]) rig.arrives(frameOf(to, OTHER))
      expect(heard).toEqual(['host', 'pool of 0', 'pool of 1'])
      expect(opened[2]!.send(frameOf(OTHER, macOf(2)))).toBe(false)
    })
  })

  describe('VLANs', () => {
    const macOf = (i: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, 1, i)
    const tagged = (to: Uint8Array, tag: number): Frame => {
      const frame = frameOf(to, OTHER)
      frame.bytes.set([0x81, 0x00, tag >>> 8, tag & 0xff], 12)
      return frame
    }
    let heard: string[]
    beforeEach(() => {
      heard = []
      rig.adapter.receiver = () => heard.push('host')
    })
    const arrives = (frame: Frame): string[] => {
      heard = []
      rig.arrives(frame)
      return heard.sort()
    }

    it('are heard by their members only, and untagged frames and priorities by the others', () => {
      const { adapter } = rig
      const [plain, member] = [0, 20].map((vlan, i) => rig.run(adapter.openPool(macOf(i), vlan)))
      plain!.receiver = () => heard.push('plain')
      member!.receiver = () => heard.push('member')
      expect(arrives(frameOf(macOf(0), OTHER))).toEqual(['plain'])
      expect(arrives(tagged(macOf(0), 0x6000))).toEqual(['plain'])
      // A single address that nobody may hear in this VLAN falls to the default pool.
      expect(arrives(tagged(macOf(0), 20))).toEqual(['host'])
      expect(arrives(tagged(macOf(1), 20))).toEqual(['member'])
      expect(arrives(tagged(macOf(1), 21))).toEqual([])
      expect(arrives(tagged(BROADCAST, 20))).toEqual(['member'])
      expect(arrives(frameOf(BROADCAST, OTHER))).toEqual(['host', 'plain'])
    })

    it('reach a host that is promiscuous, and with their groups where it said so', () => {
      const { adapter } = rig
      rig.run(adapter.openPool(macOf(0), 20))
      expect(arrives(tagged(adapter.mac, 30))).toEqual([])
      adapter.setPromiscuous(true)
      expect(arrives(tagged(OTHER, 20))).toEqual(['host'])
      expect(arrives(tagged(OTHER, 30))).toEqual(['host'])
      expect(arrives(tagged(BROADCAST, 30))).toEqual([])
      expect(adapter.hearVlan(30, true)).toBe(true)
      expect(arrives(tagged(BROADCAST, 30))).toEqual(['host'])
      // What is heard is heard again after the port was set up anew.
      rig.virtualFunction(0, 1)
      expect(arrives(tagged(BROADCAST, 30))).toEqual(['host'])
      adapter.setPromiscuous(false)
      expect(arrives(tagged(adapter.mac, 30))).toEqual(['host'])
      expect(arrives(tagged(adapter.mac, 31))).toEqual([])
      adapter.hearVlan(30, false)
      expect(arrives(tagged(adapter.mac, 30))).toEqual([])
    })

    it(`are as many as there are filters`, () => {
      const { adapter } = rig
      let last = 0
      for (let vlan = 1; adapter.hearVlan(vlan, true); vlan++) last = vlan
      // VLAN 0 has one.
      expect(last).toBe(model === 'intel-82576' ? 31 : 63)
      expect(() => rig.run(adapter.openPool(macOf(0), 4000))).toThrow('has no VLAN filter left')
      expect(rig.run(adapter.openPool(macOf(0), 5)).pool).toBe(1)
    })
  })

  it('is saved and restored: the same state, and the same frames afterwards', () => {
    const { adapter, platform } = rig
    const pool = rig.run(adapter.openPool(Uint8Array.of(2, 0, 0, 0, 1, 0), 7))
    rig.virtualFunction(0, 2)
    adapter.configureVirtualFunction(1, { mac: Uint8Array.of(2, 0, 0, 0, 2, 1), vlan: 9, trusted: true })
    adapter.setPromiscuous(true)
    rig.arrives(frameOf(adapter.mac, OTHER))
    const saved = adapter.save()
    const restored = restoreAdapter(platform.host.device(PF), platform.engine, structuredClone(saved))
    expect(restored.save()).toEqual(saved)
    expect(restored.virtualFunctions).toEqual(adapter.virtualFunctions)
    const heard: string[] = []
    adapter.receiver = () => heard.push('the one before')
    restored.receiver = () => heard.push('host')
    restored.pool(pool.pool)!.receiver = () => heard.push('pool')
    rig.arrives(frameOf(restored.mac, OTHER))
    const tagged = frameOf(Uint8Array.of(2, 0, 0, 0, 1, 0), OTHER)
    tagged.bytes.set([0x81, 0x00, 0, 7], 12)
    rig.arrives(tagged)
    expect(heard).toEqual(['host', 'pool'])
    expect(restored.counters.received).toBe(adapter.counters.received + 1)
  })
})
