import { describe, expect, it } from 'vitest'
import { runProgram } from '../../src/conformance/index.ts'
import { describeQualification } from '../../src/vmx/formats/exit-qualification.ts'
import { EXIT_REASON } from '../../src/vmx/formats/exit-reasons.ts'
import type { Operation } from '../../src/vmx/formats/operations.ts'
import type { VmcsFieldName } from '../../src/vmx/formats/vmcs.ts'

const program = (operations: readonly Operation[], fields: readonly [VmcsFieldName, number][] = []) =>
  runProgram({
    fields: fields.map(([name, low]) => [name, [low, 0]] as const),
    memory: [],
    operations,
    throughIdt: false,
  })

describe('a program on a lone processor', () => {
  it('tells each operation, and each VM exit with its qualification by name', () => {
    const { steps, vmcs, brokenEntryRules } = program(
      [{ op: 'vmlaunch' }, { op: 'in', port: 0x60, width: 1 }, { op: 'vmptrld', address: 0x1000 }],
      [['primaryProcessorBasedControls', 0x8500_61f2]],
    )
    expect(steps).toMatchObject([
      { outcome: 'done' },
      {
        outcome: 'vmExit',
        exit: { reason: 'ioInstruction', qualification: { port: '0x60', direction: 'in' } },
      },
      { outcome: 'vmFailValid', error: { number: 10, meaning: 'VMPTRLD with VMXON pointer' } },
    ])
    expect(vmcs['exitReason']).toBe('0x1e')
    expect(brokenEntryRules).toEqual([])
  })

  it('names the rule that an entry would break', () => {
    const { steps, brokenEntryRules } = program([{ op: 'vmlaunch' }], [['guestRflags', 0]])
    expect(steps).toMatchObject([{ exit: { reason: 'entryFailureGuestState', entryFailure: true } }])
    expect(brokenEntryRules.map(({ id }) => id)).toEqual(['guest.RFLAGS.reserved'])
  })

  it('refuses a field that the processor lacks', () => {
    expect(() => program([], [['guestSCet', 1]])).toThrow('this processor has no field guestSCet')
  })
})

describe('exit qualifications by name', () => {
  it.each([
    ['controlRegisterAccess', 0x300, { register: 'CR0', access: 'movTo', general: 'RBX' }],
    ['controlRegisterAccess', 0x9_0230, { register: 'CR0', access: 'lmsw', source: '0x9' }],
    ['movDr', 0x117, { register: 'DR7', direction: 'from', general: 'RCX' }],
    ['taskSwitch', 0x8000_0028, { selector: '0x28', source: 'jmp' }],
    ['apicAccess', 0x1020, { offset: '0x20', access: 'write' }],
    ['startUpIpi', 0x12, { vector: 0x12 }],
    ['ioInstruction', 0x70_0031, { port: '0x70', width: 2, direction: 'out', string: true, rep: true }],
    ['entryFailureGuestState', 4, { check: 'linkPointer' }],
  ] as const)('%s %i', (name, qualification, facts) => {
    expect(describeQualification(EXIT_REASON[name], qualification, 0)).toEqual(facts)
  })
})
