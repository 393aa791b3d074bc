/**
 * Virtual functions on one port, 82576 and 82599 alike: who gets which frame over the wire and over the switch inside, and
 * that every frame is accounted for, whatever filters and rings are like.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { NicEvent } from '../../src/devices/nic/common/nic-model.ts'
import type { PcieFunction } from '../../src/pcie/index.ts'
import { frame, mac, NicRig, TestReceiveQueue, TestTransmitQueue } from './nic-rig.ts'

const BROADCAST = [255, 255, 255, 255, 255, 255]
const GROUP = [0x33, 0x33, 0, 0, 0x12, 0x34]
const VFS = 3
/** The physical function's pool comes behind those of the virtual ones. */
const PF_POOL = VFS

/** How a chip's registers are set for a purpose. */
interface Chip {
  readonly sheet: string
  readonly vfRx: number
  readonly vfTx: number
  readonly srrctl: number
  readonly pfRx: number
  readonly pfTx: number
  readonly oneBuffer: number
  start(rig: NicRig): void
  address(rig: NicRig, entry: number, of: readonly number[], pools: number): void
  vlan(rig: NicRig, entry: number, id: number, pools: number): void
  accept(rig: NicRig, pool: number, modes: Modes): void
  spoofChecks(rig: NicRig, macPools: number, vlanPools: number): void
  enabled(rig: NicRig, receive: number): void
  portVlan(rig: NicRig, pool: number, id: number): void
}
interface Modes {
  readonly broadcast: boolean
  readonly hash: boolean
  readonly untagged: boolean
}

const low = (of: readonly number[]): number => of[0]! | (of[1]! << 8) | (of[2]! << 16) | (of[3]! << 24)
const high = (of: readonly number[]): number => of[4]! | (of[5]! << 8)
const modeBits = ({ broadcast, hash, untagged }: Modes): number =>
  (Number(broadcast) << 27) | (Number(hash) << 25) | (Number(untagged) << 24)
/** MTA bit of {@link GROUP}. */
const GROUP_HASH = (0x3412 >> 4) & 0xfff

const I82576: Chip = {
  sheet: 'intel-82576',
  vfRx: 0x2800,
  vfTx: 0x3800,
  srrctl: 0x0c,
  pfRx: 0xc000 + PF_POOL * 0x40,
  pfTx: 0xe000 + PF_POOL * 0x40,
  oneBuffer: 0x8200_0002,
  start(rig) {
    rig.write(0x5818, 3)
    rig.write(0x581c, 0x4000_0000 | (PF_POOL << 7))
    rig.write(0x3500, 0x8000_0000)
    rig.write(0x5200 + (GROUP_HASH >>> 5) * 4, 1 << (GROUP_HASH & 31))
    for (let i = 0; i < 128; i++) rig.write(0x5600 + i * 4, 0xffff_ffff)
    rig.write(0x5404, 0)
    rig.write(0x100, 0x2 | (1 << 18) | (1 << 26))
    rig.write(0x400, 0xa)
  },
  address(rig, entry, of, pools) {
    rig.write(0x5400 + entry * 8, low(of))
    rig.write(0x5404 + entry * 8, 0x8000_0000 | (pools << 18) | high(of))
  },
  vlan: (rig, entry, id, pools) => rig.write(0x5d00 + entry * 4, 0x8000_0000 | (pools << 12) | id),
  accept: (rig, pool, modes) => rig.write(0x5ad0 + pool * 4, 0x8000_0000 | modeBits(modes)),
  spoofChecks: (rig, macPools, vlanPools) => rig.write(0x3500, 0x8000_0000 | (vlanPools << 8) | macPools),
  enabled: (rig, receive) => rig.write(0xc8c, receive),
  portVlan: (rig, pool, id) => rig.write(0x3700 + pool * 4, 0x4000_0000 | id),
}
const I82599: Chip = {
  sheet: 'intel-82599',
  vfRx: 0x1000,
  vfTx: 0x2000,
  srrctl: 0x14,
  pfRx: 0x1000 + PF_POOL * 0x80,
  pfTx: 0x6000 + PF_POOL * 0x80,
  oneBuffer: 0x1200_0002,
  start(rig) {
    rig.write(0x5818, 8)
    rig.write(0x51b0, 0x4000_0001 | (PF_POOL << 7))
    rig.write(0x8220, 1)
    rig.write(0x5090, 4)
    rig.write(0x5200 + (GROUP_HASH >>> 5) * 4, 1 << (GROUP_HASH & 31))
    for (let i = 0; i < 128; i++) rig.write(0xa000 + i * 4, 0xffff_ffff)
    rig.write(0x5404, 0)
    rig.write(0x5088, 0x4000_8100)
    rig.write(0x8110, 0xffff_ffff)
    rig.write(0x3000, 1)
    rig.write(0x4a80, 0x8100_0001)
  },
  address(rig, entry, of, pools) {
    rig.write(0xa200 + entry * 8, low(of))
    rig.write(0xa204 + entry * 8, 0x8000_0000 | high(of))
    rig.write(0xa600 + entry * 8, pools)
    rig.write(0xa604 + entry * 8, 0)
  },
  vlan(rig, entry, id, pools) {
    rig.write(0xf100 + entry * 4, 0x8000_0000 | id)
    rig.write(0xf200 + entry * 8, pools)
  },
  accept: (rig, pool, modes) => rig.write(0xf000 + pool * 4, modeBits(modes)),
  spoofChecks: (rig, macPools, vlanPools) => rig.write(0x8200, (vlanPools << 8) | macPools),
  enabled: (rig, receive) => rig.write(0x51e0, receive),
  portVlan: (rig, pool, id) => rig.write(0x8000 + pool * 4, 0x4000_0000 | id),
}

const CHIPS = [I82576, I82599]
/** Below the rings of virtual function 1. */
const UNTOUCHED = Buffer.alloc(0x10_0000)
const OPEN: Modes = { broadcast: true, hash: true, untagged: true }

/** A port with three virtual functions; pool n has the address 02:…:n, and is a member of VLAN 10 + n. */
function machine(chip: Chip, ringSize = 16) {
  const rig = new NicRig(chip.sheet)
  const vfs = rig.enableVfs(VFS)
  chip.start(rig)
  chip.enabled(rig, 0xf)
  const functions: (PcieFunction | undefined)[] = [...vfs, undefined]
  const receive: TestReceiveQueue[] = []
  const transmit: TestTransmitQueue[] = []
  for (const [pool, vf] of functions.entries()) {
    chip.address(rig, pool + 1, mac(pool), 1 << pool)
    chip.vlan(rig, pool, 10 + pool, 1 << pool)
    chip.accept(rig, pool, OPEN)
    const base = (pool + 1) * 0x8_0000
    const place = {
      ring: base,
      buffers: base + 0x1000,
      count: ringSize,
      srrctl: chip.srrctl,
      ...(vf && { fn: vf }),
    }
    receive.push(
      new TestReceiveQueue(rig, { ...place, registers: vf ? chip.vfRx : chip.pfRx }, chip.oneBuffer),
    )
    const sendPlace = { ...place, ring: base + 0x4_0000, buffers: base + 0x4_1000 }
    transmit.push(new TestTransmitQueue(rig, { ...sendPlace, registers: vf ? chip.vfTx : chip.pfTx }))
  }
  const got = (): number[] => receive.flatMap((queue, pool) => queue.take().map(() => pool))
  const post = (): void => {
    for (const queue of receive) queue.post(ringSize - 1)
  }
  return { rig, vfs, receive, transmit, got, post }
}

describe.each(CHIPS)('$sheet', chip => {
  it('sorts by address, copies broadcast and group frames, gives the rest to the default pool', () => {
    const { rig, got, post } = machine(chip)
    post()
    const results = [mac(0), mac(2), BROADCAST, GROUP, [3, 3, 3, 3, 3, 3], mac(99)].map(to => {
      rig.arrive(frame(to, mac(50)))
      return got()
    })
    expect(results).toEqual([[0], [2], [0, 1, 2, 3], [0, 1, 2, 3], [], [PF_POOL]])
  })

  it('lets only members of its VLAN see a tagged frame, and only those who want it an untagged one', () => {
    const { rig, got, post } = machine(chip)
    post()
    chip.accept(rig, 0, { ...OPEN, untagged: false })
    chip.accept(rig, PF_POOL, { ...OPEN, untagged: false })
    const results = [
      frame(BROADCAST, mac(50), 64, 11),
      frame(mac(1), mac(50), 64, 11),
      frame(mac(2), mac(50), 64, 11),
      frame(BROADCAST, mac(50)),
    ].map(bytes => {
      rig.arrive(bytes)
      return got()
    })
    expect(results).toEqual([[1], [1], [PF_POOL], [1, 2]])
  })

  it("switches between virtual functions without the wire, with the function's own requester id", () => {
    const { rig, vfs, transmit, receive, post } = machine(chip)
    post()
    const seen = new Set<number>()
    rig.blocked = requester => {
      seen.add(requester)
      return false
    }
    transmit[0]!.send(frame(mac(1), mac(0)))
    const [arrived] = receive[1]!.take()
    expect(arrived!.bytes).toEqual(frame(mac(1), mac(0)))
    // LB: it came through the switch.
    expect(arrived!.status & (1 << 18)).toBe(1 << 18)
    expect(rig.sent).toEqual([])
    expect([...seen].sort()).toEqual([vfs[0]!.rid, vfs[1]!.rid].sort())
    transmit[0]!.send(frame(BROADCAST, mac(0)))
    expect(receive.map(queue => queue.take().length)).toEqual([0, 1, 1, 1])
    expect(rig.sent).toHaveLength(1)
    transmit[0]!.send(frame(mac(77), mac(0)))
    expect([rig.sent.length, receive.flatMap(queue => queue.take())]).toEqual([2, []])
  })

  it('lets nobody send under an address or in a VLAN that is not his', () => {
    const { rig, transmit, got, post } = machine(chip)
    post()
    chip.spoofChecks(rig, 0x7, 0x7)
    transmit[0]!.send(frame(mac(1), mac(1)))
    transmit[0]!.send(frame(BROADCAST, mac(0), 64, 11))
    expect([rig.sent, got()]).toEqual([[], []])
    expect(rig.nic.inspect().drops).toEqual({ macSpoof: 1, vlanSpoof: 1 })
    transmit[0]!.send(frame(BROADCAST, mac(0), 64, 10))
    transmit[PF_POOL]!.send(frame(mac(1), mac(88)))
    expect([rig.sent.length, got()]).toEqual([1, [1]])
  })

  it('puts the VLAN of the port on what a pool sends, whatever the pool says', () => {
    const { rig, transmit, got, post } = machine(chip)
    post()
    chip.vlan(rig, 5, 300, 0b0011)
    chip.portVlan(rig, 0, 300)
    transmit[0]!.send(frame(mac(1), mac(0)))
    transmit[0]!.send(frame(mac(99), mac(0)))
    expect(got()).toEqual([1])
    expect([...rig.sent[0]!.slice(12, 16)]).toEqual([0x81, 0, 1, 44])
  })

  it('stops the queues of a virtual function that is reset, and leaves the others alone', () => {
    const { rig, vfs, transmit, got, post } = machine(chip)
    post()
    vfs[1]!.functionLevelReset()
    rig.arrive(frame(mac(1), mac(50)))
    rig.arrive(frame(mac(0), mac(50)))
    transmit[1]!.send(frame(mac(0), mac(1)))
    expect([got(), rig.sent]).toEqual([[0], []])
    expect(rig.nic.inspect().drops).toEqual({ poolDisabled: 1 })
    expect(rig.nic.inspect().pools[1]).toMatchObject({ receiveEnabled: false, transmitEnabled: false })
  })

  it('lets nothing run on that a virtual function had set up, when it is disabled and enabled again', () => {
    const { rig, vfs, post } = machine(chip)
    post()
    const [old] = vfs
    const at = rig.pf.layout.findExtended(0x10)
    rig.pf.writeConfig(at + 0x08, 0x8, 0xffff)
    const before = rig.requests
    rig.arrive(frame(mac(0), mac(50)))
    expect(rig.requests).toBe(before)
    expect(old!.region(0).readDword(chip.vfRx)).toBe(0)
    const [anew] = rig.enableVfs(VFS)
    expect([rig.read(chip.vfRx, anew), rig.read(chip.vfRx + 0x28, anew) & 0x0200_0000]).toEqual([0, 0])
  })

  it('accounts for every frame, and gives none to a pool that the filters forbid', () => {
    const modes = fc.record({ broadcast: fc.boolean(), hash: fc.boolean(), untagged: fc.boolean() })
    const destination = fc.constantFrom(mac(0), mac(1), mac(2), mac(3), mac(60), BROADCAST, GROUP)
    const source = fc.constantFrom(mac(0), mac(1), mac(2), mac(61))
    const tag = fc.constantFrom(undefined, undefined, 10, 11, 12, 99)
    const action = fc.oneof(
      fc.record({
        from: fc.constantFrom(-1, -1, 0, 1, 2, 3),
        to: destination,
        source,
        tag,
        length: fc.constantFrom(40, 64, 1514),
      }),
      fc.record({ post: fc.integer({ min: 0, max: 3 }), count: fc.integer({ min: 1, max: 9 }) }),
    )
    const setup = fc.record({
      modes: fc.array(modes, { minLength: 4, maxLength: 4 }),
      members: fc.array(fc.integer({ min: 0, max: 15 }), { minLength: 3, maxLength: 3 }),
      receive: fc.constantFrom(15, 15, 15, 13, 7),
      spoof: fc.integer({ min: 0, max: 15 }),
      ringSize: fc.constantFrom(8, 16),
      mayWait: fc.boolean(),
    })
    let stored = 0
    fc.assert(
      fc.property(setup, fc.array(action, { minLength: 10, maxLength: 40, size: 'max' }), (c, actions) => {
        const m = machine({ ...chip, oneBuffer: c.mayWait ? 0x0200_0002 : chip.oneBuffer }, c.ringSize)
        const { rig } = m
        for (let pool = 0; pool < 4; pool++) chip.accept(rig, pool, c.modes[pool]!)
        for (let entry = 0; entry < 3; entry++) chip.vlan(rig, entry, 10 + entry, c.members[entry]!)
        chip.vlan(rig, 3, 4000, 0)
        chip.enabled(rig, c.receive)
        chip.spoofChecks(rig, c.spoof, c.spoof)
        const events: NicEvent[] = []
        rig.nic.observer = { note: event => events.push(event) }
        const used = [5, 5, 5, 5]
        for (const queue of m.receive) queue.post(5)
        let copies = 0
        let toWire = 0
        for (const what of actions) {
          events.length = 0
          if ('post' in what) {
            // Never more than the ring holds.
            const free = c.ringSize - 1 - used[what.post]!
            const count = Math.min(free, what.count)
            used[what.post]! += count
            m.receive[what.post]!.post(count)
          } else {
            const bytes = frame(what.to, what.source, what.length, what.tag)
            if (what.from < 0) rig.arrive(bytes)
            else m.transmit[what.from]!.send(bytes)
            const chosen = events.find(event => event.step === 'classified')?.pools.length ?? 0
            copies += chosen
            if (chosen === 0 && !events.some(event => event.step === 'toWire')) copies++
            toWire += events.filter(event => event.step === 'toWire').length
          }
          stored += events.filter(event => event.step === 'stored').length
          for (const [pool, queue] of m.receive.entries()) {
            for (const { bytes } of queue.take()) {
              used[pool]!--
              expect(allowed(bytes, pool, c)).toBe(true)
            }
          }
        }
        const { drops, waiting, receive } = rig.nic.inspect()
        const dropped = Object.values(drops).reduce((sum, count) => sum + count, 0)
        const received = receive.reduce((sum, ring) => sum + ring.frames, 0)
        expect(rig.sent.length).toBe(toWire)
        // A frame that waits counts once for each pool that has not got it.
        if (waiting === 0) expect(received + dropped).toBe(copies)
        else expect(received + dropped).toBeLessThan(copies)
      }),
      { numRuns: 40 },
    )
    expect(stored).toBeGreaterThan(60)
  })

  it("does what hostile descriptors say under the function's own name, and nothing else", () => {
    const descriptor = fc.tuple(
      ...([0, 1, 2, 3] as const).map(() => fc.integer({ min: 0, max: 0xffff_ffff })),
    )
    fc.assert(
      fc.property(
        fc.array(descriptor, { minLength: 1, maxLength: 15 }),
        fc.integer({ min: 0, max: 0xffff_ffff }),
        (descriptors, doorbell) => {
          const { rig, vfs, transmit } = machine(chip)
          const seen = new Set<number>()
          rig.blocked = requester => {
            seen.add(requester)
            return false
          }
          for (const words of descriptors)
            transmit[1]!.put(words as unknown as [number, number, number, number])
          transmit[1]!.ring()
          rig.write(chip.vfTx + 0x18, doorbell, vfs[1])
          rig.write(chip.vfRx + 0x18, doorbell, vfs[1])
          // Others may have got what it sent; nobody else fetched for it.
          for (const id of seen) expect([rig.pf, ...vfs].map(fn => fn.rid)).toContain(id)
          expect(Buffer.from(rig.memory.buffer, 0, UNTOUCHED.length).equals(UNTOUCHED)).toBe(true)
        },
      ),
      { numRuns: 30 },
    )
  })
})

/** Whether the filters let a pool have these bytes: said again, simply. */
function allowed(
  bytes: Uint8Array,
  pool: number,
  c: { modes: readonly Modes[]; members: readonly number[]; receive: number },
): boolean {
  const to = [...bytes.subarray(0, 6)].join()
  const tagged = bytes[12] === 0x81 && bytes[13] === 0
  const tag = tagged ? (bytes[14]! << 8) | bytes[15]! : -1
  const group = (bytes[0]! & 1) === 1
  const member = tagged ? ((c.members[tag - 10] ?? 0) >>> pool) & 1 : Number(c.modes[pool]!.untagged)
  if (((c.receive >>> pool) & 1) === 0) return false
  // The default pool gets single addresses that nobody else may have.
  if (!group && pool === PF_POOL) return true
  if (!member) return false
  if (to === BROADCAST.join()) return c.modes[pool]!.broadcast
  return group ? c.modes[pool]!.hash : to === mac(pool).join()
}
