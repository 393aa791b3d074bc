/** Derived from the tests of cached translations, and of the time-stamp counter. */
import { PRIMARY as PROC, SECONDARY as PROC2 } from '../../vmx/formats/controls.ts'
import type { Operation } from '../../vmx/formats/operations.ts'
import { AT, GUEST, PRIMARY } from './machine.ts'
import { CALL, NOP, secondary } from './settings.ts'
import { type Expectation, enter, memory, type Row, run, type Step, set } from './step-case.ts'

const LINEAR = [GUEST.data + 0x10, 0] as const

const READ: Operation = { op: 'readLinear', address: LINEAR, width: 4 }

const WRITE: Operation = { op: 'writeLinear', address: LINEAR, width: 4, value: [7, 0] }

const HOST_PAGE = AT.guest + GUEST.data

const DATA_ENTRY = AT.pt + (GUEST.data >>> 12) * 8

/** The EPT entry of the data page: address, memory type WB, and the given bits. */
const data = (bits: number, high = 0): Step => memory(DATA_ENTRY, (HOST_PAGE | 0x30 | bits) >>> 0, high)

const VPID = [secondary(PROC2.enableVpid), set('virtualProcessorIdentifier', 1)] as const

const moveLeaf = memory(AT.guest + GUEST.pt + (GUEST.data >>> 12) * 8, 0x6000 | 0x67)

const VALUES = [memory(HOST_PAGE + 0x10, 0x1111), memory(AT.guest + 0x6010, 0x2222)] as const

const OLD = { outcome: 'done', low: 0x1111 } as const

const NEW = { outcome: 'done', low: 0x2222 } as const

/** The guest reads, its page table changes behind it, it does something, and reads again. */
const cached = (
  id: string,
  source: string,
  states: string,
  setting: readonly Step[],
  between: readonly Step[],
  second: Expectation,
): Row => ({
  id: `tlb.${id}`,
  source,
  states,
  steps: [...setting, ...VALUES, enter(), run(READ, OLD), moveLeaf, ...between, run(READ, second)],
})

const round = [run(CALL, { exit: 'vmcall' }), enter()] as const

const inRoot = (operation: Operation): Step[] => [run(CALL, { exit: 'vmcall' }), run(operation), enter()]

const caches: Row[] = [
  cached('stale', 'vmx_pf_vpid_test', 'a mapping stays cached when the table changes', [], [], OLD),
  cached('invlpg', 'vmx_pf_vpid_test', 'INVLPG drops it', [], [run({ op: 'invlpg', address: LINEAR })], NEW),
  cached(
    'cr3',
    'vmx_pf_vpid_test',
    'so does MOV to CR3',
    [],
    [run({ op: 'movToCr', cr: 3, value: [GUEST.pml4, 0] })],
    NEW,
  ),
  cached('noVpid', 'vmx_pf_no_vpid_test', 'without VPIDs so do a VM exit and entry', [], round, NEW),
  cached('vpid', 'vmx_pf_vpid_test', 'with a VPID it outlives them', VPID, round, OLD),
  cached(
    'invvpid.single',
    'vmx_pf_invvpid_test',
    'INVVPID of the context drops it',
    VPID,
    inRoot({ op: 'invvpid', type: 1, vpid: [1, 0] }),
    NEW,
  ),
  cached(
    'invvpid.all',
    'vmx_pf_invvpid_test',
    'so does INVVPID of all contexts',
    VPID,
    inRoot({ op: 'invvpid', type: 2 }),
    NEW,
  ),
  cached(
    'invvpid.address',
    'vmx_pf_invvpid_test',
    'and of the address',
    VPID,
    inRoot({ op: 'invvpid', type: 0, vpid: [1, 0], address: LINEAR }),
    NEW,
  ),
  cached(
    'invvpid.otherAddress',
    'vmx_pf_invvpid_test',
    'but not of another address',
    VPID,
    inRoot({ op: 'invvpid', type: 0, vpid: [1, 0], address: [0x9000, 0] }),
    OLD,
  ),
  cached(
    'invvpid.other',
    'vmx_pf_invvpid_test',
    'nor of another context',
    VPID,
    inRoot({ op: 'invvpid', type: 1, vpid: [2, 0] }),
    OLD,
  ),
  cached(
    'invvpid.retaining',
    'vmx_pf_invvpid_test',
    'INVVPID retaining globals drops what is not global',
    VPID,
    inRoot({ op: 'invvpid', type: 3, vpid: [1, 0] }),
    NEW,
  ),
  cached(
    'invept',
    'vmx_pf_vpid_test',
    'INVEPT drops combined mappings too',
    VPID,
    inRoot({ op: 'invept', type: 1, eptp: [AT.pml4 | 0x1e, 0] }),
    NEW,
  ),
  cached(
    'invept.other',
    'vmx_pf_vpid_test',
    'but not those of other EPT tables',
    VPID,
    inRoot({ op: 'invept', type: 1, eptp: [AT.pml5 | 0x1e, 0] }),
    OLD,
  ),
  {
    id: 'tlb.ept.stale',
    source: 'EPT A/D disabled',
    states: 'a guest-physical mapping outlives exits and INVVPID, and INVEPT drops it',
    steps: [
      ...VALUES,
      enter(),
      run({ op: 'read', address: GUEST.data + 0x10, width: 4 }, OLD),
      memory(DATA_ENTRY, (AT.guest + 0x6000) | 0x37),
      run({ op: 'read', address: GUEST.data + 0x10, width: 4 }, OLD),
      ...inRoot({ op: 'invvpid', type: 2 }),
      run({ op: 'read', address: GUEST.data + 0x10, width: 4 }, OLD),
      ...inRoot({ op: 'invept', type: 2 }),
      run({ op: 'read', address: GUEST.data + 0x10, width: 4 }, NEW),
    ],
  },
  {
    id: 'tlb.violation',
    source: 'EPT A/D disabled',
    states: 'a violation drops what it used: raised rights need no INVEPT',
    steps: [data(1), enter(), run(READ), run(WRITE, { exit: 'eptViolation' }), data(7), enter(), run(WRITE)],
  },
]

const offset = [primaryMore(PROC.useTscOffsetting), set('tscOffset', [0x1000, 0])] as const

function primaryMore(more: number): Step {
  return set('primaryProcessorBasedControls', (PRIMARY | more) >>> 0)
}

const time: Row[] = [
  {
    id: 'tsc.offset',
    source: 'rdtsc_vmexit_diff_test',
    states: 'RDTSC adds the TSC offset',
    steps: [
      ...offset,
      { advance: 0x500 },
      enter(),
      run({ op: 'rdtsc' }, { outcome: 'done', low: 0x1500, high: 0 }),
    ],
  },
  {
    id: 'tsc.offset.negative',
    source: 'rdtsc_vmexit_diff_test',
    states: 'which may be negative',
    steps: [
      primaryMore(PROC.useTscOffsetting),
      set('tscOffset', [0xffff_ff00, 0xffff_ffff]),
      { advance: 0x500 },
      enter(),
      run({ op: 'rdtsc' }, { outcome: 'done', low: 0x400, high: 0 }),
    ],
  },
  {
    id: 'tsc.offset.off',
    source: 'rdtsc_vmexit_diff_test',
    states: 'and is ignored without its control',
    steps: [
      set('tscOffset', [0x1000, 0]),
      { advance: 0x500 },
      enter(),
      run({ op: 'rdtsc' }, { outcome: 'done', low: 0x500 }),
    ],
  },
  {
    id: 'tsc.scale',
    source: 'rdtsc_vmexit_diff_test',
    states: 'TSC scaling multiplies by 2^-48 units before the offset',
    steps: [
      ...offset,
      secondary(PROC2.useTscScaling),
      set('tscMultiplier', [0, 0x2_8000]),
      { advance: 0x500 },
      enter(),
      run({ op: 'rdtsc' }, { outcome: 'done', low: 0x1000 + 0xc80, high: 0 }),
    ],
  },
  {
    id: 'tsc.rdmsr',
    source: 'vmx_store_tsc_test',
    states: 'RDMSR of the counter reads as RDTSC does',
    steps: [
      primaryMore(PROC.useTscOffsetting | PROC.useMsrBitmaps),
      set('msrBitmaps', AT.msrBitmaps),
      set('tscOffset', [0x1000, 0]),
      { advance: 0x500 },
      enter(),
      run({ op: 'rdmsr', msr: 0x10 }, { outcome: 'done', low: 0x1500 }),
    ],
  },
  {
    id: 'ple',
    source: 'instruction intercept',
    states: 'a loop of PAUSEs within the gap exits once it is longer than the window',
    steps: [
      secondary(PROC2.pauseLoopExiting),
      set('pleGap', 100),
      set('pleWindow', 250),
      { advance: 1000 },
      enter(),
      run({ op: 'pause' }),
      { advance: 100 },
      run({ op: 'pause' }),
      { advance: 100 },
      run({ op: 'pause' }),
      { advance: 100 },
      run({ op: 'pause' }, { exit: 'pause' }),
    ],
  },
  {
    id: 'ple.gap',
    source: 'instruction intercept',
    states: 'a PAUSE after more than the gap begins a new loop',
    steps: [
      secondary(PROC2.pauseLoopExiting),
      set('pleGap', 100),
      set('pleWindow', 250),
      { advance: 1000 },
      enter(),
      run({ op: 'pause' }),
      { advance: 200 },
      run({ op: 'pause' }),
      { advance: 200 },
      run({ op: 'pause' }),
      run(NOP),
    ],
  },
]

export const TRANSLATION_CACHE_ROWS: readonly Row[] = [...caches, ...time]
