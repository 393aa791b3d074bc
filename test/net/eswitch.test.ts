/** The synthetic e-switch by its registers: whose a frame is, where the host's pool sends it, and what holds meanwhile. */
import { describe, expect, it } from 'vitest'
import { frame, mac, NicRig, TestReceiveQueue, TestTransmitQueue } from './nic-rig.ts'

const VFS = 2
const HOST = VFS
const WIRE = 15
const ESWMODE = 0x1_8000
const VFRE = 0x0c8c
const BROADCAST = [255, 255, 255, 255, 255, 255]
const ONE_BUFFER = 0x0200_0002

/** Pools 0 and 1 are virtual functions', pool 2 is the host's and the default; pool n has the address 02:…:n. */
function machine(sheet = 'synthetic-eswitch') {
  const rig = new NicRig(sheet)
  const vfs = rig.enableVfs(VFS)
  rig.write(0x5818, 3)
  rig.write(0x581c, 0x4000_0000 | (HOST << 7))
  rig.write(0x3500, 0x8000_0000)
  rig.write(0x0100, 0x0000_8002)
  rig.write(0x0400, 0x2)
  rig.write(VFRE, 7)
  const receive: TestReceiveQueue[] = []
  const transmit: TestTransmitQueue[] = []
  for (const [pool, fn] of [...vfs, undefined].entries()) {
    const [low, high] = [mac(pool).slice(0, 4), mac(pool).slice(4)]
    rig.write(0x5408 + pool * 8, Buffer.from(low).readInt32LE())
    rig.write(0x540c + pool * 8, 0x8000_0000 | (1 << (18 + pool)) | Buffer.from(high).readUInt16LE())
    rig.write(0x5ad0 + pool * 4, 0x8b00_0000)
    const ring = (pool + 1) * 0x8_0000
    const place = { ring, buffers: ring + 0x1000, count: 16, ...(fn && { fn }) }
    const queue = new TestReceiveQueue(
      rig,
      { ...place, registers: fn ? 0x2800 : 0xc000 + HOST * 0x40 },
      ONE_BUFFER,
    )
    queue.post(15)
    receive.push(queue)
    const sendPlace = { ...place, ring: ring + 0x4_0000, buffers: ring + 0x4_1000 }
    transmit.push(new TestTransmitQueue(rig, { ...sendPlace, registers: fn ? 0x3800 : 0xe000 + HOST * 0x40 }))
  }
  rig.write(ESWMODE, 1)
  /** Frames by pool, and the sources that their descriptors name. */
  const got = () =>
    receive.map(queue => queue.take().map(({ bytes, info }) => ({ bytes, source: (info >>> 17) & 0xf })))
  const sendTo = (pool: number, bytes: Uint8Array, destination: number) => {
    transmit[pool]!.data(bytes, { options: destination << 10 })
    transmit[pool]!.ring()
  }
  return { rig, transmit, got, sendTo }
}

describe('in switchdev mode', () => {
  it('the host alone gets what the wire sends, to whomever it is', () => {
    const { rig, got } = machine()
    const frames = [mac(0), mac(1), mac(77), BROADCAST, [3, 3, 3, 3, 3, 3]].map(to => frame(to, mac(50)))
    for (const bytes of frames) rig.arrive(bytes)
    expect(got()).toEqual([[], [], frames.map(bytes => ({ bytes, source: WIRE }))])
  })

  it('the host alone gets what virtual functions send, with their number, and nothing leaves', () => {
    const { rig, transmit, got } = machine()
    const frames = [frame(mac(1), mac(0)), frame(BROADCAST, mac(0)), frame(mac(0), mac(0))]
    for (const bytes of frames) transmit[0]!.send(bytes)
    const other = frame(mac(77), mac(1))
    transmit[1]!.send(other)
    const heard = [...frames.map(bytes => ({ bytes, source: 1 })), { bytes: other, source: 2 }]
    expect(got()).toEqual([[], [], heard])
    expect(rig.sent).toEqual([])
  })

  it('what the host sends goes where the descriptor says, whatever its address', () => {
    const { rig, got, sendTo } = machine()
    const bytes = frame(BROADCAST, mac(50))
    sendTo(HOST, bytes, 1)
    expect(got()).toEqual([[{ bytes, source: 0 }], [], []])
    sendTo(HOST, bytes, 2)
    expect(got()).toEqual([[], [{ bytes, source: 0 }], []])
    expect(rig.sent).toEqual([])
    sendTo(HOST, frame(mac(0), mac(50)), WIRE)
    sendTo(HOST, frame(mac(0), mac(50)), 0)
    expect([rig.sent.length, got()]).toEqual([2, [[], [], []]])
  })

  it('a virtual function cannot choose a destination', () => {
    const { rig, got, sendTo } = machine()
    const bytes = frame(mac(1), mac(0))
    sendTo(0, bytes, 2)
    sendTo(0, bytes, WIRE)
    expect(got()).toEqual([[], [], [1, 1].map(source => ({ bytes, source }))])
    expect(rig.sent).toEqual([])
  })

  it('what is for a pool that is disabled, or that there is not, is counted', () => {
    const { rig, got, sendTo } = machine()
    rig.write(VFRE, 6)
    sendTo(HOST, frame(mac(0), mac(50)), 1)
    sendTo(HOST, frame(mac(0), mac(50)), 14)
    expect([got(), rig.nic.inspect().drops]).toEqual([[[], [], []], { poolDisabled: 2 }])
  })

  it('a frame that waits for descriptors keeps its source', () => {
    const { rig, transmit, got } = machine()
    const bytes = frame(mac(1), mac(0))
    for (let i = 0; i < 17; i++) transmit[0]!.send(bytes)
    expect(rig.nic.inspect().waiting).toBe(2)
    const before = rig.nic.save()
    rig.nic.load(before)
    expect(got()[HOST]).toHaveLength(15)
    // The tail moves on over the descriptors that were taken.
    rig.write(0xc000 + HOST * 0x40 + 0x18, 3)
    expect(rig.nic.inspect().waiting).toBe(0)
    const second = rig.view.getUint32((HOST + 1) * 0x8_0000, true)
    expect((second >>> 17) & 0xf).toBe(1)
  })

  it('a reset of the port ends the mode', () => {
    const { rig } = machine()
    expect(rig.read(ESWMODE)).toBe(1)
    rig.write(0x0000, 1 << 26)
    expect(rig.read(ESWMODE)).toBe(0)
  })
})

describe('an 82576', () => {
  it('has no such register, and switches by its filters', () => {
    const { rig, transmit, got } = machine('intel-82576')
    expect(rig.read(ESWMODE)).toBe(0)
    const bytes = frame(mac(1), mac(0))
    transmit[0]!.send(bytes)
    expect(got()).toEqual([[], [{ bytes, source: 0 }], []])
  })
})
