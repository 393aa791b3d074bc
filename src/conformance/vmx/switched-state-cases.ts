/** Derived from the tests of state that entries and exits switch: MSR areas, PAT, EFER, debug controls. */
import { ENTRY_CONTROLS, EXIT_CONTROLS, PRIMARY as PROC } from '../../vmx/formats/controls.ts'

import { AT, ENTRY, EXIT, GUEST, PRIMARY } from './machine.ts'
import { CALL } from './settings.ts'
import {
  type Expectation,
  enter,
  fails,
  holds,
  memory,
  memoryHolds,
  type Row,
  run,
  type Step,
  set,
} from './step-case.ts'

const simple = (id: string, source: string, states: string, ...steps: readonly Step[]): Row => ({
  id: `vmx.${id}`,
  source,
  states,
  steps,
})

const entryOf = (index: number, low = 0, high = 0): Step => memory(AT.msrArea, index, 0, low, high)

const AREA: readonly Step[] = [set('entryMsrLoadCount', 1), set('entryMsrLoadAddress', AT.msrArea)]

const loadFails = (qualification: number): Expectation => ({
  exit: 'entryFailureMsrLoading',
  entryFailure: true,
  qualification,
})

const USE_MSR = [
  set('primaryProcessorBasedControls', (PRIMARY | PROC.useMsrBitmaps) >>> 0),
  set('msrBitmaps', AT.msrBitmaps),
]

const MSRS = 'MSR switch'

const SWITCHES: readonly (readonly [string, number, number, number])[] = [
  ['IA32_PAT', 0x277, 0x0706_0500, 0x0706_0500],
  ['IA32_SYSENTER_CS', 0x174, 0x10, 0],
  ['IA32_KERNEL_GS_BASE', 0xc000_0102, 0x1234, 0x7fff],
  ['IA32_LSTAR', 0xc000_0082, 0x5678, 0],
  ['IA32_TSC_AUX', 0xc000_0103, 0x42, 0],
]

const msrs: Row[] = [
  ...SWITCHES.map(([name, msr, low, high]) =>
    simple(
      `msr.load.${name}`,
      MSRS,
      `the entry loads ${name} from its area`,
      ...USE_MSR,
      ...AREA,
      entryOf(msr, low, high),
      enter(),
      run({ op: 'rdmsr', msr }, { outcome: 'done', low, high }),
    ),
  ),
  ...SWITCHES.map(([name, msr, low, high]) =>
    simple(
      `msr.exit.${name}`,
      MSRS,
      `the exit stores the guest's ${name} and loads the host's`,
      ...USE_MSR,
      set('exitMsrStoreCount', 1),
      set('exitMsrStoreAddress', AT.msrArea),
      memory(AT.msrArea, msr, 0, 0, 0),
      set('exitMsrLoadCount', 1),
      set('exitMsrLoadAddress', AT.msrArea + 0x100),
      memory(AT.msrArea + 0x100, msr, 0, 0, 0),
      enter(),
      run({ op: 'wrmsr', msr, value: [low, high] }),
      run(CALL, { exit: 'vmcall' }),
      memoryHolds(AT.msrArea + 8, low, high),
      run({ op: 'rdmsr', msr }, { outcome: 'done', low: 0, high: 0 }),
    ),
  ),
  ...(
    [
      ['IA32_FS_BASE', 0xc000_0100],
      ['IA32_GS_BASE', 0xc000_0101],
      ['an x2APIC register', 0x808],
      ['the last x2APIC number', 0x8ff],
      ['a read-only MSR', 0x480],
      ['no MSR', 0x1],
    ] as const
  ).map(([what, msr]) =>
    simple(
      `msr.refused.${msr}`,
      'invalid_msr',
      `${what} in the entry area fails the entry with its number`,
      ...AREA,
      entryOf(msr),
      enter(loadFails(1)),
    ),
  ),
  simple(
    'msr.reserved',
    'invalid_msr',
    'so do reserved bits of an entry',
    ...AREA,
    memory(AT.msrArea, 0x174, 1, 0, 0),
    enter(loadFails(1)),
  ),
  simple(
    'msr.value',
    'invalid_msr',
    'and a value that WRMSR would refuse',
    ...AREA,
    entryOf(0x277, 2),
    enter(loadFails(1)),
  ),
  simple(
    'msr.second',
    'MSR switch',
    'the qualification counts entries from 1',
    set('entryMsrLoadCount', 3),
    set('entryMsrLoadAddress', AT.msrArea),
    memory(AT.msrArea, 0x174, 0, 1, 0, 0x175, 0, 2, 0, 0xc000_0100, 0, 0, 0),
    enter(loadFails(3)),
  ),
  simple(
    'msr.max',
    'atomic_switch_max_msrs_test',
    '512 entries, the recommended maximum, are loaded',
    set('entryMsrLoadCount', 512),
    set('entryMsrLoadAddress', 0x20_0000),
    { memory: 0x20_0000, words: Array.from({ length: 512 }, (_, i) => [0x174, 0, i, 0]).flat() },
    enter(),
  ),
  simple(
    'msr.store.tsc',
    'vmx_store_tsc_test',
    'the exit stores the time-stamp counter',
    { advance: 0x1000 },
    set('exitMsrStoreCount', 1),
    set('exitMsrStoreAddress', AT.msrArea),
    memory(AT.msrArea, 0x10),
    enter(),
    run(CALL, { exit: 'vmcall' }),
    memoryHolds(AT.msrArea + 8, 0x1000, 0),
  ),
]

const PAT = [0x0001_0406, 0x0007_0406] as const

const both = (exit: number, entry: number): Step[] => [
  set('exitControls', EXIT | exit),
  set('entryControls', ENTRY | entry),
]

const state: Row[] = [
  simple(
    'pat.load',
    'control field PAT',
    'load IA32_PAT gives the guest its own',
    ...USE_MSR,
    ...both(0, ENTRY_CONTROLS.loadPat),
    set('guestPat', PAT),
    enter(),
    run({ op: 'rdmsr', msr: 0x277 }, { outcome: 'done', low: PAT[0], high: PAT[1] }),
  ),
  simple(
    'pat.keep',
    'control field PAT',
    'without it the guest has the host’s',
    ...USE_MSR,
    set('guestPat', PAT),
    enter(),
    run({ op: 'rdmsr', msr: 0x277 }, { outcome: 'done', low: 0x0007_0406 }),
  ),
  simple(
    'pat.save',
    'control field PAT',
    'save IA32_PAT stores it at the exit',
    ...USE_MSR,
    ...both(EXIT_CONTROLS.savePat | EXIT_CONTROLS.loadPat, 0),
    set('hostPat', [0x0007_0406, 0x0007_0406]),
    enter(),
    run({ op: 'wrmsr', msr: 0x277, value: PAT }),
    run(CALL, { exit: 'vmcall' }),
    holds('guestPat', PAT),
    run({ op: 'rdmsr', msr: 0x277 }, { outcome: 'done', low: 0x0007_0406 }),
  ),
  simple(
    'efer.load',
    'control field EFER',
    'load IA32_EFER gives the guest its own',
    ...USE_MSR,
    ...both(0, ENTRY_CONTROLS.loadEfer),
    set('guestEfer', 0x500),
    enter(),
    run({ op: 'rdmsr', msr: 0xc000_0080 }, { outcome: 'done', low: 0x500 }),
  ),
  simple(
    'efer.save',
    'control field EFER',
    'save IA32_EFER stores it at the exit',
    ...USE_MSR,
    ...both(EXIT_CONTROLS.saveEfer | EXIT_CONTROLS.loadEfer, 0),
    set('hostEfer', 0xd01),
    enter(),
    run({ op: 'wrmsr', msr: 0xc000_0080, value: [0x500, 0] }),
    run(CALL, { exit: 'vmcall' }),
    holds('guestEfer', 0x500),
    run({ op: 'rdmsr', msr: 0xc000_0080 }, { outcome: 'done', low: 0xd01 }),
  ),
  simple(
    'pgc.load',
    'test_load_guest_perf_global_ctrl',
    'load IA32_PERF_GLOBAL_CTRL gives the guest its own',
    ...USE_MSR,
    ...both(0, ENTRY_CONTROLS.loadPerfGlobalCtrl),
    set('guestPerfGlobalCtrl', [3, 1]),
    enter(),
    run({ op: 'rdmsr', msr: 0x38f }, { outcome: 'done', low: 3, high: 1 }),
  ),
  simple(
    'pgc.host',
    'test_load_host_perf_global_ctrl',
    'and the host its own again',
    ...both(EXIT_CONTROLS.loadPerfGlobalCtrl, ENTRY_CONTROLS.loadPerfGlobalCtrl),
    set('guestPerfGlobalCtrl', [3, 1]),
    set('hostPerfGlobalCtrl', [4, 2]),
    enter(),
    run(CALL, { exit: 'vmcall' }),
    run({ op: 'rdmsr', msr: 0x38f }, { outcome: 'done', low: 4, high: 2 }),
  ),
  simple(
    'dr7.load',
    'debug controls',
    'load debug controls gives the guest its DR7',
    ...both(0, ENTRY_CONTROLS.loadDebugControls),
    set('guestDr7', 0x404),
    enter(),
    run({ op: 'movFromDr', dr: 7 }, { outcome: 'done', low: 0x404 }),
  ),
  simple(
    'dr7.keep',
    'debug controls',
    'without it DR7 is as it was',
    set('guestDr7', 0x404),
    enter(),
    run({ op: 'movFromDr', dr: 7 }, { outcome: 'done', low: 0x400 }),
  ),
  simple(
    'dr7.save',
    'debug controls',
    'save debug controls stores DR7, and the host has the reset value',
    ...both(EXIT_CONTROLS.saveDebugControls, ENTRY_CONTROLS.loadDebugControls),
    set('guestDr7', 0x404),
    enter(),
    run({ op: 'movToDr', dr: 7, value: [0x408, 0] }),
    run(CALL, { exit: 'vmcall' }),
    holds('guestDr7', 0x408),
    run({ op: 'movFromDr', dr: 7 }, { outcome: 'done', low: 0x400 }),
  ),
  simple(
    'dr7.dropped',
    'debug controls',
    'without it the field stays',
    ...both(0, ENTRY_CONTROLS.loadDebugControls),
    set('guestDr7', 0x404),
    enter(),
    run({ op: 'movToDr', dr: 7, value: [0x408, 0] }),
    run(CALL, { exit: 'vmcall' }),
    holds('guestDr7', 0x404),
  ),
  simple(
    'osxsave',
    'vmx_cr4_osxsave_test',
    'CR4 of the host returns with the exit',
    set('guestCr4', 0x4_2020),
    enter(),
    run(CALL, { exit: 'vmcall' }),
    run({ op: 'movFromCr', cr: 4 }, { outcome: 'done', low: 0x2020 }),
  ),
  simple(
    'noNm',
    'vmx_no_nm_test',
    'CR0.TS of the guest is the guest’s',
    set('guestCr0', 0x8001_0039),
    enter(),
    run({ op: 'clts' }),
    run(CALL, { exit: 'vmcall' }),
    holds('guestCr0', 0x8001_0031),
  ),
  simple(
    'lateFailure',
    'vmx_guest_state_area_test',
    'a late failure loads the host state and keeps the event to inject',
    set('entryInterruptionInformation', 0x8000_0030),
    set('guestRflags', 0),
    enter({ exit: 'entryFailureGuestState', entryFailure: true, qualification: 0 }),
    holds('entryInterruptionInformation', 0x8000_0030),
    run({ op: 'vmresume' }, fails(5)),
  ),
  simple(
    'exit.fields',
    'v2_null_test',
    'an exit saves RIP, RSP, RFLAGS and the segments',
    enter(),
    run({ op: 'nop' }),
    run(CALL, { exit: 'vmcall' }),
    holds('guestRip', GUEST.code + 1),
    holds('guestRsp', GUEST.stack),
    holds('guestRflags', 0x202),
    holds('guestCsAccessRights', 0xa09b),
    holds('guestGdtrBase', GUEST.gdt),
  ),
]

export const SWITCHED_STATE_ROWS: readonly Row[] = [...msrs, ...state]
