/** "Address Translation Services" end to end: translations that a function keeps, and what makes it forget them. */
import { beforeEach, describe, expect, test } from 'vitest'
import {
  AD,
  ATS,
  DENIED,
  Driver,
  FAULT,
  FUNCTION,
  IOVA,
  invalidateDevice,
  invalidateIotlb,
  MOVED,
  OTHER,
  P,
  PAGE,
  PASID,
  PASID_CONTROL,
  PASID_DISABLED,
  PASIDE,
  RID_PASID,
  SID,
  SUCCESSFUL,
  TRANSLATED,
  UNIT,
} from './accelerator.ts'

let t: Driver
beforeEach(() => {
  t = new Driver()
})

describe('a function that is told to use ATS', () => {
  test('sends untranslated requests while ATS is disabled', () => {
    expect(t.dma()).toMatchObject({ status: SUCCESSFUL, addressType: 0, found: 0x11111111 })
    expect(t.fn.translation!.entries()).toEqual([])
  })

  test('asks for a translation once, and uses it from then on', () => {
    t.enableAts()
    expect(t.dma()).toMatchObject({
      status: SUCCESSFUL,
      addressType: TRANSLATED,
      page: IOVA / 4096,
      physicalPage: PAGE / 4096,
      found: 0x11111111,
    })
    expect(t.fn.translation!.entries()).toMatchObject([
      { pasid: -1, page: IOVA / 4096, pages: 1, frame: PAGE / 4096 },
    ])
    t.map(IOVA, 0)
    expect(t.dma()).toMatchObject({ status: SUCCESSFUL, found: 0x11111111 })
  })

  test('writes through a translation too, in one piece for each page', () => {
    t.enableAts()
    t.map(IOVA + 4096, OTHER)
    const data = Uint8Array.from({ length: 4100 }, (_, i) => i)
    const parts = t.engine.dma(true, IOVA / 4096, 4094, data, { useAts: true })
    expect(parts.map(({ physicalPage, length }) => [physicalPage * 4096, length])).toEqual([
      [PAGE, 2],
      [OTHER, 4096],
      [0, 2],
    ])
    expect(parts[2]!.status).toBe(DENIED)
    expect(t.read(OTHER)).toBe(0x05040302)
  })

  test('keeps a translation until the device-TLB is invalidated: the IOTLB alone is not enough', () => {
    t.enableAts()
    t.dma()
    t.map(IOVA, MOVED)
    t.submit(invalidateIotlb)
    expect(t.dma().found).toBe(0x11111111)
    expect(t.submit(invalidateDevice)).toBe(true)
    expect(t.dma().found).toBe(0x33333333)
  })

  test('keeps what an invalidation of other pages does not cover', () => {
    t.enableAts()
    t.dma()
    t.submit([0x3, SID, IOVA + 4096, 0])
    expect(t.fn.translation!.entries()).toHaveLength(1)
    t.submit([0x3, SID, IOVA + 0x1000 + 1, 0])
    expect(t.fn.translation!.entries()).toEqual([])
  })

  test.each<[string, () => void]>([
    ['function level reset', () => t.fn.functionLevelReset()],
    ['disabling ATS', () => t.config(FUNCTION + ATS, 0)],
  ])('forgets everything on %s', (_name, event) => {
    t.enableAts()
    t.dma()
    event()
    expect(t.fn.translation!.entries()).toEqual([])
  })

  test('is told of a page without the right: the access is not made, and nothing is recorded', () => {
    t.enableAts()
    t.map(IOVA, PAGE, RID_PASID, P + AD)
    expect(t.dma({ write: true })).toMatchObject({ status: DENIED, faultReason: 0 })
    expect(t.dma()).toMatchObject({ status: SUCCESSFUL, found: 0x11111111 })
    expect(t.dma({ write: true })).toMatchObject({ status: DENIED })
    expect(t.read(UNIT + 0x34)).toBe(0)
  })

  test('asks again for a right that the translation it has does not grant', () => {
    t.enableAts()
    t.map(IOVA, PAGE, RID_PASID, P + AD)
    t.dma()
    t.map(IOVA, PAGE)
    t.submit(invalidateIotlb)
    expect(t.dma({ write: true })).toMatchObject({ status: SUCCESSFUL, addressType: TRANSLATED })
  })

  test('is refused, with a fault, where the tables allow no translation requests', () => {
    t.context(PASIDE)
    t.enableAts()
    expect(t.dma()).toMatchObject({ status: FAULT, faultReason: 0x44 })
    expect(t.read(UNIT + 0x34) & 2).toBe(2)
  })

  test('is refused translated requests once the tables allow none any more', () => {
    t.enableAts()
    t.dma()
    t.context(PASIDE)
    t.submit([0x11, 0, 0, 0])
    expect(t.dma()).toMatchObject({ status: FAULT, faultReason: 0x44, addressType: TRANSLATED })
  })

  test('replaces old translations when it has no room', () => {
    t.enableAts()
    for (let i = 0; i < 70; i++) t.map(IOVA + i * 4096, PAGE)
    for (let i = 0; i < 70; i++) t.engine.dma(false, IOVA / 4096 + i, 0, new Uint8Array(4), { useAts: true })
    const pages = t.fn.translation!.entries().map(({ page }) => page - IOVA / 4096)
    expect(pages.sort((a, b) => a - b)).toEqual(Array.from({ length: 64 }, (_, i) => i + 6))
  })

  test('has the same translations after its platform was saved and loaded', () => {
    t.enableAts()
    t.dma()
    const other = new Driver()
    other.platform.load(t.platform.save())
    other.map(IOVA, 0)
    expect(other.dma()).toMatchObject({ status: SUCCESSFUL, found: 0x11111111 })
  })
})

describe('device-TLB invalidation', () => {
  const ITE = 0x40
  test('holds software’s wait until the function answers', () => {
    t.fn.translation!.invalidationDelay = 700
    expect(t.submit(invalidateDevice)).toBe(false)
    t.time.advance()
    expect([t.completed, t.time.now]).toEqual([true, 700])
  })

  test('of a function that never answers is a time-out error', () => {
    t.fn.translation!.invalidationDelay = -1
    t.submit(invalidateDevice)
    t.time.advance()
    expect([t.completed, t.read(UNIT + 0x34), t.read(UNIT + 0xb4) & 0xffff]).toEqual([false, ITE, SID])
  })

  test('of a function that is not there, or knows no ATS, is one too', () => {
    for (const sid of [0x0200, 0x0008]) {
      t = new Driver()
      t.submit([0x3, sid, IOVA, 0])
      t.time.advance()
      expect([t.completed, t.read(UNIT + 0x34), t.read(UNIT + 0xb4) & 0xffff]).toEqual([false, ITE, sid])
    }
  })
})

describe('a request with PASID', () => {
  test('is not sent before software has enabled PASIDs, and the modes it asks for', () => {
    expect(t.dma({ pasid: PASID }).status).toBe(PASID_DISABLED)
    t.config(FUNCTION + PASID_CONTROL, 1 << 16)
    expect(t.dma({ pasid: PASID }).status).toBe(SUCCESSFUL)
    expect(t.dma({ pasid: PASID, execute: true }).status).toBe(PASID_DISABLED)
    expect(t.dma({ pasid: PASID, privileged: true }).status).toBe(PASID_DISABLED)
    t.config(FUNCTION + PASID_CONTROL, 7 << 16)
    expect(t.dma({ pasid: PASID, execute: true, privileged: true }).status).toBe(SUCCESSFUL)
    expect(t.dma({ privileged: true }).status).toBe(PASID_DISABLED)
  })

  test('reaches the address space of its PASID, translated by the unit or by the device-TLB', () => {
    t.config(FUNCTION + PASID_CONTROL, 1 << 16)
    expect(t.dma({ pasid: PASID, useAts: false })).toMatchObject({ addressType: 0, found: 0x22222222 })
    t.enableAts()
    expect(t.dma({ pasid: PASID })).toMatchObject({ addressType: TRANSLATED, found: 0x22222222 })
    expect(t.dma()).toMatchObject({ addressType: TRANSLATED, found: 0x11111111 })
  })

  test('has translations that are invalidated by PASID, or for every PASID', () => {
    t.config(FUNCTION + PASID_CONTROL, 1 << 16)
    t.enableAts()
    const held = () =>
      t.fn
        .translation!.entries()
        .map(({ pasid }) => pasid)
        .sort()
    const fill = () => {
      t.dma({ pasid: PASID })
      t.dma()
    }
    fill()
    t.submit([0x8 + SID * 0x1_0000, PASID + 1, IOVA, 0])
    expect(held()).toEqual([-1, PASID])
    t.submit([0x8 + SID * 0x1_0000, PASID, IOVA, 0])
    expect(held()).toEqual([-1])
    fill()
    t.submit(invalidateDevice)
    expect(held()).toEqual([PASID])
    t.submit([0x8 + SID * 0x1_0000, 0, 0xffff_f801, 0x7fff_ffff])
    expect(held()).toEqual([])
  })
})
