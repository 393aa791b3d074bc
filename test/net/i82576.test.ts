/** The 82576: rings, offloads, interrupts, resets. Offsets and bits are written out as its data sheet has them. */
import { describe, expect, it } from 'vitest'
import { frame, mac, NicRig, TestReceiveQueue, TestTransmitQueue } from './nic-rig.ts'
import { checksumsRight, packet } from './packets.ts'

const RXEN_UPE_BAM_SECRC = 0x2 | 0x8 | 0x8000 | (1 << 26)
const PSP_EN = 0xa

function port(srrctl?: number) {
  const rig = new NicRig('intel-82576')
  rig.enableMsiX(rig.pf, 10, 0x40)
  // One vector for receive, one for transmit, one for the rest; messages acknowledge.
  rig.write(0x1514, 0x8000_0010)
  rig.write(0x1700, 0x0000_8180)
  rig.write(0x1740, 0x8200)
  rig.write(0x152c, 0x7)
  rig.write(0x1524, 0x7)
  const rx = new TestReceiveQueue(
    rig,
    { registers: 0xc000, ring: 0x1000, buffers: 0x1_0000, count: 8 },
    srrctl,
  )
  const tx = new TestTransmitQueue(rig, { registers: 0xe000, ring: 0x2000, buffers: 0x4_0000, count: 16 })
  rig.write(0x100, RXEN_UPE_BAM_SECRC)
  rig.write(0x400, PSP_EN)
  return { rig, rx, tx }
}

describe('a receive ring', () => {
  it('gets each frame into its own descriptor, wraps, and ends where the tail is', () => {
    const { rig, rx } = port()
    for (let round = 0; round < 5; round++) {
      rx.post(7)
      const frames = Array.from({ length: 7 }, (_, i) => frame(mac(1), mac(2), 60 + round * 20 + i))
      for (const bytes of frames) rig.arrive(bytes)
      expect(rx.take().map(({ bytes }) => bytes)).toEqual(frames)
      expect(rx.read(0x10)).toBe(rx.read(0x18))
    }
  })

  it('spreads a long frame over descriptors, of which the last has EOP', () => {
    const { rig, rx } = port()
    rig.set(0x100, 0x20)
    rig.write(0x5004, 9000)
    rx.post(7)
    const long = frame(mac(1), mac(2), 5000)
    rig.arrive(long)
    const [got] = rx.take()
    expect(got?.descriptors).toBe(3)
    expect(got?.bytes).toEqual(long)
  })

  it('drops what it has no descriptors for, if it may, and counts it', () => {
    const { rig, rx } = port(0x8200_0002)
    rx.post(2)
    for (let i = 0; i < 5; i++) rig.arrive(frame(mac(1), mac(2)))
    expect(rx.take()).toHaveLength(2)
    expect(rig.read(0xc030)).toBe(3)
    expect(rig.read(0xc030)).toBe(0)
    expect(rig.nic.inspect().drops).toEqual({ noDescriptor: 3 })
  })

  it('else lets frames wait in the packet buffer, in order, until that is full', () => {
    const { rig, rx } = port()
    const frames = Array.from({ length: 10 }, (_, i) => frame(mac(1), mac(2), 100 + i))
    for (const bytes of frames) rig.arrive(bytes)
    expect(rig.nic.inspect()).toMatchObject({ waiting: 10, drops: {} })
    rx.post(4)
    rx.post(3)
    expect(rx.take().map(({ bytes }) => bytes)).toEqual(frames.slice(0, 7))
    expect(rig.nic.inspect().waiting).toBe(3)
    for (let i = 0; i < 60; i++) rig.arrive(frame(mac(1), mac(2), 1514))
    expect(rig.nic.inspect().drops.packetBufferFull).toBeGreaterThan(10)
    expect(rig.read(0x4010)).toBeGreaterThan(10)
  })

  it('reports headers, checksums and hash', () => {
    const { rig, rx } = port()
    rig.write(0x5000, 0x2300)
    rig.write(0x5818, 0x2 | (1 << 16))
    for (let i = 0; i < 10; i++) rig.write(0x5c80 + i * 4, 0x0101_0101 * (i + 1))
    rx.post(4)
    rig.arrive(packet())
    const broken = packet()
    broken[50]! ^= 1
    rig.arrive(broken)
    const [good, bad] = rx.take()
    // IPv4 and TCP, RSS type TCP over IPv4; IPCS, L4CS, EOP, DD.
    expect(good).toMatchObject({ info: (0x11 << 4) | 1 })
    expect(good!.status & 0xfff0_0063).toBe(0x63)
    expect(good!.hash).not.toBe(0)
    // L4E.
    expect(bad!.status >>> 29).toBe(1)
  })

  it('splits headers off into their own buffer', () => {
    // DESCTYPE 2, 256 bytes of header.
    const { rig, rx } = port(0x0400_0402)
    rig.write(0x5480, 1 << 2)
    rx.post(2)
    const bytes = packet()
    rig.arrive(bytes)
    const [got] = rx.take()
    expect(got!.info >>> 31).toBe(1)
    expect((got!.info >>> 21) & 0x3ff).toBe(54)
    expect(got?.bytes).toEqual(bytes)
    expect(rig.memory.slice(rx.bufferOf(0), rx.bufferOf(0) + 30)).toEqual(bytes.slice(54))
  })

  it('strips the tag and tells it, or leaves it where it is', () => {
    const { rig, rx } = port()
    rx.post(4)
    const tagged = frame(mac(1), mac(2), 80, 0x2005)
    rig.arrive(tagged)
    rig.set(0x0, 1 << 30)
    rig.arrive(tagged)
    const [kept, stripped] = rx.take()
    expect([kept!.bytes, kept!.status & 8, kept!.tag]).toEqual([tagged, 0, 0])
    expect([stripped!.status & 8, stripped!.tag]).toEqual([8, 0x2005])
    expect(stripped!.bytes).toEqual(Uint8Array.from([...tagged.slice(0, 12), ...tagged.slice(16)]))
  })

  it('of legacy descriptors has length, status and tag at their old places', () => {
    const { rig, rx } = port(0x2)
    rx.post(2)
    rig.arrive(frame(mac(1), mac(2), 77))
    expect(rig.view.getUint16(0x1008, true)).toBe(77)
    expect(rig.view.getUint8(0x100c) & 3).toBe(3)
  })

  it('keeps the check sequence where nothing strips it', () => {
    const { rig, rx } = port()
    rig.write(0x100, RXEN_UPE_BAM_SECRC & ~(1 << 26))
    rx.post(1)
    rig.arrive(frame(mac(1), mac(2), 64))
    expect(rx.take()[0]!.bytes).toHaveLength(68)
  })
})

describe('a port without pools', () => {
  it('drops what no filter wants, with the cause', () => {
    const { rig, rx } = port()
    rig.write(0x100, 0x2 | (1 << 26))
    rx.post(7)
    rig.arrive(frame(mac(9), mac(2)))
    rig.arrive(frame([255, 255, 255, 255, 255, 255], mac(2)))
    rig.arrive(frame(mac(9), mac(2), 40))
    rig.arrive(frame(mac(9), mac(2), 1600))
    rig.arrive(frame([1, 0x80, 0xc2, 0, 0, 1], mac(2), 64, undefined, 0x8808))
    expect(rx.take()).toEqual([])
    expect(rig.nic.inspect().drops).toEqual({ addressFilter: 2, tooShort: 1, tooLong: 1, pauseFrame: 1 })
    // RAL5, RAH5: now it is wanted. Broadcasts by RCTL.BAM.
    rig.write(0x5428, 0x0000_0002)
    rig.write(0x542c, 0x8000_0900)
    rig.arrive(frame(mac(9), mac(2)))
    rig.set(0x100, 0x8000)
    rig.arrive(frame([255, 255, 255, 255, 255, 255], mac(2)))
    expect(rx.take()).toHaveLength(2)
    expect([rig.read(0x4074), rig.read(0x4078)]).toEqual([2, 1])
  })

  it('takes group addresses by hash, and VLANs by table', () => {
    const { rig, rx } = port()
    rig.write(0x100, 0x2 | (1 << 18) | (1 << 26))
    rx.post(7)
    const group = [0x33, 0x33, 0, 0, 0x12, 0x34]
    rig.arrive(frame(group, mac(2)))
    const hash = (0x3412 >> 4) & 0xfff
    rig.write(0x5200 + (hash >>> 5) * 4, 1 << (hash & 31))
    rig.arrive(frame(group, mac(2)))
    rig.arrive(frame(group, mac(2), 64, 5))
    rig.write(0x5600, 1 << 5)
    rig.arrive(frame(group, mac(2), 64, 5))
    expect(rx.take()).toHaveLength(2)
    expect(rig.nic.inspect().drops).toEqual({ addressFilter: 1, vlanFilter: 1 })
  })
})

describe('a transmit ring', () => {
  it('sends what lies in one buffer or many, pads it, and reports where asked', () => {
    const { rig, tx } = port()
    const bytes = frame(mac(3), mac(2), 300)
    tx.data(bytes.slice(0, 100), { command: 0x20, total: 300 })
    tx.data(bytes.slice(100, 130), { command: 0x20, total: 300 })
    tx.ring()
    expect([rig.sent, tx.read(0x10)]).toEqual([[], 0])
    tx.data(bytes.slice(130), { command: 0x29, total: 300 })
    tx.ring()
    expect(rig.sent).toEqual([bytes])
    expect([tx.status(0) & 1, tx.status(2) & 1, tx.read(0x10)]).toEqual([0, 1, 3])
    tx.send(frame(mac(3), mac(2), 20))
    expect(rig.sent[1]).toHaveLength(60)
    expect(rig.messages.map(({ data }) => data)).toEqual([0x41, 0x41])
  })

  it('inserts IPv4, TCP and UDP checksums', () => {
    const { rig, tx } = port()
    for (const tcp of [true, false]) {
      tx.context({ mac: 14, ip: 20, type: (1 << 10) | (tcp ? 1 << 11 : 0) })
      tx.data(packet({ tcp, offload: true }), { options: 0x300 })
    }
    tx.ring()
    expect(rig.sent.map(checksumsRight)).toEqual([true, true])
    expect(rig.sent).toEqual([packet(), packet({ tcp: false })])
  })

  it('cuts a large TCP packet into segments with numbers, flags and checksums of their own', () => {
    const { rig, tx } = port()
    const payload = Array.from({ length: 3500 }, (_, i) => (i * 3) & 0xff)
    const whole = packet({ payload, segmented: true })
    tx.context({ mac: 14, ip: 20, type: (1 << 10) | (1 << 11), l4: 20, mss: 1460, tag: 77 })
    tx.data(whole, { command: 0xeb, options: 0x300, total: 3500 })
    tx.ring()
    expect(rig.sent.map(bytes => bytes.length)).toEqual([1518, 1518, 638])
    for (const bytes of rig.sent) expect([...bytes.slice(12, 16)]).toEqual([0x81, 0, 0, 77])
    const plain = rig.sent.map(bytes => Uint8Array.from([...bytes.slice(0, 12), ...bytes.slice(16)]))
    expect(plain.map(checksumsRight)).toEqual([true, true, true])
    expect(plain.flatMap(bytes => [...bytes.slice(54)])).toEqual(payload)
    const view = plain.map(bytes => new DataView(bytes.buffer))
    expect(view.map(bytes => bytes.getUint32(38))).toEqual([0x100, 0x100 + 1460, 0x100 + 2920])
    expect(view.map(bytes => bytes.getUint16(18))).toEqual([0x1234, 0x1235, 0x1236])
    // PSH and FIN are the last segment's only.
    expect(plain.map(bytes => bytes[47])).toEqual([0x10, 0x10, 0x19])
    expect(rig.read(0x40f8)).toBe(1)
  })

  it('writes its head back where software asked for that, and no descriptor', () => {
    const { rig, tx } = port()
    rig.write(0xe038, 0x3001)
    tx.send(frame(mac(3), mac(2)))
    tx.send(frame(mac(3), mac(2)))
    expect(rig.view.getUint32(0x3000, true)).toBe(2)
    expect(tx.status(0) & 1).toBe(0)
  })

  it('drops what is malformed and goes on', () => {
    const { rig, tx } = port()
    tx.data(frame(mac(3), mac(2)).slice(0, 9))
    tx.context({ mac: 14, ip: 20, type: 1 << 11, l4: 20, mss: 0 })
    tx.data(packet({ segmented: true }), { command: 0xab })
    tx.context({ mac: 127, ip: 511, type: 1 << 10 })
    tx.data(packet({ offload: true }), { options: 0x300 })
    for (let i = 0; i < 3; i++) tx.data(new Uint8Array(4000), { command: i === 2 ? 0x29 : 0x20, buffer: 0 })
    tx.data(frame(mac(3), mac(2)))
    tx.ring()
    expect(rig.sent).toHaveLength(1)
    expect(rig.nic.inspect().drops).toEqual({ malformedDescriptor: 3, tooLong: 1 })
    expect(tx.read(0x10)).toBe(tx.tail)
  })
})

describe('accesses beyond what software owns', () => {
  it('a tail beyond the ring stops the queue and touches nothing', () => {
    const { rig, rx, tx } = port(0x8200_0002)
    rig.write(0xc018, 500)
    rig.arrive(frame(mac(1), mac(2)))
    rig.write(0xe018, 40_000)
    expect([rig.requests, rig.sent, rx.take()]).toEqual([0, [], []])
    expect(tx.read(0x18)).toBe(40_000)
    expect(rig.nic.inspect().drops).toEqual({ noDescriptor: 1 })
  })

  it('a ring where there is no memory stops its queue, which says so, until it is enabled again', () => {
    const { rig, rx } = port()
    rig.write(0x1508, 1 << 22)
    rx.post(3)
    rig.blocked = (_id, page) => page === 1
    rig.arrive(frame(mac(1), mac(2)))
    rig.blocked = () => false
    rig.arrive(frame(mac(1), mac(2)))
    expect(rx.take()).toEqual([])
    expect(rig.nic.inspect().drops).toEqual({ queueStopped: 2 })
    // ICR.FER, at the vector of other causes.
    expect(rig.messages.map(({ data }) => data)).toEqual([0x42])
    expect(rig.read(0x1500) & (1 << 22)).toBe(1 << 22)
    rig.write(0xc028, 0)
    rig.write(0xc028, 0x0200_0000)
    rig.arrive(frame(mac(1), mac(2)))
    expect(rx.take()).toHaveLength(1)
  })

  it('a buffer that may not be written is a lost posted write: the descriptor is written back all the same', () => {
    const { rig, rx } = port()
    rx.post(2)
    rig.blocked = (_id, page) => page === 0x10
    rig.arrive(frame(mac(1), mac(2)))
    expect(rx.take()[0]!.bytes.every(byte => byte === 0)).toBe(true)
    expect(rig.nic.inspect().drops).toEqual({ dmaFault: 1 })
  })

  it('a function that may not master the bus neither fetches nor stores', () => {
    const { rig, rx, tx } = port()
    rx.post(2)
    rig.pf.writeConfig(0x04, 0x2, 0xffff)
    rig.arrive(frame(mac(1), mac(2)))
    tx.send(frame(mac(3), mac(2)))
    expect([rig.requests, rig.sent]).toEqual([0, []])
    expect(rig.nic.inspect().drops).toEqual({ busMasterDisabled: 1 })
  })
})

describe('interrupts', () => {
  it('of a vector keep the distance that EITR sets, and come once for what gathered', () => {
    const { rig, rx } = port()
    // 100 microseconds.
    rig.write(0x1680, 100 << 2)
    rx.post(7)
    for (let i = 0; i < 4; i++) rig.arrive(frame(mac(1), mac(2)))
    expect(rig.messages).toHaveLength(1)
    rig.advance(99_999)
    expect(rig.messages).toHaveLength(1)
    rig.advance(1)
    expect(rig.messages).toHaveLength(2)
    rig.advance(1_000_000)
    expect(rig.messages).toHaveLength(2)
    rig.arrive(frame(mac(1), mac(2)))
    expect(rig.messages).toHaveLength(3)
  })

  it('that are masked wait for EIMS; auto-masked ones have to be unmasked each time', () => {
    const { rig, rx } = port()
    rig.write(0x1528, 0x1)
    rx.post(7)
    rig.arrive(frame(mac(1), mac(2)))
    expect([rig.messages, rig.read(0x1580) & 1]).toEqual([[], 1])
    rig.write(0x1524, 0x1)
    expect(rig.messages).toHaveLength(1)
    rig.write(0x1514, 0xc000_0010)
    rig.write(0x1530, 0x1)
    rig.arrive(frame(mac(1), mac(2)))
    rig.arrive(frame(mac(1), mac(2)))
    expect([rig.messages.length, rig.read(0x1524) & 1]).toEqual([2, 0])
    rig.write(0x1524, 0x1)
    expect(rig.messages).toHaveLength(3)
  })

  it('tell of the link', () => {
    const { rig } = port()
    rig.write(0x1508, 0x4)
    rig.wire.plugged = false
    expect(rig.messages.map(({ data }) => data)).toEqual([0x42])
    expect([rig.read(0x8) & 2, rig.read(0x1500) & 4]).toEqual([0, 4])
    rig.wire.plugged = true
    expect([rig.messages.length, rig.read(0x8) & 2]).toEqual([2, 2])
  })

  it('with MSI are one message until software has read what it was for', () => {
    const rig = new NicRig('intel-82576')
    const msi = rig.pf.layout.find(0x05)
    rig.pf.writeConfig(msi + 4, 0xfee0_0000, 0xffff_ffff)
    rig.pf.writeConfig(msi + 12, 0x33, 0xffff)
    rig.pf.writeConfig(msi, 0x0001_0000, 0xffff_0000)
    rig.write(0x1508, 0x80)
    const rx = new TestReceiveQueue(rig, { registers: 0xc000, ring: 0x1000, buffers: 0x1_0000, count: 8 })
    rig.write(0x100, RXEN_UPE_BAM_SECRC)
    rx.post(4)
    rig.arrive(frame(mac(1), mac(2)))
    rig.arrive(frame(mac(1), mac(2)))
    expect(rig.messages.map(({ data }) => data)).toEqual([0x33])
    expect(rig.read(0xc0)).toBe(0x8000_0080)
    rig.arrive(frame(mac(1), mac(2)))
    expect(rig.messages).toHaveLength(2)
  })
})

describe('state', () => {
  it('survives being saved and loaded, waiting frames and all', () => {
    const { rig, rx, tx } = port()
    rx.post(3)
    for (let i = 0; i < 6; i++) rig.arrive(frame(mac(1), mac(2), 60 + i))
    tx.context({ mac: 14, ip: 20, type: (1 << 10) | (1 << 11) })
    tx.ring()
    rig.write(0x1680, 100 << 2)
    const saved = rig.pf.save()
    rig.write(0x0, 1 << 26)
    expect(rig.pf.save()).not.toEqual(saved)
    rig.pf.load(saved)
    expect(rig.pf.save()).toEqual(saved)
    expect(rx.take()).toHaveLength(3)
    rx.post(3)
    expect(rx.take().map(({ bytes }) => bytes.length)).toEqual([63, 64, 65])
    tx.data(packet({ offload: true }), { options: 0x300 })
    tx.ring()
    expect(checksumsRight(rig.sent[0]!)).toBe(true)
  })

  it('is that of power-on after a function level reset, which counts what waited as dropped', () => {
    const { rig } = port()
    rig.arrive(frame(mac(1), mac(2)))
    rig.write(0x0, 1 << 26)
    expect(rig.nic.inspect()).toMatchObject({ waiting: 0, drops: { reset: 1 } })
    rig.pf.functionLevelReset()
    expect([rig.read(0x100), rig.read(0xc000), rig.read(0x1524)]).toEqual([0, 0, 0])
    expect(rig.read(0x5404) >>> 31).toBe(1)
  })
})
