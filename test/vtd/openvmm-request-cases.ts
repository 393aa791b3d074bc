/** OpenVMM's situations around DMA and interrupt requests. */
import { expect } from 'vitest'
import {
  ask,
  type Case,
  CFI,
  context,
  enable,
  entry,
  FRCD,
  INTERRUPTS,
  IRE,
  LEVEL_1,
  LEVEL_2,
  LEVEL_3,
  LEVEL_4,
  make,
  mapped,
  PAGE,
  QIE,
  QUEUE,
  remapping,
  SIRTP,
  TE,
} from './openvmm-machine.ts'

export const translation: readonly Case[] = [
  ['four levels to a 4-KiB page', () => expect(ask(mapped(), 0)).toBe(PAGE)],
  ['the offset is kept', () => expect(ask(mapped(), 0x123)).toBe(PAGE + 0x123)],
  [
    'translation off: addresses pass',
    () => {
      const t = mapped()
      t.command(TE, 0)
      expect(ask(t, 0xdead_beef)).toBe(0xdead_beef)
    },
  ],
  [
    'three levels',
    () => {
      const t = mapped()
      context(t, LEVEL_3 + 1, 0x101)
      expect(ask(t, 0)).toBe(PAGE)
    },
  ],
  [
    'a 2-MiB page',
    () => {
      const t = mapped()
      t.store(LEVEL_2, PAGE + 0x83)
      expect(ask(t, 0x1234)).toBe(PAGE + 0x1234)
    },
  ],
  [
    'a 1-GiB page',
    () => {
      const t = mapped()
      t.store(LEVEL_3 + 8, 0x4000_0083)
      expect(ask(t, 0x4000_1234)).toBe(0x4000_1234)
    },
  ],
  [
    'each level has nine bits of the address',
    () => {
      const t = mapped()
      t.store(LEVEL_4 + 0xff * 8, LEVEL_3 + 3)
      expect(ask(t, 0x7f80_0000_0000)).toBe(PAGE)
    },
  ],
  [
    'pass-through',
    () => {
      const t = make()
      context(t, 9)
      expect(ask(enable(t), 0xabcd_0000)).toBe(0xabcd_0000)
    },
  ],
  ['no root entry', () => expect(ask(enable(make()), 0x1000)).toBe(-0x01)],
  [
    'no context entry',
    () => {
      const t = make()
      context(t, 0, 0)
      expect(ask(enable(t), 0x1000)).toBe(-0x02)
    },
  ],
  ['an entry without R and W, read', () => expect(ask(mapped(), 0x1000)).toBe(-0x06)],
  [
    'X alone does not make an entry present',
    () => {
      const t = mapped()
      t.store(LEVEL_1 + 8, PAGE + 4)
      expect(ask(t, 0x1000)).toBe(-0x06)
    },
  ],
  [
    'a read-only page is read, not written',
    () => {
      const t = mapped()
      t.store(LEVEL_1, 1)
      expect([ask(t, 0), ask(t, 0, { write: true })]).toEqual([0, -0x05])
    },
  ],
  [
    'rights are those of the whole path',
    () => {
      const t = mapped()
      t.store(LEVEL_2, LEVEL_1 + 1)
      expect(ask(t, 0, { write: true })).toBe(-0x05)
    },
  ],
  [
    'FPD in the context entry: blocked, not recorded',
    () => {
      const t = make()
      context(t, 0x30_0003)
      expect(ask(enable(t), 0)).toBe(-0x06)
      expect([t.read64(FRCD + 8), t.read32(0x34)]).toEqual([0n, 0])
    },
  ],
  [
    'a record holds source, reason, address and direction',
    () => {
      const t = make()
      t.dma(0x1000, { sid: 0x0100 })
      enable(t)
      t.dma(0x1000, { sid: 0x0100 })
      const high = t.read64(FRCD + 8)
      expect([high >> 63n, high & 0xffffn, (high >> 32n) & 0xffn, (high >> 62n) & 1n]).toEqual([
        1n,
        0x100n,
        1n,
        1n,
      ])
      expect(t.read64(FRCD)).toBe(0x1000n)
    },
  ],
  [
    'a second fault overflows the only record, which keeps the first',
    () => {
      const t = enable(make())
      t.dma(0x1000, { sid: 0x0100, write: true })
      t.dma(0x2000, { sid: 0x0200 })
      expect(t.read32(0x34) & 3).toBe(3)
      expect(t.read64(FRCD + 8) & 0xffffn).toBe(0x100n)
    },
  ],
]

export const interrupts: readonly Case[] = [
  [
    'index without subhandle: address bits 19:5 and 2',
    () => {
      const t = remapping()
      for (const [address, index] of [
        [0xfee0_0010, 0],
        [0xfee0_00f0, 7],
        [0xfee0_00f4, 0x8007],
      ] as const) {
        t.interrupt(address, 3)
        expect(t.request.interrupt.irteIndex).toBe(index)
      }
    },
  ],
  [
    'index with subhandle: the data is added',
    () => {
      const t = remapping()
      t.interrupt(0xfee0_00b8, 3)
      expect(t.request.interrupt.irteIndex).toBe(8)
    },
  ],
  [
    'an xAPIC destination is bits 15:8 of DST',
    () => {
      const t = remapping()
      entry(t, 0x42, 0x300)
      expect(t.interrupt(0xfee0_0010)).toBe(0)
      expect([t.message.destination, t.message.vector]).toEqual([3, 0x42])
    },
  ],
  [
    'an x2APIC destination beyond 255',
    () => {
      const t = remapping({ eime: true })
      entry(t, 0x50, 300)
      expect(t.interrupt(0xfee0_0010)).toBe(0)
      expect([t.message.destination, t.message.vector]).toEqual([300, 0x50])
    },
  ],
  [
    'remapping off: a message passes as it is',
    () => {
      const t = make()
      expect(t.interrupt(0xfee0_1234, 0x42)).toBe(0)
      expect([t.message.destination, t.message.vector]).toEqual([1, 0x42])
    },
  ],
  [
    'remapping comes on between two messages of one device',
    () => {
      const t = make()
      expect([t.interrupt(0xfee0_0000, 0x31, { sid: 0xa0 }), t.message.vector]).toEqual([0, 0x31])
      t.write64(0xb8, INTERRUPTS + 15)
      t.command(SIRTP)
      t.command(IRE)
      entry(t, 0x45, 0x200, 0x4_00a0)
      expect(t.interrupt(0xfee0_0010, 0, { sid: 0xa0 })).toBe(0)
      expect([t.message.destination, t.message.vector]).toEqual([2, 0x45])
    },
  ],
  ['an entry not present', () => expect(remapping().interrupt(0xfee0_0010)).toBe(0x22)],
  [
    'a posted entry without posting',
    () => {
      const t = remapping()
      entry(t, 0x40, 0, 0, 0x8001)
      expect(t.interrupt(0xfee0_0010)).toBe(0x24)
    },
  ],
  [
    'an invalidated entry is read anew',
    () => {
      const t = remapping()
      entry(t, 0x42, 0)
      t.interrupt(0xfee0_0010)
      entry(t, 0x43, 0)
      t.write64(0x90, QUEUE)
      t.command(QIE)
      t.store(QUEUE, 4)
      t.write64(0x88, 16)
      expect(t.read64(0x80)).toBe(16n)
      t.interrupt(0xfee0_0010)
      expect(t.message.vector).toBe(0x43)
    },
  ],
  ['compatibility format is blocked', () => expect(remapping().interrupt(0xfee0_0000)).toBe(0x25)],
  [
    'compatibility format passes with CFIS',
    () => {
      const t = remapping()
      t.command(CFI)
      expect([t.interrupt(0xfee0_0000, 0x42), t.message.vector]).toEqual([0, 0x42])
    },
  ],
  [
    'the source-id is verified',
    () => {
      const t = remapping()
      entry(t, 0x30, 0x100, 0x4_0100)
      expect(t.interrupt(0xfee0_0010, 0, { sid: 0x100 })).toBe(0)
      expect(t.interrupt(0xfee0_0010, 0, { sid: 0x200 })).toBe(0x26)
    },
  ],
]
