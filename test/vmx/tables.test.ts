import { describe, expect, it } from 'vitest'
import { EXIT_REASON, exitReasonName } from '../../src/vmx/formats/exit-reasons.ts'
import { INSTRUCTION_ERROR_NAMES } from '../../src/vmx/formats/instruction-errors.ts'
import type { Operation } from '../../src/vmx/formats/operations.ts'
import { VMCS, VMCS_FIELDS } from '../../src/vmx/formats/vmcs.ts'
import { OTHER_VMCS, PRIMARY, type Rig, readyRig, VMCS_REGION, VMXON_REGION } from './rig.ts'

describe('VMCS field encodings', () => {
  it('are unique, even, below 0x8000, with bit 12 clear', () => {
    const encodings = Object.values(VMCS)
    expect(new Set(encodings).size).toBe(encodings.length)
    for (const encoding of encodings) expect(encoding & ~0x6ffe, encoding.toString(16)).toBe(0)
  })

  it.each([
    ['guestEsSelector', 16, 'guestState'],
    ['hostTrSelector', 16, 'hostState'],
    ['eptPointer', 64, 'control'],
    ['guestPhysicalAddress', 64, 'exitInformation'],
    ['exitReason', 32, 'exitInformation'],
    ['guestRip', 'natural', 'guestState'],
    ['hostCr3', 'natural', 'hostState'],
  ])('%s is %s bits wide and %s', (name, width, type) => {
    expect(VMCS_FIELDS.find(field => field.name === name)).toMatchObject({ width, type })
  })

  it('each field that exists keeps its own value', () => {
    const rig = readyRig()
    const written: [name: string, encoding: number, value: number][] = []
    for (const [i, { name, encoding }] of VMCS_FIELDS.entries()) {
      const { outcome } = rig.run({ op: 'vmwrite', field: encoding, value: [i + 1, 0x1000 + i] })
      if (outcome === 'done') written.push([name, encoding, i + 1])
    }
    expect(written.length).toBeGreaterThan(110)
    for (const [name, encoding, value] of written) expect(rig.vmread(encoding), name).toBe(value)
    expect(rig.cpu.vmcsField('guestRip')).toMatch(/^0x0000[0-9a-f]{12}$/)
    expect(Object.keys(rig.cpu.vmcsFields())).toContain('exitReason')
  })

  it('a field exists only if a control that uses it may be set', () => {
    const rig = readyRig()
    for (const field of [VMCS.enclsExitingBitmap, VMCS.subPagePermissionTablePointer, VMCS.guestSCet]) {
      expect(rig.run({ op: 'vmread', field })).toMatchObject({ error: 12 })
    }
  })
})

describe('VM-instruction errors', () => {
  /** Dual-monitor treatment of SMIs and SMM is not modelled; 6 describes a VMCS that VMXOFF made unusable. */
  const OUT_OF_REACH = [6, 16, 17, 18, 19, 20, 22, 23, 24, 25]
  const attempts: readonly ((rig: Rig) => Operation)[] = [
    () => ({ op: 'vmcall', number: 0 }),
    () => ({ op: 'vmclear', address: 1 }),
    () => ({ op: 'vmclear', address: VMXON_REGION }),
    rig => {
      rig.run({ op: 'vmlaunch' })
      rig.run({ op: 'vmcall', number: 0 })
      return { op: 'vmlaunch' }
    },
    () => ({ op: 'vmresume' }),
    rig => {
      rig.vmwrite(VMCS.pinBasedControls, 0)
      return { op: 'vmlaunch' }
    },
    rig => {
      rig.vmwrite(VMCS.hostCr0, 0)
      return { op: 'vmlaunch' }
    },
    () => ({ op: 'vmptrld', address: 1 }),
    () => ({ op: 'vmptrld', address: VMXON_REGION }),
    rig => {
      rig.map.writeDword(OTHER_VMCS, 0)
      return { op: 'vmptrld', address: OTHER_VMCS }
    },
    () => ({ op: 'vmread', field: 0x7fff }),
    () => ({ op: 'vmwrite', field: VMCS.exitReason, value: [0, 0] }),
    () => ({ op: 'vmxon', address: VMCS_REGION }),
    rig => {
      rig.run({ op: 'movSs' })
      return { op: 'vmlaunch' }
    },
    () => ({ op: 'invept', type: 9 }),
  ]

  it('are all reached, but for those that the core cannot produce', () => {
    const reached = attempts.map(attempt => {
      const rig = readyRig()
      return rig.run(attempt(rig)).error
    })
    const expected = Object.keys(INSTRUCTION_ERROR_NAMES).map(Number)
    expect(reached.sort((a, b) => a - b)).toEqual(expected.filter(error => !OUT_OF_REACH.includes(error)))
  })
})

describe('basic exit reasons', () => {
  it('have the names of their numbers, whatever the modifier bits', () => {
    for (const [name, number] of Object.entries(EXIT_REASON)) {
      expect(exitReasonName(number)).toBe(name)
      expect(exitReasonName((number | 0x8000_0000) >>> 0)).toBe(name)
    }
    expect(exitReasonName(35)).toBeUndefined()
  })
})

describe('the trace', () => {
  it('tells entries with what they inject, and exits with reason and qualification', () => {
    const rig = readyRig()
    rig.vmwrite(VMCS.primaryProcessorBasedControls, PRIMARY)
    rig.vmwrite(VMCS.entryInterruptionInformation, 0x8000_0041)
    rig.run({ op: 'vmlaunch' })
    rig.run({ op: 'in', port: 0x60, width: 1 })
    expect(rig.engine.trace.since(0)).toMatchObject([
      { kind: 'vmEntry', detail: { processor: 0, vector: 0x41 } },
      {
        kind: 'vmExit',
        detail: { reason: '0x1e', name: 'ioInstruction', qualification: '0x0000000000600008' },
      },
    ])
  })
})
