/** Every reason code of "Fault Reason Encodings", and a scenario that meets it. */
import { PhysicalMemory } from '../../src/memory/index.ts'
import { CONTEXT, IOVA, IRT, L1, L2, L4, NOWHERE, RAM, ROOT, SID, TestUnit } from './fixture.ts'
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

/** What a scenario shows: the reason given to the requester, and whether a record was made. */
export interface Met {
  readonly reason: number
  readonly recorded: boolean
}
/** Makes the situation, with FPD set wherever it can be if `disabled`, and the request. */
export type Scenario = (disabled: boolean) => Met

const met = (t: TestUnit, answer: number | null): Met => ({
  reason: -(answer ?? 0),
  recorded: (t.read32(0x34) & 2) !== 0,
})

/** Legacy mode: the fixture's tables, changed, and one request. */
const legacy =
  (change: (t: TestUnit) => void, address = IOVA, asked: Parameters<TestUnit['dma']>[1] = {}): Scenario =>
  disabled => {
    const t = new TestUnit({ capabilities: { DT: 1 } })
    t.enableTranslation()
    change(t)
    if (disabled) t.store(CONTEXT + 0x11 * 16, t.load(CONTEXT + 0x11 * 16) | 2n)
    return met(t, t.dma(address, asked))
  }

/** Scalable mode, in the same way. */
const scalable =
  (
    type: number,
    change: (t: OnePage) => void,
    asked: Asked & { readonly address?: number } = {},
    capabilities: Readonly<Record<string, number>> = FULL,
  ): Scenario =>
  disabled => {
    const t = new OnePage(type, capabilities)
    change(t)
    if (disabled) t.disableFaultProcessing()
    return met(t, t.ask(asked.address ?? IOVA, asked))
  }

/** An interrupt through entry 5, which is good until changed. */
const interrupt =
  (
    change: (t: TestUnit) => void,
    { low = 0xfee0_00b0, high = 0, data = 0 } = {},
    capabilities: Readonly<Record<string, number>> = {},
  ): Scenario =>
  disabled => {
    const t = new TestUnit({ capabilities })
    t.enableInterruptRemapping()
    t.store(IRT + 5 * 16, 0x41_0001n)
    t.store(IRT + 5 * 16 + 8, 0x4_0000 + SID)
    change(t)
    if (disabled) t.store(IRT + 5 * 16, t.load(IRT + 5 * 16) | 2n)
    return met(t, -t.interrupt(low, data, { addressHigh: high }))
  }

const DESCRIPTOR = 0x1_0005_0000
/** Makes entry 5 one for posted interrupts with the descriptor at an address. */
const posted = (t: TestUnit, descriptor = DESCRIPTOR): void => {
  t.store(IRT + 5 * 16, BigInt(descriptor % 2 ** 32) * 0x1_0000_0000n + 0x41_8001n)
  t.store(
    IRT + 5 * 16 + 8,
    BigInt(Math.floor(descriptor / 2 ** 32)) * 0x1_0000_0000n + BigInt(0x4_0000 + SID),
  )
}

const pageRequest =
  (scenario: (t: TestUnit) => void, make: () => TestUnit): Scenario =>
  disabled => {
    const t = make()
    scenario(t)
    if (disabled && t instanceof OnePage) t.disableFaultProcessing()
    t.unit.pageRequest({
      sourceId: SID,
      pasid: -1,
      page: 0x1234,
      read: true,
      write: false,
      execute: false,
      privileged: false,
      groupIndex: 3,
      last: true,
    })
    const recorded = (t.read32(0x34) & 2) !== 0
    // Nobody but the record tells of the reason, so a suppressed fault is known by the answer to the function.
    const reason = recorded ? t.record().reason : t.pageGroupResponses.length > 0 ? -1 : 0
    return { reason, recorded }
  }

/** Memory of which one page can be read but not written. */
class PartlyReadOnly extends PhysicalMemory {
  readOnly = -1
  override pageForWrite(page: number) {
    return page === this.readOnly ? undefined : super.pageForWrite(page)
  }
}

const readOnlyTable =
  (type: number, table: number, change: (t: OnePage) => void): Scenario =>
  disabled => {
    const memory = new PartlyReadOnly(RAM)
    const t = new OnePage(type, FULL, {}, memory)
    change(t)
    if (disabled) t.disableFaultProcessing()
    memory.readOnly = table / 4096
    return met(t, t.ask(IOVA))
  }

const NO_MEMORY = BigInt(NOWHERE)
const first = (level: 1 | 2 | 3 | 4): number => FS[level] + INDEX[level] * 8
const second = (level: 1 | 2 | 3 | 4): number => SS[level] + INDEX[level] * 8
/** Where the second stage maps the tables of the first: 1 GiB, writable and marked. */
const TABLES_LEAF = SS[3] + 4 * 8
const nothing = (): void => undefined
const ACCESSED = 0x20n
const scalableRoot = S_ROOT + (SID >> 8) * 16

/** Code, name, qualified by FPD, scenario. */
export const FAULT_ROWS: readonly (readonly [code: number, id: string, qualified: boolean, Scenario])[] = [
  [0x01, 'LRT.2', false, legacy(t => t.store(ROOT + 48, 0))],
  [0x02, 'LCT.2', true, legacy(t => t.store(CONTEXT + 0x110, 0))],
  [0x03, 'LCT.4', true, legacy(t => t.store(CONTEXT + 0x118, 0x704))],
  [0x04, 'LGN.1', true, legacy(nothing, 2 ** 48)],
  [0x05, 'LGN.2', true, legacy(t => t.store(L1 + 56, 0x5001), IOVA, { write: true })],
  [0x06, 'LGN.3', true, legacy(t => t.store(L1 + 56, 0x5002))],
  [0x07, 'LSL.1', true, legacy(t => t.store(L2 + 24, NOWHERE + 3))],
  [
    0x08,
    'LRT.1',
    false,
    legacy(t => {
      t.write64(0x20, NOWHERE)
      t.command(30)
    }),
  ],
  [0x09, 'LCT.1', false, legacy(t => t.store(ROOT + 48, NOWHERE + 1))],
  [0x0a, 'LRT.3', false, legacy(t => t.store(ROOT + 48, CONTEXT + 0x11))],
  [0x0b, 'LCT.3', true, legacy(t => t.store(CONTEXT + 0x110, L4 + 0x11))],
  [0x0c, 'LSL.2', true, legacy(t => t.store(L4, 0x83))],
  [0x0d, 'LCT.5', true, legacy(nothing, IOVA, { addressType: 2 })],
  [0x0e, 'LGN.4', true, legacy(t => t.store(L1 + 56, 0xfee0_1003))],
  [0x20, 'IR.1', false, interrupt(nothing, { high: 1 })],
  [0x21, 'IR.2', false, interrupt(nothing, { low: 0xfee0_2010 })],
  [0x22, 'IR.3', true, interrupt(t => t.store(IRT + 80, 0))],
  [
    0x23,
    'IR.4',
    false,
    interrupt(t => {
      t.write64(0xb8, NOWHERE + 7)
      t.command(24)
    }),
  ],
  [0x24, 'IR.5', true, interrupt(t => t.store(IRT + 80, 0x41_1001))],
  [0x25, 'IR.6', false, interrupt(nothing, { low: 0xfee0_0000 })],
  [0x26, 'IR.7', true, interrupt(t => t.store(IRT + 88, 0x4_0000))],
  [0x27, 'IR.8', true, interrupt(t => posted(t, NOWHERE), {}, { PI: 1 })],
  [
    0x28,
    'IR.9',
    true,
    interrupt(
      t => {
        posted(t)
        t.store(DESCRIPTOR + 32, 4)
      },
      {},
      { PI: 1 },
    ),
  ],
  [0x29, 'IR.10', false, legacy(nothing, 0xfee0_0000)],
  [
    0x30,
    'RTA.1',
    false,
    legacy(t => {
      t.write64(0x20, ROOT + 0x800)
      t.command(30)
    }),
  ],
  [0x31, 'RTA.2', false, legacy(nothing, IOVA, { pasid: 1 })],
  [
    0x32,
    'RTA.3',
    false,
    pageRequest(nothing, () => new TestUnit({ capabilities: FULL }).enableTranslation()),
  ],
  [
    0x38,
    'SRT.1',
    false,
    scalable(TYPE.second, t => {
      t.write64(0x20, NOWHERE + 0x400)
      t.command(30)
    }),
  ],
  [0x39, 'SRT.2', false, scalable(TYPE.second, t => t.store(scalableRoot, 0))],
  [0x3a, 'SRT.3', false, scalable(TYPE.second, t => t.set(scalableRoot, 2n))],
  [0x40, 'SCT.1', false, scalable(TYPE.second, t => t.store(scalableRoot, NOWHERE + 1))],
  [0x41, 'SCT.2', true, scalable(TYPE.second, t => t.clear(CONTEXT_ENTRY, 1n))],
  [0x42, 'SCT.3', true, scalable(TYPE.second, t => t.set(CONTEXT_ENTRY, 0x20n))],
  [0x43, 'SCT.4', true, scalable(TYPE.second, t => t.store(CONTEXT_ENTRY + 8, 0x2000))],
  [0x44, 'SCT.5', true, scalable(TYPE.second, t => t.clear(CONTEXT_ENTRY, 4n), { addressType: 2 })],
  [0x45, 'SCT.6', true, scalable(TYPE.second, t => t.clear(CONTEXT_ENTRY, 8n), { pasid: PASID })],
  [0x46, 'SCT.7', true, scalable(TYPE.second, nothing, { pasid: 0x2000 })],
  [0x47, 'SCT.8', true, pageRequest(nothing, () => new OnePage(TYPE.second))],
  [
    0x48,
    'SCT.9',
    true,
    scalable(TYPE.second, t => t.store(CONTEXT_ENTRY + 8, 0x100), {}, { ...FULL, PSS: 7 }),
  ],
  [0x50, 'SPD.1', false, scalable(TYPE.second, t => t.store(CONTEXT_ENTRY, NOWHERE + 0xd))],
  [0x51, 'SPD.2', true, scalable(TYPE.second, t => t.clear(S_DIRECTORY, 1n))],
  [0x52, 'SPD.3', true, scalable(TYPE.second, t => t.set(S_DIRECTORY, 4n))],
  [0x58, 'SPT.1', false, scalable(TYPE.second, t => t.store(S_DIRECTORY, NOWHERE + 1))],
  [0x59, 'SPT.2', true, scalable(TYPE.second, t => t.clear(PASID_ENTRY, 1n))],
  [0x5a, 'SPT.3', true, scalable(TYPE.second, t => t.set(PASID_ENTRY, 0x400n))],
  [0x5b, 'SPT.4', true, scalable(TYPE.second, t => t.set(PASID_ENTRY, 0x1c0n))],
  [
    0x5c,
    'SPT.5',
    true,
    scalable(TYPE.first, t => t.clear(PASID_ENTRY + 16, 2n), { pasid: PASID, execute: true }),
  ],
  [
    0x5d,
    'SPT.6',
    true,
    scalable(TYPE.first, t => t.clear(PASID_ENTRY + 16, 1n), {
      pasid: PASID,
      privileged: true,
    }),
  ],
  [0x70, 'SFL.1', true, scalable(TYPE.first, t => t.store(first(3), NO_MEMORY + 0x67n))],
  [0x71, 'SFL.2', true, scalable(TYPE.first, t => t.clear(first(2), 1n))],
  [0x72, 'SFL.3', true, scalable(TYPE.first, t => t.set(first(4), 0x80n))],
  [0x73, 'SFL.4', true, scalable(TYPE.first, t => t.store(PASID_ENTRY + 16, NOWHERE + 3))],
  [
    0x74,
    'SFL.5',
    true,
    scalable(TYPE.nested, t => {
      // Three levels of second-stage tables: 39 bits.
      t.store(PASID_ENTRY, SS[3] + 0xc5)
      t.store(first(4), 2n ** 40n + 0x67n)
    }),
  ],
  [0x75, 'SFL.6', true, scalable(TYPE.nested, t => t.store(TABLES_LEAF, 0x1_0000_0082))],
  [
    0x76,
    'SFL.7',
    true,
    scalable(TYPE.nested, t => {
      t.store(first(4), 0x5000_0067n)
      t.store(SS[3] + 8, 0x1_0000_0082)
    }),
  ],
  [
    0x77,
    'SFL.8',
    true,
    scalable(TYPE.nested, t => {
      t.store(TABLES_LEAF, 0x1_0000_0081)
      t.clear(first(2), ACCESSED)
    }),
  ],
  [0x78, 'SSL.1', true, scalable(TYPE.second, t => t.store(second(3), NO_MEMORY + 3n))],
  [0x79, 'SSL.2', true, scalable(TYPE.second, t => t.store(second(2), 0))],
  [0x7a, 'SSL.3', true, scalable(TYPE.second, t => t.set(second(4), 0x80n))],
  [0x7b, 'SSL.4', true, scalable(TYPE.second, t => t.store(PASID_ENTRY, NOWHERE + 0x89))],
  [
    0x7c,
    'SSL.5',
    true,
    scalable(TYPE.second, t => {
      t.set(PASID_ENTRY, 0x200n)
      t.clear(PASID_ENTRY + 8, 0x80_0000n)
    }),
  ],
  [0x7d, 'SSL.6', true, readOnlyTable(TYPE.second, SS[1], t => t.set(PASID_ENTRY, 0x200n))],
  [0x80, 'SGN.1', true, scalable(TYPE.first, nothing, { address: 2 ** 47 })],
  [0x81, 'SGN.2', true, scalable(TYPE.first, t => t.clear(first(3), 4n))],
  [
    0x82,
    'SGN.3',
    true,
    scalable(
      TYPE.first,
      t => {
        t.set(PASID_ENTRY + 16, 0x20n)
        t.set(first(1), 1n << 63n)
      },
      { pasid: PASID, execute: true },
    ),
  ],
  [0x83, 'SGN.4', true, scalable(TYPE.passThrough, nothing, { address: 2 ** 48 })],
  [0x84, 'SGN.5', true, scalable(TYPE.second, nothing, { address: 2 ** 48 })],
  [0x85, 'SGN.6', true, scalable(TYPE.second, t => t.clear(second(1), 2n), { write: true })],
  [0x86, 'SGN.7', true, scalable(TYPE.second, t => t.clear(second(1), 1n))],
  [0x87, 'SGN.8', true, scalable(TYPE.second, t => t.store(second(1), 0xfee0_2003))],
  [
    0x90,
    'SFL.9',
    true,
    scalable(TYPE.first, t => {
      t.clear(first(1), ACCESSED)
      t.clear(PASID_ENTRY + 8, 0x80_0000n)
    }),
  ],
  [0x91, 'SFL.10', true, readOnlyTable(TYPE.first, FS[1], t => t.clear(first(1), ACCESSED))],
]

/** Rows without a scenario, and why. */
export const UNKNOWN_ROWS: readonly (readonly [code: number, id: string, why: string])[] = [
  [0x33, 'RTA.4', 'named by one source only, which does not say when it is raised'],
  [0x88, 'SGN.9', 'named by one source only, which does not say when it is raised'],
  [0x89, 'SGN.10', 'named by one source only, which does not say when it is raised'],
]
