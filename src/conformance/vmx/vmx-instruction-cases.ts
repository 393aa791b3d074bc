/** Derived from vmx.c: VMXON, VMXOFF, VMCLEAR, VMPTRLD, VMPTRST, launch state. */
import type { Operation } from '../../vmx/formats/operations.ts'
import { AT, GUEST } from './machine.ts'
import { CALL } from './settings.ts'
import {
  type Expectation,
  enter,
  fails,
  faults,
  holds,
  memory,
  type Row,
  run,
  type Step,
  set,
} from './step-case.ts'

const INVALID: Expectation = { outcome: 'vmFailInvalid' }

const OFF = run({ op: 'vmxoff' })

const ON: Operation = { op: 'vmxon', address: AT.vmxon }

const CLEAR = run({ op: 'vmclear', address: AT.vmcs })

const LOAD = run({ op: 'vmptrld', address: AT.vmcs })

const simple = (id: string, source: string, states: string, ...steps: readonly Step[]): Row => ({
  id: `vmx.${id}`,
  source,
  states,
  steps,
})

const vmxon: Row[] = [
  simple(
    'on.unaligned',
    'test_vmxon',
    'VMXON with an unaligned address: VMfailInvalid',
    OFF,
    run({ op: 'vmxon', address: AT.vmxon | 1 }, INVALID),
  ),
  simple(
    'on.width',
    'test_vmxon',
    'VMXON beyond the physical-address width: VMfailInvalid',
    OFF,
    run({ op: 'vmxon', address: 2 ** 46 }, INVALID),
  ),
  simple(
    'on.revision',
    'test_vmxon',
    'VMXON with another revision: VMfailInvalid',
    OFF,
    memory(AT.vmxon, 1),
    run(ON, INVALID),
  ),
  simple(
    'on.bit31',
    'test_vmxon',
    'VMXON with bit 31 of the revision set: VMfailInvalid',
    OFF,
    memory(AT.vmxon, 0x8000_4e42),
    run(ON, INVALID),
  ),
  simple('on.good', 'test_vmxon', 'VMXON succeeds with a good region', OFF, run(ON)),
  simple('on.twice', 'test_vmxon', 'VMXON in root operation fails with error 15', run(ON, fails(15))),
  simple('on.twice.noVmcs', 'test_vmxon', 'or VMfailInvalid without a current VMCS', CLEAR, run(ON, INVALID)),
  simple(
    'on.VMXE',
    'test_vmxon_bad_cr',
    'VMXON without CR4.VMXE raises #UD',
    OFF,
    run({ op: 'movToCr', cr: 4, value: [0x20, 0] }),
    run(ON, faults(6)),
  ),
  simple(
    'on.NE',
    'test_vmxon_bad_cr',
    'VMXON without CR0.NE raises #GP',
    OFF,
    run({ op: 'movToCr', cr: 0, value: [0x8001_0011, 0] }),
    run(ON, faults(13)),
  ),
  simple(
    'on.compatibility',
    'test_vmxon_bad_cr',
    'VMXON in compatibility mode raises #UD',
    OFF,
    run({ op: 'jumpFar', bits: 32 }),
    run(ON, faults(6)),
  ),
  simple(
    'off.others',
    'test_vmxon',
    'outside VMX operation every other VMX instruction raises #UD',
    OFF,
    ...(['vmxoff', 'vmlaunch', 'vmresume', 'vmptrst'] as const).map(op => run({ op }, faults(6))),
    run({ op: 'vmread', field: 0 }, faults(6)),
    run(CALL, faults(6)),
    run({ op: 'invept', type: 2 }, faults(6)),
    run({ op: 'invvpid', type: 2 }, faults(6)),
  ),
  simple(
    'featureControl.locked',
    'test_vmx_feature_control',
    'a locked IA32_FEATURE_CONTROL cannot be written',
    run({ op: 'wrmsr', msr: 0x3a, value: [0, 0] }, faults(13)),
  ),
  simple(
    'caps.readOnly',
    'test_vmx_caps',
    'the capability MSRs are read-only',
    ...[0x480, 0x481, 0x485, 0x48c, 0x490].map(msr => run({ op: 'wrmsr', msr, value: [0, 0] }, faults(13))),
  ),
  simple(
    'caps.basic',
    'test_vmx_caps',
    'IA32_VMX_BASIC tells revision, region size, write-back memory and TRUE MSRs',
    run({ op: 'rdmsr', msr: 0x480 }, { outcome: 'done', low: 0x4e42, high: 0x00d8_1000 }),
  ),
  ...(
    [
      ['pin', 0x481, 0x16],
      ['proc', 0x482, 0x0401_e172],
      ['exit', 0x483, 0x0003_6dff],
      ['entry', 0x484, 0x0000_11ff],
    ] as const
  ).map(([name, msr, low]) =>
    simple(
      `caps.${name}`,
      'test_vmx_caps',
      `the default-1 bits of the ${name} controls`,
      run({ op: 'rdmsr', msr }, { outcome: 'done', low }),
    ),
  ),
]

const pointers: Row[] = [
  simple(
    'clear.unaligned',
    'test_vmclear',
    'VMCLEAR with an unaligned address fails with error 2',
    run({ op: 'vmclear', address: AT.otherVmcs | 4 }, fails(2)),
  ),
  simple(
    'clear.width',
    'test_vmclear',
    'VMCLEAR beyond the width fails with error 2',
    run({ op: 'vmclear', address: 2 ** 46 }, fails(2)),
  ),
  simple(
    'clear.vmxon',
    'test_vmclear',
    'VMCLEAR of the VMXON region fails with error 3',
    run({ op: 'vmclear', address: AT.vmxon }, fails(3)),
  ),
  simple(
    'clear.good',
    'test_vmclear',
    'VMCLEAR of a VMCS succeeds',
    run({ op: 'vmclear', address: AT.otherVmcs }),
  ),
  simple(
    'clear.current',
    'test_vmcs_lifecycle',
    'VMCLEAR of the current VMCS leaves none current',
    CLEAR,
    run({ op: 'vmptrst' }, { outcome: 'done', low: 0xffff_ffff, high: 0xffff_ffff }),
  ),
  simple(
    'clear.keeps',
    'test_vmclear_flushing',
    'and its fields survive',
    set('guestRsp', 0x1234),
    CLEAR,
    LOAD,
    holds('guestRsp', 0x1234),
  ),
  simple(
    'load.unaligned',
    'test_vmptrld',
    'VMPTRLD with an unaligned address fails with error 9',
    run({ op: 'vmptrld', address: AT.otherVmcs | 8 }, fails(9)),
  ),
  simple(
    'load.width',
    'test_vmptrld',
    'VMPTRLD beyond the width fails with error 9',
    run({ op: 'vmptrld', address: 2 ** 50 }, fails(9)),
  ),
  simple(
    'load.vmxon',
    'test_vmptrld',
    'VMPTRLD of the VMXON region fails with error 10',
    run({ op: 'vmptrld', address: AT.vmxon }, fails(10)),
  ),
  simple(
    'load.revision',
    'test_vmptrld',
    'VMPTRLD of another revision fails with error 11',
    memory(AT.otherVmcs, 2),
    run({ op: 'vmptrld', address: AT.otherVmcs }, fails(11)),
  ),
  simple(
    'load.good',
    'test_vmptrld',
    'VMPTRLD makes a VMCS current',
    run({ op: 'vmptrld', address: AT.otherVmcs }),
    run({ op: 'vmptrst' }, { outcome: 'done', low: AT.otherVmcs, high: 0 }),
  ),
  simple(
    'store',
    'test_vmptrst',
    'VMPTRST tells the current VMCS',
    run({ op: 'vmptrst' }, { outcome: 'done', low: AT.vmcs, high: 0 }),
  ),
  simple(
    'launch.state',
    'test_vmcs_lifecycle',
    'VMRESUME of a VMCS that was not launched fails with error 5',
    run({ op: 'vmresume' }, fails(5)),
  ),
  simple(
    'launch.twice',
    'test_vmcs_lifecycle',
    'VMLAUNCH of a launched one with error 4',
    enter(),
    run(CALL, { exit: 'vmcall' }),
    run({ op: 'vmlaunch' }, fails(4)),
  ),
  simple(
    'launch.cleared',
    'test_vmcs_lifecycle',
    'VMCLEAR makes it clear again',
    enter(),
    run(CALL, { exit: 'vmcall' }),
    CLEAR,
    LOAD,
    run({ op: 'vmlaunch' }),
  ),
  simple(
    'launch.noVmcs',
    'test_vmcs_lifecycle',
    'without a current VMCS both fail invalid',
    CLEAR,
    run({ op: 'vmlaunch' }, INVALID),
    run({ op: 'vmresume' }, INVALID),
  ),
  simple('call.root', 'vmmcall', 'VMCALL in root operation fails with error 1', run(CALL, fails(1))),
  simple(
    'multiple',
    'v2_multiple_entries_test',
    'a guest is entered again and again',
    enter(),
    run(CALL, { exit: 'vmcall' }),
    enter(),
    run(CALL, { exit: 'vmcall' }),
    enter(),
    run(CALL, { exit: 'vmcall' }),
  ),
  simple(
    'null',
    'v2_null_test',
    'a guest runs and calls',
    enter(),
    run(CALL, { exit: 'vmcall', qualification: 0, length: 3 }),
    holds('guestRip', GUEST.code),
  ),
  simple(
    'vmenter',
    'vmenter',
    'the guest goes on where the host sends it',
    enter(),
    run(CALL, { exit: 'vmcall' }),
    set('guestRip', GUEST.code + 3),
    enter(),
    run({ op: 'nop' }),
    run(CALL, { exit: 'vmcall' }),
    holds('guestRip', GUEST.code + 4),
  ),
]

export const VMX_INSTRUCTION_ROWS: readonly Row[] = [...vmxon, ...pointers]
