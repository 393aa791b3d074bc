/** Derived from vmx_host_state_area_test. */
import { EXIT_CONTROLS } from '../../vmx/formats/controls.ts'

import { EXIT } from './machine.ts'
import { bit, canonicalRows, DONE, patRows } from './settings.ts'
import { entryRow, fails, type Row, type Step, set } from './step-case.ts'

const HOST = fails(8)

const SELECTORS = ['Es', 'Cs', 'Ss', 'Ds', 'Fs', 'Gs', 'Tr'] as const

const loadHost = (control: number): Step => set('exitControls', EXIT | control)

const hostRows: Row[] = [
  ...[0, 5, 31].map(n =>
    entryRow(
      `host.CR0.fixed${n}`,
      'test_host_ctl_regs',
      `host CR0 bit ${n} must be 1`,
      [set('hostCr0', (0x8005_0033 & ~(1 << n)) >>> 0)],
      HOST,
    ),
  ),
  entryRow(
    'host.CR0.high',
    'test_host_ctl_regs',
    'host CR0 bits 63:32 must be 0',
    [set('hostCr0', [0x8005_0033, 1])],
    HOST,
  ),
  entryRow('host.CR4.VMXE', 'test_host_ctl_regs', 'host CR4.VMXE must be 1', [set('hostCr4', 0x20)], HOST),
  ...[12, 15, 19, 22, 24, 31].map(n =>
    entryRow(
      `host.CR4.bit${n}`,
      'test_host_ctl_regs',
      `host CR4 bit ${n} must be 0`,
      [set('hostCr4', (0x2020 | (1 << n)) >>> 0)],
      HOST,
    ),
  ),
  entryRow(
    'host.CR4.PAE',
    'test_host_addr_size',
    'a 64-bit host has CR4.PAE set',
    [set('hostCr4', 0x2000)],
    HOST,
  ),
  ...[46, 47, 51, 52, 63].map(n =>
    entryRow(
      `host.CR3.bit${n}`,
      'test_host_ctl_regs',
      `host CR3 must lie below 2^46: not bit ${n}`,
      [set('hostCr3', bit(n))],
      HOST,
    ),
  ),
  entryRow(
    'host.size',
    'test_host_addr_size',
    'a processor in IA-32e mode returns to a 64-bit host',
    [set('exitControls', EXIT & ~0x200)],
    HOST,
  ),
  ...SELECTORS.flatMap(name =>
    [0, 1, 2].map(n =>
      entryRow(
        `host.${name}.bit${n}`,
        'test_host_segment_regs',
        `bit ${n} of the host ${name} selector must be 0`,
        [set(`host${name}Selector`, 0x18 | (1 << n))],
        HOST,
      ),
    ),
  ),
  entryRow(
    'host.CS.null',
    'test_host_segment_regs',
    'the host CS selector must not be 0',
    [set('hostCsSelector', 0)],
    HOST,
  ),
  entryRow(
    'host.TR.null',
    'test_host_segment_regs',
    'the host TR selector must not be 0',
    [set('hostTrSelector', 0)],
    HOST,
  ),
  entryRow(
    'host.SS.null',
    'test_host_segment_regs',
    'the SS selector of a 64-bit host may be 0',
    [set('hostSsSelector', 0)],
    DONE,
  ),
  ...canonicalRows(
    'host',
    'test_canonical',
    [
      'hostFsBase',
      'hostGsBase',
      'hostTrBase',
      'hostGdtrBase',
      'hostIdtrBase',
      'hostSysenterEsp',
      'hostSysenterEip',
      'hostRip',
    ],
    HOST,
  ),
  ...patRows('host', 'test_load_host_pat', 'hostPat', loadHost(EXIT_CONTROLS.loadPat), HOST),
  entryRow(
    'host.PAT.notLoaded',
    'test_load_host_pat',
    'a host PAT that is not loaded may be anything',
    [set('hostPat', 0x0303)],
    DONE,
  ),
  ...[1, 2, 9, 12, 20, 32, 63].map(n =>
    entryRow(
      `host.EFER.bit${n}`,
      'test_host_efer',
      `host EFER bit ${n} is reserved`,
      [
        loadHost(EXIT_CONTROLS.loadEfer),
        set('hostEfer', n < 32 ? 0x500 | (1 << n) : [0x500, (1 << (n - 32)) >>> 0]),
      ],
      HOST,
    ),
  ),
  ...(
    [
      [0x500, true],
      [0xd01, true],
      [0x100, false],
      [0x400, false],
      [0, false],
    ] as const
  ).map(([efer, legal]) =>
    entryRow(
      `host.EFER.mode${efer}`,
      'test_host_efer',
      `LMA and LME of host EFER ${efer.toString(16)} ${legal ? 'agree' : 'disagree'} with a 64-bit host`,
      [loadHost(EXIT_CONTROLS.loadEfer), set('hostEfer', efer)],
      legal ? DONE : HOST,
    ),
  ),
  ...[4, 31, 35, 63].map(n =>
    entryRow(
      `host.PERF_GLOBAL_CTRL.bit${n}`,
      'test_load_host_perf_global_ctrl',
      `host IA32_PERF_GLOBAL_CTRL bit ${n} is reserved`,
      [loadHost(EXIT_CONTROLS.loadPerfGlobalCtrl), set('hostPerfGlobalCtrl', bit(n))],
      HOST,
    ),
  ),
  entryRow(
    'host.PERF_GLOBAL_CTRL',
    'test_load_host_perf_global_ctrl',
    'every counter of host IA32_PERF_GLOBAL_CTRL may be enabled',
    [loadHost(EXIT_CONTROLS.loadPerfGlobalCtrl), set('hostPerfGlobalCtrl', [0xf, 7])],
    DONE,
  ),
]

export const HOST_STATE_ROWS: readonly Row[] = [...hostRows]
