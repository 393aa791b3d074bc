/**
 * The reserved bits of every structure, as literals: where a 1 is a fault. Each row says how to make a machine in which
 * nothing else is wrong, which quadword it is about, and the bits.
 */
import { CONTEXT, IOVA, IRT, L1, L2, L3, L4, ROOT, SID, TestUnit } from './fixture.ts'
import {
  type Asked,
  CONTEXT_ENTRY,
  FS,
  FULL,
  INDEX,
  OnePage,
  PASID,
  PASID_ENTRY,
  S_DIRECTORY,
  S_ROOT,
  SS,
  TYPE,
} from './one-page-fixture.ts'

type Range = readonly [high: number, low: number]
type Capabilities = Readonly<Record<string, number>>

export interface ReservedRow {
  readonly name: string
  readonly code: number
  readonly address: number
  readonly bits: readonly Range[]
  /** A machine ready for the request, and the request: the reason code, 0 if it is allowed. */
  make(): { readonly t: TestUnit; ask(): number }
}

const code = (answer: number | null): number => (answer !== null && answer < 0 ? -answer : 0)

function legacy(
  name: string,
  reason: number,
  address: number,
  bits: readonly Range[],
  {
    capabilities = {},
    prepare = () => undefined,
  }: {
    capabilities?: Capabilities
    prepare?: (t: TestUnit) => void
  } = {},
): ReservedRow {
  return {
    name: `legacy ${name}`,
    code: reason,
    address,
    bits,
    make() {
      const t = new TestUnit({ capabilities }).enableTranslation()
      prepare(t)
      return { t, ask: () => code(t.dma(IOVA)) }
    },
  }
}

function scalable(
  name: string,
  reason: number,
  type: number,
  address: number,
  bits: readonly Range[],
  {
    capabilities = {},
    prepare = () => undefined,
    asked = {},
  }: {
    capabilities?: Capabilities
    prepare?: (t: OnePage) => void
    asked?: Asked
  } = {},
): ReservedRow {
  return {
    name: `scalable ${name}`,
    code: reason,
    address,
    bits,
    make() {
      const t = new OnePage(type, { ...FULL, ...capabilities })
      prepare(t)
      return { t, ask: () => code(t.ask(IOVA, asked)) }
    },
  }
}

const DESCRIPTOR = 0x1_0005_0000

function interrupt(
  name: string,
  word: number,
  bits: readonly Range[],
  { eime = false, capabilities = {}, posted = false, reason = 0x24 } = {} as {
    eime?: boolean
    capabilities?: Capabilities
    posted?: boolean
    reason?: number
  },
): ReservedRow {
  return {
    name: `IRTE ${name}`,
    code: reason,
    address: reason === 0x28 ? DESCRIPTOR + word * 8 : IRT + 80 + word * 8,
    bits,
    make() {
      const t = new TestUnit({ capabilities })
      t.enableInterruptRemapping({ eime })
      t.store(IRT + 80, posted ? BigInt(DESCRIPTOR % 2 ** 32) * 2n ** 32n + 0x41_8001n : 0x41_0001n)
      t.store(IRT + 88, (posted ? 2n ** 32n : 0n) + BigInt(0x4_0000 + SID))
      return { t, ask: () => t.interrupt(0xfee0_00b0) }
    },
  }
}

const legacyContext = CONTEXT + 0x11 * 16
const first = (level: 1 | 2 | 3 | 4 | 5): number => FS[level] + INDEX[level] * 8
const second = (level: 1 | 2 | 3 | 4 | 5): number => SS[level] + INDEX[level] * 8
const HIGH: Range = [63, 48]
/** Above the host address width inside ADDR of a paging entry. */
const ABOVE: Range = [51, 48]
const large = 0x80

const legacyPaging: readonly ReservedRow[] = [
  legacy('root entry, lower half', 0x0a, ROOT + 48, [[11, 1], HIGH]),
  legacy('root entry, upper half', 0x0a, ROOT + 56, [[63, 0]]),
  legacy('context entry, lower half', 0x0b, legacyContext, [[11, 4], HIGH]),
  legacy('context entry, upper half', 0x0b, legacyContext + 8, [
    [7, 7],
    [63, 24],
  ]),
  legacy('context entry, domain-id beyond CAP.ND', 0x0b, legacyContext + 8, [[23, 18]], {
    capabilities: { ND: 3 },
  }),
  legacy('level-5 entry', 0x0c, SS[5], [[7, 7], [11, 11], ABOVE, [62, 62]], {
    capabilities: { SAGAW: 0b1110, MGAW: 56 },
    prepare: t => {
      t.store(legacyContext, SS[5] + 1)
      t.store(legacyContext + 8, 0x703)
      t.store(SS[5], L4 + 3)
    },
  }),
  legacy('level-4 entry', 0x0c, L4, [[7, 7], [11, 11], ABOVE, [62, 62]]),
  legacy('level-3 entry to a table', 0x0c, L3 + 72, [[11, 11], ABOVE, [62, 62]]),
  legacy('level-2 entry to a table', 0x0c, L2 + 24, [[11, 11], ABOVE, [62, 62]]),
  legacy('level-1 entry', 0x0c, L1 + 56, [ABOVE, [62, 62]]),
  legacy('level-1 entry, SNP without ECAP.SC', 0x0c, L1 + 56, [[11, 11]], { capabilities: { SC: 0 } }),
  legacy('1-GiB entry', 0x0c, L3 + 72, [[29, 12], ABOVE, [62, 62]], {
    prepare: t => t.store(L3 + 72, 0x4000_0003 + large),
  }),
  legacy('2-MiB entry', 0x0c, L2 + 24, [[20, 12], ABOVE, [62, 62]], {
    prepare: t => t.store(L2 + 24, 0x4000_0003 + large),
  }),
  legacy('PS of a level-3 entry without 1-GiB pages', 0x0c, L3 + 72, [[7, 7]], {
    capabilities: { SSLPS: 1 },
  }),
  legacy('PS of a level-2 entry without 2-MiB pages', 0x0c, L2 + 24, [[7, 7]], {
    capabilities: { SSLPS: 0 },
  }),
]

const scalableTables: readonly ReservedRow[] = [
  scalable('root entry', 0x3a, TYPE.second, S_ROOT + 48, [[11, 1], HIGH]),
  scalable('context entry, first quadword', 0x42, TYPE.second, CONTEXT_ENTRY, [[8, 5], HIGH]),
  scalable('context entry, second quadword', 0x42, TYPE.second, CONTEXT_ENTRY + 8, [[63, 21]]),
  scalable('context entry, third quadword', 0x42, TYPE.second, CONTEXT_ENTRY + 16, [[63, 0]]),
  scalable('context entry, fourth quadword', 0x42, TYPE.second, CONTEXT_ENTRY + 24, [[63, 0]]),
  scalable('DTE without ECAP.DT', 0x42, TYPE.second, CONTEXT_ENTRY, [[2, 2]], {
    capabilities: { DT: 0, PRS: 0, PDS: 0 },
  }),
  scalable('PASIDE without ECAP.PASID', 0x42, TYPE.second, CONTEXT_ENTRY, [[3, 3]], {
    capabilities: { PASID: 0, ERS: 0 },
  }),
  scalable('PRE without ECAP.PRS', 0x42, TYPE.second, CONTEXT_ENTRY, [[4, 4]], { capabilities: { PRS: 0 } }),
  scalable('RID_PASID without ECAP.RPS', 0x42, TYPE.second, CONTEXT_ENTRY + 8, [[19, 0]], {
    capabilities: { RPS: 0 },
  }),
  scalable('RID_PRIV without ECAP.RPRIVS', 0x42, TYPE.second, CONTEXT_ENTRY + 8, [[20, 20]], {
    capabilities: { RPRIVS: 0 },
  }),
  scalable('PASID-directory entry', 0x52, TYPE.second, S_DIRECTORY, [[11, 2], HIGH]),
  scalable('PASID-table entry, first quadword', 0x5a, TYPE.second, PASID_ENTRY, [[11, 10], HIGH]),
  scalable('PASID-table entry, second quadword', 0x5a, TYPE.second, PASID_ENTRY + 8, [[22, 16]]),
  scalable('PASID-table entry, third quadword', 0x5a, TYPE.first, PASID_ENTRY + 16, [[11, 8], HIGH]),
  ...[3, 4, 5, 6, 7].map(i =>
    scalable(`PASID-table entry, quadword ${i}`, 0x5a, TYPE.second, PASID_ENTRY + i * 8, [[63, 0]]),
  ),
  scalable(
    'AW, SSADE and SSPTPTR without ECAP.SSTS',
    0x5a,
    TYPE.first,
    PASID_ENTRY,
    [
      [4, 2],
      [9, 9],
      [63, 12],
    ],
    {
      capabilities: { SSTS: 0, NEST: 0, SSADS: 0 },
    },
  ),
  scalable('SSADE without ECAP.SSADS', 0x5a, TYPE.second, PASID_ENTRY, [[9, 9]], {
    capabilities: { SSADS: 0 },
  }),
  scalable('PWSNP without ECAP.SMPWCS', 0x5a, TYPE.second, PASID_ENTRY + 8, [[23, 23]], {
    capabilities: { SMPWCS: 0, SSADS: 0, EAFS: 0 },
  }),
  scalable('PGSNP without ECAP.SC', 0x5a, TYPE.second, PASID_ENTRY + 8, [[24, 24]], {
    capabilities: { SC: 0 },
  }),
  scalable('memory types without ECAP.MTS', 0x5a, TYPE.second, PASID_ENTRY + 8, [
    [31, 25],
    [63, 32],
  ]),
  scalable(
    'third quadword without ECAP.FSTS',
    0x5a,
    TYPE.second,
    PASID_ENTRY + 16,
    [
      [4, 0],
      [63, 12],
    ],
    {
      capabilities: { FSTS: 0, NEST: 0, EAFS: 0, FS1GP: 0, FS5LP: 0 },
    },
  ),
  scalable('reserved bits before an invalid type', 0x5a, TYPE.passThrough, PASID_ENTRY, [[10, 10]]),
]

const fiveLevels = (t: OnePage): void => t.store(PASID_ENTRY + 16, FS[5] + 4 + 3)

const scalablePaging: readonly ReservedRow[] = [
  scalable('first-stage level-5 entry', 0x72, TYPE.first, first(5), [[7, 7], ABOVE], { prepare: fiveLevels }),
  scalable('first-stage level-4 entry', 0x72, TYPE.first, first(4), [[7, 7], ABOVE]),
  scalable('first-stage level-3 entry to a table', 0x72, TYPE.first, first(3), [ABOVE]),
  scalable('first-stage level-2 entry to a table', 0x72, TYPE.first, first(2), [ABOVE]),
  scalable('first-stage level-1 entry', 0x72, TYPE.first, first(1), [ABOVE]),
  scalable('first-stage XD without NXE', 0x72, TYPE.first, first(1), [[63, 63]]),
  scalable('first-stage 1-GiB entry', 0x72, TYPE.first, first(3), [[29, 13], ABOVE], {
    prepare: t => t.store(first(3), 0x4000_0067 + large),
  }),
  scalable('first-stage 2-MiB entry', 0x72, TYPE.first, first(2), [[20, 13], ABOVE], {
    prepare: t => t.store(first(2), 0x4000_0067 + large),
  }),
  scalable('PS of a first-stage level-3 entry without CAP.FS1GP', 0x72, TYPE.first, first(3), [[7, 7]], {
    capabilities: { FS1GP: 0 },
  }),
  scalable('second-stage level-5 entry', 0x7a, TYPE.second, second(5), [[7, 7], [11, 11], ABOVE, [62, 62]], {
    prepare: t => t.store(PASID_ENTRY, SS[5] + 0x8d),
  }),
  scalable('second-stage level-4 entry', 0x7a, TYPE.second, second(4), [[7, 7], [11, 11], ABOVE, [62, 62]]),
  scalable('second-stage level-3 entry to a table', 0x7a, TYPE.second, second(3), [
    [11, 11],
    ABOVE,
    [62, 62],
  ]),
  scalable('second-stage level-2 entry to a table', 0x7a, TYPE.second, second(2), [
    [11, 11],
    ABOVE,
    [62, 62],
  ]),
  scalable('second-stage level-1 entry', 0x7a, TYPE.second, second(1), [ABOVE, [62, 62]]),
  scalable('second-stage SNP without ECAP.SC', 0x7a, TYPE.second, second(1), [[11, 11]], {
    capabilities: { SC: 0 },
  }),
  scalable('second-stage 1-GiB entry', 0x7a, TYPE.second, second(3), [[29, 12], ABOVE, [62, 62]], {
    prepare: t => t.store(second(3), 0x4000_0003 + large),
  }),
  scalable('second-stage 2-MiB entry', 0x7a, TYPE.second, second(2), [[20, 12], ABOVE, [62, 62]], {
    prepare: t => t.store(second(2), 0x4000_0003 + large),
  }),
  scalable('second-stage entry of nested translation', 0x7a, TYPE.nested, second(1), [ABOVE, [62, 62]]),
  scalable('first-stage entry of nested translation', 0x72, TYPE.nested, first(4), [[7, 7]], {
    asked: { pasid: PASID },
  }),
  scalable('PS of a second-stage level-3 entry without 1-GiB pages', 0x7a, TYPE.second, second(3), [[7, 7]], {
    capabilities: { SSLPS: 1 },
  }),
]

const posting = { PI: 1 }
const interrupts: readonly ReservedRow[] = [
  interrupt('for a remapped interrupt, lower half', 0, [
    [14, 12],
    [31, 24],
  ]),
  interrupt('DST without extended mode', 0, [
    [39, 32],
    [63, 48],
  ]),
  interrupt('for a remapped interrupt, upper half', 1, [[63, 20]], { eime: true }),
  interrupt('IM without CAP.PI', 0, [[15, 15]]),
  interrupt(
    'for a posted interrupt, lower half',
    0,
    [
      [7, 2],
      [13, 12],
      [31, 24],
      [37, 32],
    ],
    {
      capabilities: posting,
      posted: true,
    },
  ),
  interrupt('for a posted interrupt, upper half', 1, [[31, 20], HIGH], {
    capabilities: posting,
    posted: true,
  }),
  interrupt(
    'posted descriptor, status',
    4,
    [
      [15, 2],
      [31, 24],
      [39, 32],
      [63, 48],
    ],
    { capabilities: posting, posted: true, reason: 0x28 },
  ),
  ...[5, 6, 7].map(i =>
    interrupt(`posted descriptor, quadword ${i}`, i, [[63, 0]], {
      capabilities: posting,
      posted: true,
      reason: 0x28,
    }),
  ),
]

export const RESERVED_ROWS: readonly ReservedRow[] = [
  ...legacyPaging,
  ...scalableTables,
  ...scalablePaging,
  ...interrupts,
]
