import { describe, expect, it } from 'vitest'
import { enterVmx, guestRig, makeRig, OTHER_VMCS, readyRig, VMCS_REGION, VMXON_REGION } from './rig.ts'

const CF = 1
const ZF = 1 << 6
const flags = (rig: { cpu: { view(): { rflags: string } } }): number =>
  Number(BigInt(rig.cpu.view().rflags) & 0x8d5n)

describe('VMXON', () => {
  it('raises #GP(0) while IA32_FEATURE_CONTROL is not locked with VMX enabled', () => {
    const rig = makeRig()
    expect(rig.run({ op: 'vmxon', address: VMXON_REGION })).toMatchObject({
      outcome: 'exception',
      vector: 13,
      error: 0,
    })
    rig.run({ op: 'wrmsr', msr: 0x3a, value: [1, 0] })
    expect(rig.run({ op: 'vmxon', address: VMXON_REGION })).toMatchObject({
      outcome: 'exception',
      vector: 13,
    })
  })

  it('locks IA32_FEATURE_CONTROL: a second WRMSR raises #GP(0)', () => {
    const rig = makeRig()
    rig.run({ op: 'wrmsr', msr: 0x3a, value: [5, 0] })
    expect(rig.run({ op: 'wrmsr', msr: 0x3a, value: [5, 0] })).toMatchObject({
      outcome: 'exception',
      vector: 13,
    })
    expect(rig.run({ op: 'rdmsr', msr: 0x3a }).low).toBe(5)
  })

  it.each([
    ['a misaligned pointer', 0x1800],
    ['a pointer beyond MAXPHYADDR', 2 ** 46],
    ['a wrong revision identifier', 0x9000],
    ['a pointer where there is no memory', 0x800_0000],
  ])('fails with VMfailInvalid for %s', (_, address) => {
    const rig = makeRig()
    rig.run({ op: 'wrmsr', msr: 0x3a, value: [5, 0] })
    expect(rig.run({ op: 'vmxon', address }).outcome).toBe('vmFailInvalid')
    expect(flags(rig)).toBe(CF)
    expect(rig.cpu.view().mode).toBe('vmxOff')
  })

  it('fails with VMfailInvalid where bit 31 of the revision is set', () => {
    const rig = makeRig()
    enterVmx(rig)
    rig.run({ op: 'vmxoff' })
    rig.map.writeDword(VMXON_REGION, (rig.dword(VMXON_REGION) | 0x8000_0000) >>> 0)
    expect(rig.run({ op: 'vmxon', address: VMXON_REGION }).outcome).toBe('vmFailInvalid')
  })

  it('in root operation fails with error 15, or VMfailInvalid without a current VMCS', () => {
    const rig = makeRig()
    enterVmx(rig)
    expect(rig.run({ op: 'vmxon', address: VMXON_REGION }).outcome).toBe('vmFailInvalid')
    rig.run({ op: 'vmptrld', address: VMCS_REGION })
    expect(rig.run({ op: 'vmxon', address: VMXON_REGION })).toMatchObject({
      outcome: 'vmFailValid',
      error: 15,
    })
  })
})

describe('VMX instructions outside VMX operation', () => {
  it.each([
    { op: 'vmxoff' },
    { op: 'vmlaunch' },
    { op: 'vmresume' },
    { op: 'vmptrst' },
    { op: 'vmclear', address: VMCS_REGION },
    { op: 'vmptrld', address: VMCS_REGION },
    { op: 'vmread', field: 0x4402 },
    { op: 'vmwrite', field: 0x4000, value: [0, 0] },
    { op: 'invept', type: 2 },
    { op: 'vmcall', number: 0 },
  ] as const)('$op raises #UD', operation => {
    expect(makeRig().run(operation)).toMatchObject({ outcome: 'exception', vector: 6 })
  })
})

describe('VMCLEAR', () => {
  it('makes the launch state clear, and the VMCS no longer current', () => {
    const rig = guestRig()
    rig.run({ op: 'vmcall', number: 0 })
    expect(rig.run({ op: 'vmlaunch' })).toMatchObject({ error: 4 })
    rig.run({ op: 'vmclear', address: VMCS_REGION })
    expect(rig.run({ op: 'vmptrst' })).toMatchObject({ low: 0xffff_ffff, high: 0xffff_ffff })
    rig.run({ op: 'vmptrld', address: VMCS_REGION })
    expect(rig.run({ op: 'vmlaunch' }).outcome).toBe('done')
  })

  it('fails with error 2 for an invalid address and 3 for the VMXON pointer', () => {
    const rig = readyRig()
    expect(rig.run({ op: 'vmclear', address: 0x2004 })).toMatchObject({ outcome: 'vmFailValid', error: 2 })
    expect(rig.run({ op: 'vmclear', address: 2 ** 46 })).toMatchObject({ error: 2 })
    expect(rig.run({ op: 'vmclear', address: VMXON_REGION })).toMatchObject({ error: 3 })
  })

  it('does not look at the revision identifier', () => {
    expect(readyRig().run({ op: 'vmclear', address: 0x9000 }).outcome).toBe('done')
  })
})

describe('VMPTRLD and VMPTRST', () => {
  it('fail with 9 for an invalid address, 10 for the VMXON pointer, 11 for a wrong revision', () => {
    const rig = readyRig()
    expect(rig.run({ op: 'vmptrld', address: 0x2010 })).toMatchObject({ error: 9 })
    expect(rig.run({ op: 'vmptrld', address: VMXON_REGION })).toMatchObject({ error: 10 })
    expect(rig.run({ op: 'vmptrld', address: 0x9000 })).toMatchObject({ error: 11 })
    rig.map.writeDword(OTHER_VMCS, (rig.dword(OTHER_VMCS) | 0x8000_0000) >>> 0)
    // A shadow VMCS may be current; it cannot be launched.
    expect(rig.run({ op: 'vmptrld', address: OTHER_VMCS }).outcome).toBe('done')
    expect(rig.run({ op: 'vmlaunch' }).outcome).toBe('vmFailInvalid')
    rig.run({ op: 'vmptrld', address: VMCS_REGION })
    expect(rig.run({ op: 'vmptrst' })).toMatchObject({ low: VMCS_REGION, high: 0 })
  })

  it('switch between VMCSs, each with its own fields and launch state', () => {
    const rig = guestRig()
    rig.run({ op: 'vmcall', number: 0 })
    rig.run({ op: 'vmptrld', address: OTHER_VMCS })
    rig.vmwrite(0x681e, 0x777)
    expect(rig.run({ op: 'vmresume' })).toMatchObject({ error: 5 })
    rig.run({ op: 'vmptrld', address: VMCS_REGION })
    expect(rig.vmread(0x681e)).toBe(0x1000)
    expect(rig.run({ op: 'vmresume' }).outcome).toBe('done')
  })
})

describe('VMREAD and VMWRITE', () => {
  it('fail with VMfailInvalid without a current VMCS', () => {
    const rig = makeRig()
    enterVmx(rig)
    expect(rig.run({ op: 'vmread', field: 0x4402 }).outcome).toBe('vmFailInvalid')
    expect(rig.run({ op: 'vmwrite', field: 0x4000, value: [0, 0] }).outcome).toBe('vmFailInvalid')
  })

  it.each([0x1000, 0x8000, 0x4023, 0x6c1e, 0x0006, 0x4801, 0xffff_ffff])(
    'fail with error 12 for the unsupported encoding %i',
    field => {
      const rig = readyRig()
      expect(rig.run({ op: 'vmread', field })).toMatchObject({ outcome: 'vmFailValid', error: 12 })
      expect(rig.run({ op: 'vmwrite', field, value: [0, 0] })).toMatchObject({ error: 12 })
      expect(rig.vmread(0x4400)).toBe(12)
      expect(flags(rig)).toBe(0)
    },
  )

  it('a failure sets ZF and the VM-instruction error field, a success clears the flags and leaves the field', () => {
    const rig = readyRig()
    rig.run({ op: 'vmread', field: 0x1000 })
    expect(flags(rig)).toBe(ZF)
    rig.vmwrite(0x4004, 0)
    expect(flags(rig)).toBe(0)
    expect(rig.vmread(0x4400)).toBe(12)
  })

  it('VMWRITE to exit information fails with error 13', () => {
    expect(readyRig().run({ op: 'vmwrite', field: 0x4402, value: [1, 0] })).toMatchObject({ error: 13 })
  })

  it('keeps 16 bits of 16-bit fields, 64 of 64-bit and natural-width ones', () => {
    const rig = readyRig()
    rig.vmwrite(0x0802, 0x12_3456, 0xff)
    expect(rig.run({ op: 'vmread', field: 0x0802 })).toMatchObject({ low: 0x3456, high: 0 })
    rig.vmwrite(0x681e, 0x9abc_def0, 0x1234_5678)
    expect(rig.run({ op: 'vmread', field: 0x681e })).toMatchObject({ low: 0x9abc_def0, high: 0x1234_5678 })
    rig.vmwrite(0x4004, 0xffff_ffff, 0xffff_ffff)
    expect(rig.run({ op: 'vmread', field: 0x4004 })).toMatchObject({ low: 0xffff_ffff, high: 0 })
  })

  it('the odd encoding of a 64-bit field is its bits 63:32', () => {
    const rig = readyRig()
    rig.vmwrite(0x2010, 1, 2)
    rig.vmwrite(0x2011, 3, 4)
    expect(rig.run({ op: 'vmread', field: 0x2010 })).toMatchObject({ low: 1, high: 3 })
    expect(rig.run({ op: 'vmread', field: 0x2011 })).toMatchObject({ low: 3, high: 0 })
  })
})

describe('VMLAUNCH and VMRESUME', () => {
  it('fail with VMfailInvalid without a current VMCS', () => {
    const rig = makeRig()
    enterVmx(rig)
    expect(rig.run({ op: 'vmlaunch' }).outcome).toBe('vmFailInvalid')
    expect(rig.run({ op: 'vmresume' }).outcome).toBe('vmFailInvalid')
  })

  it('fail with 4 and 5 for the wrong launch state', () => {
    const rig = readyRig()
    expect(rig.run({ op: 'vmresume' })).toMatchObject({ error: 5 })
    rig.run({ op: 'vmlaunch' })
    rig.run({ op: 'vmcall', number: 0 })
    expect(rig.run({ op: 'vmlaunch' })).toMatchObject({ error: 4 })
  })

  it('in a MOV-SS shadow fail with 26, before the launch state is looked at', () => {
    const rig = readyRig()
    rig.run({ op: 'movSs' })
    expect(rig.run({ op: 'vmresume' })).toMatchObject({ error: 26 })
    expect(rig.run({ op: 'vmlaunch' }).outcome).toBe('done')
  })
})

describe('INVEPT and VMCALL in root operation', () => {
  it('INVEPT fails with 28 for an unsupported type, and for type 1 with an EPTP that could not be entered', () => {
    const rig = readyRig()
    expect(rig.run({ op: 'invept', type: 0 })).toMatchObject({ error: 28 })
    expect(rig.run({ op: 'invept', type: 3 })).toMatchObject({ error: 28 })
    expect(rig.run({ op: 'invept', type: 1, eptp: [0x10_0000 | 0x1f, 0] })).toMatchObject({ error: 28 })
    expect(rig.run({ op: 'invept', type: 1, eptp: [0x10_0000 | 0x1e, 0] }).outcome).toBe('done')
    expect(rig.run({ op: 'invept', type: 2 }).outcome).toBe('done')
  })

  it('VMCALL fails with error 1: there is no SMM monitor', () => {
    expect(readyRig().run({ op: 'vmcall', number: 0 })).toMatchObject({ outcome: 'vmFailValid', error: 1 })
  })
})

describe('VMXOFF', () => {
  it('leaves VMX operation; VMXON starts anew without a current VMCS', () => {
    const rig = readyRig()
    expect(rig.run({ op: 'vmxoff' }).outcome).toBe('done')
    expect(rig.cpu.view()).toMatchObject({ mode: 'vmxOff', currentVmcs: null })
    rig.run({ op: 'vmxon', address: VMXON_REGION })
    expect(rig.run({ op: 'vmread', field: 0x4402 }).outcome).toBe('vmFailInvalid')
  })
})

describe('capability MSRs', () => {
  it('report regions of 4 KiB, write-back, with TRUE controls', () => {
    const { low, high } = makeRig().run({ op: 'rdmsr', msr: 0x480 })
    expect(low >>> 31).toBe(0)
    expect({ size: high & 0x1fff, type: (high >>> 18) & 0xf, true: (high >>> 23) & 1 }).toEqual({
      size: 4096,
      type: 6,
      true: 1,
    })
  })

  it('give default-1 bits in the plain MSRs and free some in the TRUE ones', () => {
    const rig = makeRig()
    expect(rig.run({ op: 'rdmsr', msr: 0x481 }).low).toBe(0x16)
    expect(rig.run({ op: 'rdmsr', msr: 0x482 }).low).toBe(0x0401_e172)
    expect(rig.run({ op: 'rdmsr', msr: 0x483 }).low).toBe(0x0003_6dff)
    expect(rig.run({ op: 'rdmsr', msr: 0x484 }).low).toBe(0x0000_11ff)
    expect(rig.run({ op: 'rdmsr', msr: 0x48e }).low).toBe(0x0400_6172)
    expect(rig.run({ op: 'rdmsr', msr: 0x48f }).low).toBe(0x0003_6dfb)
    expect(rig.run({ op: 'rdmsr', msr: 0x490 }).low).toBe(0x0000_11fb)
    for (const msr of [0x481, 0x482, 0x483, 0x484, 0x48d, 0x48e, 0x48f, 0x490]) {
      const { low, high } = rig.run({ op: 'rdmsr', msr })
      expect(low & ~high, `MSR ${msr.toString(16)}`).toBe(0)
    }
  })

  it('are read-only, and unassigned ones do not exist', () => {
    const rig = makeRig()
    expect(rig.run({ op: 'wrmsr', msr: 0x480, value: [0, 0] })).toMatchObject({
      outcome: 'exception',
      vector: 13,
    })
    expect(rig.run({ op: 'rdmsr', msr: 0x493 })).toMatchObject({ outcome: 'exception', vector: 13 })
  })
})
