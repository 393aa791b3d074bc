/** NVM Express 1.4, §5: admin commands and the status of each that asks for what cannot be. Literals throughout. */
import { describe, expect, it } from 'vitest'
import { Rig } from './rig.ts'

const BUFFER = 0x20_0000
const ready = (): Rig => {
  const rig = new Rig()
  rig.enable()
  return rig
}
/** CDW10 to CDW12 behind a data pointer. */
const command = (opcode: number, cdw10 = 0, cdw11 = 0, prp1 = BUFFER, nsid = 0): number[] => [
  opcode,
  nsid,
  0,
  0,
  0,
  0,
  prp1,
  0,
  0,
  0,
  cdw10,
  cdw11,
]
const identify = (rig: Rig, cns: number, nsid = 0, cntid = 0): DataView => {
  expect(rig.admin(command(0x06, (cntid << 16) | cns, 0, BUFFER, nsid)).status).toBe(0)
  return new DataView(rig.bytes(BUFFER, 4096).buffer)
}
const text = (view: DataView, at: number, length: number): string =>
  String.fromCharCode(...new Uint8Array(view.buffer, at, length)).trim()

describe('Identify', () => {
  it('tells what the controller is', () => {
    const view = identify(ready(), 1)
    expect(view.getUint16(0, true)).toBe(0x1b36)
    expect(text(view, 4, 20)).toBe('0025385b11d1a3c0')
    expect(text(view, 24, 40)).toBe('Northbridge NVM Express Controller')
    expect(view.getUint8(77)).toBe(7) // MDTS: 512 KiB
    expect(view.getUint16(78, true)).toBe(0)
    expect(view.getUint32(80, true)).toBe(0x0001_0400)
    expect(view.getUint16(256, true)).toBe(0x8a) // Format, Namespace Management, Virtualization Management
    expect([view.getUint8(512), view.getUint8(513)]).toEqual([0x66, 0x44])
    expect(view.getUint32(516, true)).toBe(64) // NN
    expect(view.getUint32(284, true)).toBe(2) // TNVMCAP: 8 GiB
    expect([view.getUint32(300, true), view.getUint32(296, true)]).toEqual([1, 0xc000_0000]) // UNVMCAP: 7 GiB
    expect(view.getUint16(520, true)).toBe(0x0d) // Compare, DSM, Write Zeroes
  })

  it('tells what a namespace is', () => {
    const view = identify(ready(), 0, 1)
    expect(view.getUint32(0, true)).toBe(2 ** 21) // 1 GiB of 512-byte blocks
    expect(view.getUint8(26)).toBe(0)
    expect([view.getUint8(128 + 2), view.getUint8(132 + 2)]).toEqual([9, 12])
  })

  it('lists active namespaces above an identifier', () => {
    const rig = ready()
    expect(identify(rig, 2, 0).getUint32(0, true)).toBe(1)
    expect(identify(rig, 2, 1).getUint32(0, true)).toBe(0)
  })

  it.each([
    ['a namespace above NN', command(0x06, 0, 0, BUFFER, 65), 0x00b],
    ['namespace 0', command(0x06, 0, 0, BUFFER, 0), 0x00b],
    ['a list above the last identifier', command(0x06, 2, 0, BUFFER, 0xffff_fffe), 0x00b],
    ['a structure that there is not', command(0x06, 0x77), 0x002],
    ['a data pointer that is not aligned to dwords', command(0x06, 1, 0, BUFFER + 1), 0x013],
    ['memory that is not there', command(0x06, 1, 0, 0x7000_0000), 0x004],
    ['an SGL', command(0x4006, 1), 0x002],
    ['a fused operation', command(0x0106, 1), 0x002],
    ['a command that there is not', command(0x7f), 0x001],
  ])('refuses %s', (_, words, status) => {
    const completion = ready().admin(words)
    expect(completion).toMatchObject({ status, dnr: true })
  })
})

describe('queue creation', () => {
  const cq = (cdw10: number, cdw11 = 3, prp1 = 0x20_0000): number[] => command(0x05, cdw10, cdw11, prp1)
  const sq = (cdw10: number, cdw11 = 0x1_0001, prp1 = 0x21_0000): number[] =>
    command(0x01, cdw10, cdw11, prp1)
  const SIZE = 31 << 16

  it.each([
    ['CQ 0', cq(SIZE), 0x101],
    ['a CQ beyond the number of queues', cq(SIZE | 65), 0x101],
    ['a CQ of one entry', cq(1), 0x102],
    ['a CQ of more than CAP.MQES', cq((2048 << 16) | 1), 0x102],
    ['a CQ that is not contiguous', cq(SIZE | 1, 2), 0x002],
    ['a CQ that is not aligned', cq(SIZE | 1, 3, 0x20_0800), 0x013],
    ['a CQ with a vector that there is not', cq(SIZE | 1, (65 << 16) | 3), 0x108],
    ['SQ 0', sq(SIZE), 0x101],
    ['an SQ on the admin completion queue', sq(SIZE | 1, 1), 0x101],
    ['an SQ on a completion queue out of range', sq(SIZE | 1, (65 << 16) | 1), 0x101],
    ['an SQ on a completion queue that was not created', sq(SIZE | 1, (2 << 16) | 1), 0x100],
    ['deletion of an SQ that there is not', command(0x00, 3), 0x101],
    ['deletion of a CQ that there is not', command(0x04, 3), 0x101],
  ])('refuses %s', (_, words, status) => {
    expect(ready().admin(words).status).toBe(status)
  })

  it('refuses what exists, and deletes submission queues before their completion queue', () => {
    const rig = ready()
    expect(rig.createPair(1, 0x30_0000)).toEqual([0, 0])
    expect(rig.admin(cq(SIZE | 1)).status).toBe(0x101)
    expect(rig.admin(sq(SIZE | 1)).status).toBe(0x101)
    expect(rig.admin(command(0x04, 1)).status).toBe(0x10c)
    expect(rig.admin(command(0x00, 1)).status).toBe(0)
    expect(rig.admin(command(0x04, 1)).status).toBe(0)
  })

  it('needs the entry sizes in CC', () => {
    const rig = new Rig()
    rig.enable({ cc: 1 })
    expect(rig.admin(cq(SIZE | 1)).status).toBe(0x102)
  })
})

describe('features', () => {
  const set = (rig: Rig, id: number, value: number, nsid = 0) => rig.admin(command(0x09, id, value, 0, nsid))
  const get = (rig: Rig, id: number, cdw11 = 0) => rig.admin(command(0x0a, id, cdw11, 0))

  it('allocates the number of queues that was asked for, as far as there are', () => {
    const rig = ready()
    expect(set(rig, 7, 0x0003_0003).result).toBe(0x0003_0003)
    expect(rig.admin(command(0x05, (31 << 16) | 5, 3, 0x20_0000)).status).toBe(0x101)
    const other = ready()
    expect(set(other, 7, 0x00ff_00ff).result).toBe(0x003f_003f)
    other.createPair(1, 0x30_0000)
    expect(set(other, 7, 1).status).toBe(0x00c)
  })

  it.each([
    [1, 0x0102_0303, 0x0102_0303],
    [4, 0x150, 0x150],
    [6, 0xff, 1],
    [8, 0x1_0a05, 0x0a05],
    [0x0a, 3, 1],
    [0x0b, 0x1f, 0x1f],
  ])('%i keeps its bits', (id, value, kept) => {
    const rig = ready()
    expect(set(rig, id, value).status).toBe(0)
    expect(get(rig, id).result).toBe(kept)
    expect(get(rig, 0x300 | id).result).toBe(4) // changeable
  })

  it('of a vector', () => {
    const rig = ready()
    expect(set(rig, 9, 0x1_0003).status).toBe(0)
    expect(get(rig, 9, 3).result).toBe(0x1_0003)
    expect(get(rig, 9, 4).result).toBe(4)
    expect(get(rig, 9, 65).status).toBe(2)
  })

  it.each([
    ['an identifier that there is not', 0x77, 0, 0, 0x002],
    ['to save', 0x8000_0006, 1, 0, 0x10d],
    ['for one namespace', 6, 1, 1, 0x10f],
    ['a power state that there is not', 2, 1, 0, 0x002],
    ['FFFFh queues', 7, 0xffff_0000, 0, 0x002],
  ])('refuses %s', (_, id, value, nsid, status) => {
    expect(set(ready(), id, value, nsid).status).toBe(status)
  })
})

describe('log pages', () => {
  it('keep failed commands, newest first', () => {
    const rig = ready()
    rig.admin(command(0x7f))
    const { cid } = rig.admin(command(0x06, 0, 0, BUFFER, 99))
    expect(rig.admin(command(0x02, (31 << 16) | 1)).status).toBe(0)
    const view = new DataView(rig.bytes(BUFFER, 128).buffer)
    expect(view.getUint32(0, true)).toBe(2)
    expect(view.getUint16(10, true)).toBe(cid)
    expect(view.getUint16(12, true)).toBe(0x8000 | (0x00b << 1))
    expect(view.getUint32(24, true)).toBe(99)
    expect(view.getUint32(64, true)).toBe(1)
    expect(view.getUint16(64 + 12, true)).toBe(0x8000 | (0x001 << 1))
  })

  it('count what was read and written', () => {
    const rig = ready()
    rig.createPair(1, 0x30_0000)
    for (let i = 0; i < 3; i++) rig.io(1, i, 8, BUFFER)
    rig.io(2, 0, 8, BUFFER)
    rig.admin(command(0x02, (127 << 16) | 2))
    const view = new DataView(rig.bytes(BUFFER, 512).buffer)
    expect(view.getUint8(3)).toBe(100)
    expect([32, 48, 64, 80].map(at => view.getUint32(at, true))).toEqual([1, 1, 1, 3])
  })

  it.each([
    ['a page that there is not', 0x55, 0, 0, 0x109],
    ['an offset beyond the page', 2, 0, 512, 0x002],
    ['an offset between dwords', 2, 0, 2, 0x002],
  ])('refuse %s', (_, page, cdw11, offset, status) => {
    expect(ready().admin([...command(0x02, (15 << 16) | page, cdw11), offset]).status).toBe(status)
  })
})

describe('Abort and events', () => {
  it('take back a request for events, and nothing that is done', () => {
    const rig = ready()
    const cid = rig.submit(0, [0x0c])
    const done = (() => {
      rig.submit(0, command(0x08, (cid << 16) | 0))
      rig.submit(0, command(0x08, (cid << 16) | 0))
      rig.ring(0)
      return rig.reap(0)
    })()
    expect(done.map(({ status, result }) => [status, result])).toEqual([
      [0x007, 0],
      [0, 0],
      [0, 1],
    ])
    expect(done[0]?.cid).toBe(cid)
  })

  it('have a limit of four', () => {
    const rig = ready()
    for (let i = 0; i < 5; i++) rig.submit(0, [0x0c])
    rig.ring(0)
    expect(rig.reap(0).map(({ status }) => status)).toEqual([0x105])
  })
})

describe('Format NVM', () => {
  it('changes the size of blocks and erases them', () => {
    const rig = ready()
    rig.createPair(1, 0x30_0000)
    rig.poke(BUFFER, new Uint8Array(512).fill(0xaa))
    rig.io(1, 0, 1, BUFFER)
    expect(rig.admin(command(0x80, 1, 0, 0, 1)).status).toBe(0)
    expect(identify(rig, 0, 1).getUint32(0, true)).toBe(2 ** 18)
    expect(rig.io(2, 0, 1, BUFFER).status).toBe(0)
    expect(rig.bytes(BUFFER, 4096).every(byte => byte === 0)).toBe(true)
  })

  it.each([
    ['a format that there is not', command(0x80, 2, 0, 0, 1), 0x10a],
    ['protection information', command(0x80, 0x20, 0, 0, 1), 0x10a],
    ['a cryptographic erase', command(0x80, 0x400, 0, 0, 1), 0x002],
    ['a namespace that there is not', command(0x80, 0, 0, 0, 7), 0x00b],
  ])('refuses %s', (_, words, status) => {
    expect(ready().admin(words).status).toBe(status)
  })
})
