/** Derived from vmx.c and invvpid_test: VMREAD, VMWRITE, INVEPT, INVVPID. */
import type { Operation, Word64 } from '../../vmx/formats/operations.ts'
import { VMCS } from '../../vmx/formats/vmcs.ts'
import { AT } from './machine.ts'
import { type Expectation, fails, holds, type Row, run, type Step, set } from './step-case.ts'

const INVALID: Expectation = { outcome: 'vmFailInvalid' }

const CLEAR = run({ op: 'vmclear', address: AT.vmcs })

const simple = (id: string, source: string, states: string, ...steps: readonly Step[]): Row => ({
  id: `vmx.${id}`,
  source,
  states,
  steps,
})

const read = (field: number, expect: Expectation): Step => run({ op: 'vmread', field }, expect)

const write = (field: number, value: Word64, expect?: Expectation): Step =>
  run({ op: 'vmwrite', field, value }, expect ?? { outcome: 'done' })

const fields: Row[] = [
  ...[0x1000, 0x8000, 0x7ffe, 0x4801, 0xffff_ffff].flatMap(field => [
    simple(
      `read.unsupported.${field}`,
      'test_vmwrite_vmread',
      `VMREAD of ${field.toString(16)} fails with error 12`,
      read(field, fails(12)),
    ),
    simple(
      `write.unsupported.${field}`,
      'test_vmwrite_vmread',
      `VMWRITE of ${field.toString(16)} fails with error 12`,
      write(field, [0, 0], fails(12)),
    ),
  ]),
  ...(
    [
      'instructionError',
      'exitReason',
      'exitInterruptionInformation',
      'idtVectoringInformation',
      'exitInstructionLength',
      'exitInstructionInformation',
      'exitQualification',
      'guestLinearAddress',
      'guestPhysicalAddress',
    ] as const
  ).map(name =>
    simple(
      `write.readOnly.${name}`,
      'test_vmwrite_vmread',
      `VMWRITE of the read-only ${name} fails with error 13`,
      write(VMCS[name], [0, 0], fails(13)),
    ),
  ),
  simple(
    'read.noVmcs',
    'test_vmread_flags_touch',
    'VMREAD and VMWRITE without a current VMCS fail invalid',
    CLEAR,
    read(VMCS.guestRip, INVALID),
    write(VMCS.guestRip, [0, 0], INVALID),
  ),
  simple(
    'write.narrow',
    'test_vmwrite_vmread',
    'a 16-bit field keeps 16 bits',
    write(VMCS.guestTrSelector, [0xabcd_1238, 7]),
    read(VMCS.guestTrSelector, { outcome: 'done', low: 0x1238, high: 0 }),
  ),
  simple(
    'write.dword',
    'test_vmwrite_vmread',
    'a 32-bit field keeps 32 bits',
    write(VMCS.tprThreshold, [0xabcd_1238, 7]),
    read(VMCS.tprThreshold, { outcome: 'done', low: 0xabcd_1238, high: 0 }),
  ),
  simple(
    'write.wide',
    'test_vmwrite_vmread',
    'natural and 64-bit fields keep 64',
    write(VMCS.guestRip, [1, 2]),
    write(VMCS.tscOffset, [3, 4]),
    holds('guestRip', [1, 2]),
    holds('tscOffset', [3, 4]),
  ),
  simple(
    'high.read',
    'test_vmcs_high',
    'the high encoding reads bits 63:32',
    set('tscOffset', [3, 4]),
    read(VMCS.tscOffset + 1, { outcome: 'done', low: 4, high: 0 }),
  ),
  simple(
    'high.write',
    'test_vmcs_high',
    'and writes them, the others kept',
    set('tscOffset', [3, 4]),
    write(VMCS.tscOffset + 1, [9, 9]),
    holds('tscOffset', [3, 9]),
  ),
]

const invvpid = (type: number, vpid: Word64, address: Word64 = [0, 0]): Operation => ({
  op: 'invvpid',
  type,
  vpid,
  address,
})

const invalidations: Row[] = [
  ...[0, 1, 3].map(type =>
    simple(
      `invvpid.vpid0.${type}`,
      'invvpid_test',
      `INVVPID ${type} of VPID 0 fails with error 28`,
      run(invvpid(type, [0, 0]), fails(28)),
    ),
  ),
  ...[0, 1, 2, 3].map(type =>
    simple(
      `invvpid.good.${type}`,
      'invvpid_test',
      `INVVPID ${type} of VPID 1 succeeds`,
      run(invvpid(type, [1, 0])),
    ),
  ),
  ...[4, 5, 0xff, 0xffff_ffff].map(type =>
    simple(
      `invvpid.type.${type}`,
      'invvpid_test',
      `INVVPID of type ${type} fails with error 28`,
      run(invvpid(type, [1, 0]), fails(28)),
    ),
  ),
  ...[16, 20, 31, 32, 63].map(bit =>
    simple(
      `invvpid.reserved.${bit}`,
      'invvpid_test',
      `bit ${bit} of the INVVPID descriptor is reserved`,
      run(invvpid(1, bit < 32 ? [(1 | (1 << bit)) >>> 0, 0] : [1, (1 << (bit - 32)) >>> 0]), fails(28)),
    ),
  ),
  simple(
    'invvpid.canonical',
    'invvpid_test',
    'INVVPID 0 of a non-canonical address fails with error 28',
    run(invvpid(0, [1, 0], [0, 0x8000]), fails(28)),
  ),
  simple(
    'invvpid.canonical.others',
    'invvpid_test',
    'other types do not look at the address',
    run(invvpid(1, [1, 0], [0, 0x8000])),
  ),
  ...[0, 3, 4].map(type =>
    simple(
      `invept.type.${type}`,
      'EPT A/D disabled',
      `INVEPT of type ${type} fails with error 28`,
      run({ op: 'invept', type, eptp: [AT.pml4 | 0x1e, 0] }, fails(28)),
    ),
  ),
  simple(
    'invept.single',
    'EPT A/D disabled',
    'INVEPT 1 of a legal EPTP succeeds',
    run({ op: 'invept', type: 1, eptp: [AT.pml4 | 0x1e, 0] }),
  ),
  simple(
    'invept.illegal',
    'EPT A/D disabled',
    'and of one that an entry would refuse fails with error 28',
    run({ op: 'invept', type: 1, eptp: [AT.pml4 | 0x1f, 0] }, fails(28)),
  ),
  simple('invept.all', 'EPT A/D disabled', 'INVEPT 2 succeeds', run({ op: 'invept', type: 2 })),
]

export const VMCS_ACCESS_ROWS: readonly Row[] = [...fields, ...invalidations]
