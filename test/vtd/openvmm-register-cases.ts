/** OpenVMM's situations around registers and commands. */
import { expect } from 'vitest'
import { TestUnit } from './fixture.ts'
import {
  ask,
  type Case,
  CFI,
  context,
  enable,
  entry,
  FRCD,
  IOTLB,
  IRE,
  LEVEL_4,
  make,
  mapped,
  QIE,
  QUEUE,
  remapping,
  SIRTP,
  SRTP,
  status,
  TE,
} from './openvmm-machine.ts'

export const registers: readonly Case[] = [
  ['version is 1.0', () => expect(make().read32(0)).toBe(0x10)],
  [
    'CAP: 48 bits, three and four levels, both large pages, draining, one record at 120h',
    () => {
      const cap = make().read64(8)
      const field = (low: bigint, width: bigint) => Number((cap >> low) & ((1n << width) - 1n))
      expect([field(16n, 6n), field(8n, 5n), field(40n, 8n), field(24n, 10n)]).toEqual([47, 6, 0, 0x12])
      expect([field(34n, 4n), field(54n, 1n), field(55n, 1n), field(7n, 1n)]).toEqual([3, 1, 1, 0])
      expect(field(0n, 3n)).toBe(6)
    },
  ],
  [
    'ECAP: coherent, queued invalidation, interrupt remapping with extended mode, registers at 100h',
    () => {
      const ecap = make().read64(0x10)
      expect(ecap & 0b11011n).toBe(0b11011n)
      expect([(ecap >> 8n) & 0x3ffn, (ecap >> 20n) & 15n]).toEqual([0x10n, 15n])
    },
  ],
  ['GCMD reads zero', () => expect(mapped().read32(0x18)).toBe(0)],
  ['nothing is enabled at reset', () => expect(make().read32(0x1c)).toBe(0)],
  [
    'root pointer set, then translation enabled',
    () => {
      const t = make()
      t.write64(0x20, 0x1000_0000)
      expect(t.read64(0x20)).toBe(0x1000_0000n)
      t.command(SRTP)
      expect([status(t, 30), status(t, 31)]).toEqual([1, 0])
      t.command(TE)
      expect([status(t, 30), status(t, 31)]).toEqual([1, 1])
    },
  ],
  [
    'interrupt table set, then remapping enabled',
    () => {
      const t = make()
      t.write64(0xb8, 0x2000_0000)
      expect(t.read64(0xb8)).toBe(0x2000_0000n)
      t.command(SIRTP)
      expect([status(t, 24), status(t, 25)]).toEqual([1, 0])
      t.command(IRE)
      expect([status(t, 24), status(t, 25)]).toEqual([1, 1])
    },
  ],
  [
    'queued invalidation on and off',
    () => {
      const t = make()
      t.write64(0x90, QUEUE)
      t.command(QIE)
      expect(status(t, 26)).toBe(1)
      t.command(QIE, 0)
      expect(status(t, 26)).toBe(0)
    },
  ],
  [
    'a context-cache command completes and reports what was asked',
    () => {
      const t = make()
      t.write64(0x28, 0xa000_0000_0000_0000n)
      expect(t.read64(0x28) >> 59n).toBe(0b00101n)
    },
  ],
  [
    'an IOTLB command completes and reports what was asked',
    () => {
      const t = make()
      t.write64(IOTLB, 0x9000_0000_0000_0000n)
      expect(t.read64(IOTLB) >> 57n).toBe(0b0001001n)
    },
  ],
  [
    'FSTS: writing 1 clears one condition and no other',
    () => {
      const t = mapped()
      ask(t, 0x1000)
      ask(t, 0x2000)
      t.write64(0x90, QUEUE)
      t.store(QUEUE, 0xf)
      t.command(QIE)
      t.write64(0x88, 16)
      expect(t.read32(0x34) & 0x13).toBe(0x13)
      t.write32(0x34, 1)
      expect(t.read32(0x34) & 0x13).toBe(0x12)
    },
  ],
  [
    'PPF follows F of the record, which is cleared by writing 1',
    () => {
      const t = mapped()
      expect(t.read32(0x34) & 2).toBe(0)
      ask(t, 0x1000)
      expect([t.read32(0x34) & 2, t.read64(FRCD + 8) >> 63n]).toEqual([2, 1n])
      t.write64(FRCD + 8, 1n << 63n)
      expect([t.read32(0x34) & 2, t.read64(FRCD + 8) >> 63n]).toEqual([0, 0n])
    },
  ],
  [
    'ICS.IWC is cleared by writing 1',
    () => {
      const t = make()
      t.write64(0x90, QUEUE)
      t.store(QUEUE, 0x15)
      t.command(QIE)
      t.write64(0x88, 16)
      expect(t.read32(0x9c)).toBe(1)
      t.write32(0x9c, 1)
      expect(t.read32(0x9c)).toBe(0)
    },
  ],
  [
    'a write to IRTA while remapping is on changes no interrupt',
    () => {
      const t = remapping()
      entry(t, 0x42, 0x300)
      t.write64(0xb8, 0x4000_0000)
      expect([t.interrupt(0xfee0_0010), t.message.vector]).toEqual([0, 0x42])
    },
  ],
  [
    'offsets without a register read zero',
    () => expect([make().read32(0x50), make().read64(0x60) & 0xffff_ffffn]).toEqual([0, 0n]),
  ],
  [
    'the halves of a 64-bit register are the register',
    () => {
      const t = make()
      expect(t.read64(8)).toBe((BigInt(t.read32(12)) << 32n) + BigInt(t.read32(8)))
    },
  ],
  [
    'CFIS follows CFI',
    () => {
      const t = make()
      t.command(CFI)
      expect(status(t, 23)).toBe(1)
      t.command(CFI, 0)
      expect(status(t, 23)).toBe(0)
    },
  ],
  [
    'a command and its status have one place',
    () => {
      const t = make()
      for (const bit of [TE, SRTP, QIE, IRE, SIRTP, CFI]) {
        t.command(bit)
        expect(status(t, bit), `bit ${bit}`).toBe(1)
      }
    },
  ],
  [
    'QS counts pages: 256 descriptors at 0, 32768 at 7',
    () => {
      for (const [qs, last] of [
        [0, 255],
        [7, 32767],
      ] as const) {
        const t = make()
        t.write64(0x90, 0x40_0000 + qs)
        t.command(QIE)
        for (let i = 0; i <= last; i++) t.store(0x40_0000 + i * 16, 0x65)
        t.write64(0x88, last * 16)
        expect(t.read64(0x80)).toBe(BigInt(last * 16))
        t.write64(0x88, 0)
        expect([t.read64(0x80), t.read32(0x34)]).toEqual([0n, 0])
      }
    },
  ],
  [
    'S counts entries: 2 at 0, 65536 at 15',
    () => {
      const small = remapping({ size: 0 })
      expect([small.interrupt(0xfee0_0030), small.interrupt(0xfee0_0050)]).toEqual([0x22, 0x21])
      expect(remapping({ size: 15 }).interrupt(0xfeef_fff4)).toBe(0x22)
    },
  ],
  [
    'AW 1, 2 and 3 are 3, 4 and 5 levels, 0 and 4 are none',
    () => {
      for (const [aw, levels] of [
        [0, 0],
        [1, 3],
        [2, 4],
        [3, 5],
        [4, 0],
      ] as const) {
        const t = new TestUnit({ capabilities: { SAGAW: 0b1110, MGAW: 56 } })
        context(t, LEVEL_4 + 1, 0x100 + aw)
        // A table that is its own child: as many reads as there are levels, after root and context entry.
        t.store(LEVEL_4, LEVEL_4 + 3)
        enable(t)
        expect(ask(t, 0)).toBe(levels === 0 ? -0x03 : LEVEL_4)
        expect(t.request.tableReads).toBe(2 + levels)
      }
    },
  ],
]
