/** NVM Express 1.4, §5.19 Namespace Attachment, §5.20 Namespace Management, §8.12. Literals throughout. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BAR, Rig } from './rig.ts'

const BUFFER = 0x20_0000
const VF_QUEUES = { asq: 0x60_0000, acq: 0x60_1000 }
const MIB = 2048
/** CNTLIDs: the sheet has 32 virtual functions. */
const EVERYBODY = Array.from({ length: 33 }, (_, id) => id)

const ready = (): Rig => {
  const rig = new Rig()
  rig.enable()
  return rig
}

const withData = (opcode: number, nsid: number, cdw10: number): number[] => [
  opcode,
  nsid,
  0,
  0,
  0,
  0,
  BUFFER,
  0,
  0,
  0,
  cdw10,
]

interface Creation {
  readonly blocks: number
  readonly capacity?: number
  readonly flbas?: number
  readonly dps?: number
  readonly nmic?: number
}

/** Namespace Management, SEL 0. */
function create(rig: Rig, { blocks, capacity = blocks, flbas = 0, dps = 0, nmic = 1 }: Creation) {
  const data = new DataView(new ArrayBuffer(4096))
  data.setUint32(0, blocks % 2 ** 32, true)
  data.setUint32(4, Math.floor(blocks / 2 ** 32), true)
  data.setUint32(8, capacity % 2 ** 32, true)
  data.setUint32(12, Math.floor(capacity / 2 ** 32), true)
  data.setUint8(26, flbas)
  data.setUint8(29, dps)
  data.setUint8(30, nmic)
  rig.poke(BUFFER, new Uint8Array(data.buffer))
  return rig.admin(withData(0x0d, 0, 0))
}

const remove = (rig: Rig, nsid: number) => rig.admin([0x0d, nsid, 0, 0, 0, 0, 0, 0, 0, 0, 1])

/** Namespace Attachment, SEL 0 or 1. */
function attachment(rig: Rig, select: number, nsid: number, controllers: readonly number[]) {
  const data = Uint16Array.of(controllers.length, ...controllers, ...new Array(64).fill(0))
  rig.poke(BUFFER, new Uint8Array(data.buffer))
  return rig.admin(withData(0x15, nsid, select)).status
}
const attach = (rig: Rig, nsid: number, ...controllers: number[]) => attachment(rig, 0, nsid, controllers)
const detach = (rig: Rig, nsid: number, ...controllers: number[]) => attachment(rig, 1, nsid, controllers)

function identify(rig: Rig, cns: number, nsid = 0, cntid = 0): DataView {
  rig.poke(BUFFER, new Uint8Array(4096).fill(1))
  expect(rig.admin(withData(0x06, nsid, (cntid << 16) | cns)).status).toBe(0)
  return new DataView(rig.bytes(BUFFER, 4096).buffer)
}

/** A list of NSIDs. */
function list(rig: Rig, cns: number, above = 0): number[] {
  const view = identify(rig, cns, above)
  const ids = Array.from({ length: 64 }, (_, i) => view.getUint32(i * 4, true))
  return ids.slice(0, ids.indexOf(0))
}

/** A controller list. */
function controllers(rig: Rig, cns: number, nsid: number, from = 0): number[] {
  const view = identify(rig, cns, nsid, from)
  return Array.from({ length: view.getUint16(0, true) }, (_, i) => view.getUint16(2 + i * 2, true))
}

/** Controller 1 online with one I/O queue, and its registers. */
function secondary(): { rig: Rig; vf: number } {
  const rig = ready()
  const vf = rig.enableVirtualFunctions(2)
  for (const [action, type, count] of [
    [8, 0, 2],
    [8, 1, 2],
    [9, 0, 0],
  ]) {
    expect(
      rig.admin([0x1c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x1_0000 | (type! << 8) | action!, count!]).status,
    ).toBe(0)
  }
  return { rig, vf }
}

describe('Namespace Management', () => {
  it('makes a namespace of what is left of the medium, and gives it back', () => {
    const rig = ready()
    expect(create(rig, { blocks: 4 * MIB })).toMatchObject({ status: 0, result: 2 })
    expect(create(rig, { blocks: 512, flbas: 1 })).toMatchObject({ status: 0, result: 3 })
    expect(list(rig, 0x10)).toEqual([1, 2, 3])
    expect(list(rig, 0x10, 1)).toEqual([2, 3])
    // Nobody is attached yet: they are allocated, and not active.
    expect(list(rig, 0x02)).toEqual([1])
    expect(identify(rig, 0x00, 2).getUint32(0, true)).toBe(0)
    const made = identify(rig, 0x11, 2)
    expect([made.getUint32(0, true), made.getUint32(8, true), made.getUint8(30)]).toEqual([
      4 * MIB,
      4 * MIB,
      1,
    ])
    expect(made.getUint32(48, true)).toBe(4 * 2 ** 20) // NVMCAP
    expect(identify(rig, 0x01).getUint32(296, true)).toBe(0xc000_0000 - 4 * 2 ** 20 - 2 ** 21)
    expect(remove(rig, 2).status).toBe(0)
    expect(list(rig, 0x10)).toEqual([1, 3])
    expect(create(rig, { blocks: 8, nmic: 0 })).toMatchObject({ status: 0, result: 2 })
    expect(remove(rig, 0xffff_ffff).status).toBe(0)
    expect(list(rig, 0x10)).toEqual([])
    expect(identify(rig, 0x01).getUint32(300, true)).toBe(2) // UNVMCAP: 8 GiB
  })

  it.each<[string, Creation, number]>([
    ['more blocks than are left', { blocks: 7 * 2 ** 21 + 1 }, 0x115],
    ['more than any medium has', { blocks: 2 ** 60 }, 0x115],
    ['no blocks', { blocks: 0 }, 0x002],
    ['a format that there is not', { blocks: 8, flbas: 2 }, 0x10a],
    ['metadata', { blocks: 8, flbas: 0x10 }, 0x10a],
    ['protection information', { blocks: 8, dps: 1 }, 0x10a],
    ['a smaller capacity than size', { blocks: 8, capacity: 4 }, 0x11b],
  ])('refuses %s', (_, creation, status) => {
    const rig = ready()
    expect(create(rig, creation)).toMatchObject({ status, dnr: true })
    expect(list(rig, 0x10)).toEqual([1])
  })

  it('refuses an identifier with creation, deletion of nothing, and more than NN namespaces', () => {
    const rig = ready()
    expect(rig.admin(withData(0x0d, 1, 0)).status).toBe(0x002)
    expect(rig.admin(withData(0x0d, 0, 2)).status).toBe(0x002)
    expect(remove(rig, 5).status).toBe(0x002)
    expect(remove(rig, 65).status).toBe(0x00b)
    for (let id = 2; id <= 64; id++) expect(create(rig, { blocks: 8 }).result).toBe(id)
    expect(create(rig, { blocks: 8 }).status).toBe(0x116)
  })

  it('is the primary controller’s alone', () => {
    const { rig, vf } = secondary()
    rig.base = vf
    rig.enable(VF_QUEUES)
    expect(create(rig, { blocks: 8 }).status).toBe(0x001)
    expect(remove(rig, 1).status).toBe(0x001)
    expect(detach(rig, 1, 0)).toBe(0x001)
    expect(identify(rig, 0x01).getUint16(256, true)).toBe(0x02)
  })
})

describe('Namespace Attachment', () => {
  it('decides for which controllers a namespace is active', () => {
    const { rig, vf } = secondary()
    create(rig, { blocks: MIB })
    expect(controllers(rig, 0x13, 0)).toEqual(EVERYBODY)
    expect(controllers(rig, 0x13, 0, 31)).toEqual([31, 32])
    expect(controllers(rig, 0x12, 2)).toEqual([])
    expect(attach(rig, 2, 1, 3)).toBe(0)
    expect(controllers(rig, 0x12, 2)).toEqual([1, 3])
    expect(controllers(rig, 0x12, 2, 2)).toEqual([3])
    expect(detach(rig, 1, 1)).toBe(0)
    expect(list(rig, 0x02)).toEqual([1])
    rig.base = vf
    rig.enable(VF_QUEUES)
    rig.createPair(1, 0x70_0000)
    expect(list(rig, 0x02)).toEqual([2])
    expect(rig.io(2, 0, 1, BUFFER, 0, 2).status).toBe(0)
    // An identifier that exists and is not active: an empty structure, Invalid Field for commands.
    expect(identify(rig, 0x00, 1).getUint32(0, true)).toBe(0)
    expect(rig.io(2, 0, 1, BUFFER, 0, 1).status).toBe(0x002)
    expect(rig.io(2, 0, 1, BUFFER, 0, 65).status).toBe(0x00b)
  })

  it('checks the whole list before it attaches anybody', () => {
    const rig = ready()
    create(rig, { blocks: 8 })
    create(rig, { blocks: 8, nmic: 0 })
    expect(attach(rig, 2, 1)).toBe(0)
    expect(attach(rig, 2, 0, 1)).toBe(0x118)
    expect(detach(rig, 2, 1, 2)).toBe(0x11a)
    expect(attach(rig, 3, 1, 2)).toBe(0x119)
    expect(attach(rig, 3, 2)).toBe(0)
    expect(attach(rig, 3, 1)).toBe(0x119)
    for (const bad of [[], [33], [2, 1], [1, 1]]) expect(attach(rig, 2, ...bad)).toBe(0x11c)
    expect([attach(rig, 4, 1), attach(rig, 65, 1), attachment(rig, 2, 2, [1])]).toEqual([0x002, 0x00b, 0x002])
    expect([controllers(rig, 0x12, 2), controllers(rig, 0x12, 3)]).toEqual([[1], [2]])
  })

  it('tells a controller of what changed: once, until it has read the list', () => {
    const { rig, vf } = secondary()
    rig.base = vf
    rig.enable(VF_QUEUES)
    // Asynchronous Event Configuration: Namespace Attribute Notices.
    expect(rig.admin([0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0b, 0x100]).status).toBe(0)
    for (let i = 0; i < 2; i++) rig.submit(0, [0x0c])
    rig.ring(0)
    const heard = (): number[] => {
      rig.base = vf
      const results = rig.reap(0).map(({ result }) => result)
      rig.base = BAR
      return results
    }
    rig.base = BAR
    create(rig, { blocks: 8 })
    expect(heard()).toEqual([])
    attach(rig, 2, 1)
    // Notice, Namespace Attribute Changed, log page 4.
    expect(heard()).toEqual([0x04_00_02])
    rig.base = vf
    expect(rig.admin(withData(0x02, 0, (0x3ff << 16) | 0x04)).status).toBe(0)
    expect([...new Uint32Array(rig.bytes(BUFFER, 4096).buffer).subarray(0, 2)]).toEqual([2, 0])
    rig.base = BAR
    detach(rig, 1, 1)
    expect(heard()).toEqual([0x04_00_02])
    remove(rig, 2)
    expect(heard()).toEqual([])
    rig.base = vf
    expect(rig.admin(withData(0x02, 0, (0x3ff << 16) | 0x04)).status).toBe(0)
    expect([...new Uint32Array(rig.bytes(BUFFER, 4096).buffer).subarray(0, 3)]).toEqual([1, 2, 0])
  })

  it('says nothing to who did not ask for notices, and keeps the list for it', () => {
    const rig = ready()
    rig.submit(0, [0x0c])
    rig.ring(0)
    detach(rig, 1, 0)
    expect(rig.reap(0)).toEqual([])
    expect(rig.admin(withData(0x02, 0, 0x04)).status).toBe(0)
    expect(new Uint32Array(rig.bytes(BUFFER, 4).buffer)[0]).toBe(1)
  })
})

describe('random management', () => {
  it('never gives out more than the medium has, and lists what a model of it lists', () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constant('create' as const),
        mib: fc.integer({ min: 1, max: 4096 }),
        shared: fc.boolean(),
      }),
      fc.record({ kind: fc.constant('remove' as const), id: fc.integer({ min: 1, max: 8 }) }),
      fc.record({
        kind: fc.constantFrom('attach' as const, 'detach' as const),
        id: fc.integer({ min: 1, max: 8 }),
        who: fc.uniqueArray(fc.nat(8), { minLength: 1, maxLength: 3 }),
      }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), steps => {
        const rig = ready()
        const model = new Map([[1, { mib: 1024, shared: true, attached: new Set(EVERYBODY) }]])
        for (const one of steps) {
          const used = [...model.values()].reduce((sum, { mib }) => sum + mib, 0)
          if (one.kind === 'create') {
            const { status, result } = create(rig, { blocks: one.mib * MIB, nmic: one.shared ? 1 : 0 })
            expect(status).toBe(used + one.mib > 8192 ? 0x115 : 0)
            if (status === 0) model.set(result, { mib: one.mib, shared: one.shared, attached: new Set() })
          } else if (one.kind === 'remove') {
            expect(remove(rig, one.id).status).toBe(model.delete(one.id) ? 0 : 0x002)
          } else {
            const found = model.get(one.id)
            const who = [...one.who].sort((a, b) => a - b)
            const status = attachment(rig, one.kind === 'attach' ? 0 : 1, one.id, who)
            const allowed =
              found !== undefined &&
              (one.kind === 'attach'
                ? who.every(id => !found.attached.has(id)) &&
                  (found.shared || found.attached.size + who.length === 1)
                : who.every(id => found.attached.has(id)))
            expect(status === 0).toBe(allowed)
            if (allowed)
              for (const id of who) one.kind === 'attach' ? found.attached.add(id) : found.attached.delete(id)
          }
          expect(list(rig, 0x10)).toEqual([...model.keys()].sort((a, b) => a - b))
        }
        for (const [id, { attached }] of model) {
          expect(controllers(rig, 0x12, id)).toEqual([...attached].sort((a, b) => a - b))
        }
      }),
      { numRuns: 30 },
    )
  })
})
