import { describe, expect, it } from 'vitest'
import {
  enableApic,
  endOfInterrupt,
  exitOf,
  guestRig,
  makeRig,
  PIN,
  PRIMARY,
  type Rig,
  readyRig,
} from './rig.ts'

const INTERRUPT_WINDOW = 1 << 2
const HLT_EXITING = 1 << 7
const ACKNOWLEDGE = 1 << 15
const NMI = 4
const INIT = 5

const guestWithApic = (change: (rig: Rig) => void = () => undefined): Rig =>
  guestRig(rig => {
    enableApic(rig)
    change(rig)
  })
const primary = (value: number) => (rig: Rig) => rig.vmwrite(0x4002, value >>> 0)

describe('takeInterrupt in the host', () => {
  it('gives no vector while RFLAGS.IF is 0, as after reset and after every VM exit', () => {
    const rig = makeRig()
    enableApic(rig)
    rig.interrupt(0x41)
    expect(rig.cpu.takeInterrupt()).toBe(-1)
    rig.run({ op: 'sti' })
    expect(rig.cpu.takeInterrupt()).toBe(0x41)
    expect(rig.cpu.takeInterrupt()).toBe(-1)
    endOfInterrupt(rig)
    rig.interrupt(0x42)
    rig.run({ op: 'cli' })
    expect(rig.cpu.takeInterrupt()).toBe(-1)
  })

  it('gives a higher priority class first, and in between', () => {
    const rig = makeRig()
    enableApic(rig)
    rig.run({ op: 'sti' })
    rig.interrupt(0x41)
    expect(rig.cpu.takeInterrupt()).toBe(0x41)
    rig.interrupt(0x4f)
    expect(rig.cpu.takeInterrupt()).toBe(-1)
    rig.interrupt(0x51)
    expect(rig.cpu.takeInterrupt()).toBe(0x51)
    endOfInterrupt(rig)
    endOfInterrupt(rig)
    expect(rig.cpu.takeInterrupt()).toBe(0x4f)
  })

  it('wakes the processor from HLT', () => {
    const rig = makeRig()
    enableApic(rig)
    rig.run({ op: 'sti' })
    expect(rig.run({ op: 'hlt' }).outcome).toBe('halted')
    expect(rig.run({ op: 'cpuid', leaf: 0 }).outcome).toBe('halted')
    rig.interrupt(0x41)
    expect(rig.cpu.takeInterrupt()).toBe(0x41)
    expect(rig.run({ op: 'cpuid', leaf: 0 }).outcome).toBe('done')
  })

  it('gives NMIs in spite of RFLAGS.IF, one until IRET', () => {
    const rig = makeRig()
    rig.interrupt(0, NMI)
    expect(rig.cpu.takeInterrupt()).toBe(2)
    rig.interrupt(0, NMI)
    expect(rig.cpu.takeInterrupt()).toBe(-1)
    rig.run({ op: 'iret' })
    expect(rig.cpu.takeInterrupt()).toBe(2)
  })
})

describe('an external interrupt with external-interrupt exiting', () => {
  it('exits 1 before the operation even with RFLAGS.IF 0, and stays pending in the local APIC', () => {
    const rig = guestWithApic(r => r.vmwrite(0x6820, 2))
    rig.interrupt(0x41)
    expect(rig.run({ op: 'write', address: 0, width: 4, value: [7, 0] }).outcome).toBe('vmExit')
    expect(exitOf(rig)).toEqual({ reason: 1, qualification: 0, length: 0, interruption: 0 })
    expect(rig.dword(0x100_0000)).toBe(0)
    expect(rig.cpu.apic.view()).toMatchObject({ requested: [0x41], inService: [] })
    expect(rig.cpu.takeInterrupt()).toBe(-1)
    rig.run({ op: 'sti' })
    expect(rig.cpu.takeInterrupt()).toBe(0x41)
    endOfInterrupt(rig)
    rig.run({ op: 'vmresume' })
    expect(rig.run({ op: 'write', address: 0, width: 4, value: [7, 0] }).outcome).toBe('done')
  })

  it('with "acknowledge interrupt on exit" the vector is recorded and in service', () => {
    const rig = guestWithApic(r => r.vmwrite(0x400c, 0x0003_6ffb | ACKNOWLEDGE))
    rig.interrupt(0x41)
    rig.run({ op: 'pause' })
    expect(exitOf(rig)).toMatchObject({ reason: 1, interruption: 0x8000_0041 })
    expect(rig.cpu.apic.view()).toMatchObject({ requested: [], inService: [0x41] })
  })

  it('does not exit while its priority is too low', () => {
    const rig = guestWithApic()
    rig.run({ op: 'vmcall', number: 0 })
    rig.run({ op: 'write', address: 0xfee0_0080, width: 4, value: [0x50, 0] })
    rig.run({ op: 'vmresume' })
    rig.interrupt(0x51)
    expect(rig.run({ op: 'pause' }).outcome).toBe('done')
    rig.interrupt(0x61)
    expect(rig.run({ op: 'pause' }).outcome).toBe('vmExit')
  })

  it('leaves HLT in the activity state of a guest that slept, with RIP after HLT', () => {
    const rig = guestWithApic(primary(PRIMARY & ~HLT_EXITING))
    rig.run({ op: 'hlt' })
    rig.interrupt(0x41)
    expect(rig.run({ op: 'pause' }).outcome).toBe('vmExit')
    expect(rig.vmread(0x4402)).toBe(1)
    expect(rig.vmread(0x4826)).toBe(1)
    expect(rig.vmread(0x681e)).toBe(0x1001)
  })
})

describe('an external interrupt without external-interrupt exiting', () => {
  it('is taken by the guest when its RFLAGS.IF allows, and clears IF', () => {
    const rig = guestWithApic(r => r.vmwrite(0x4000, PIN & ~1))
    rig.interrupt(0x41)
    expect(rig.run({ op: 'pause' }).outcome).toBe('done')
    expect(rig.cpu.takeInterrupt()).toBe(0x41)
    expect(rig.cpu.view()).toMatchObject({ mode: 'nonRoot', interruptFlag: false })
    rig.interrupt(0x61)
    expect(rig.cpu.takeInterrupt()).toBe(-1)
    rig.run({ op: 'iret' })
    expect(rig.cpu.takeInterrupt()).toBe(0x61)
  })
})

describe('NMI and INIT', () => {
  it('an NMI exits 0 with type 2 and vector 2, and blocks further NMIs until the host executes IRET', () => {
    const rig = guestWithApic(r => r.vmwrite(0x6820, 2))
    rig.interrupt(0, NMI)
    expect(rig.run({ op: 'pause' }).outcome).toBe('vmExit')
    expect(exitOf(rig)).toMatchObject({ reason: 0, interruption: 0x8000_0202 })
    rig.interrupt(0, NMI)
    expect(rig.cpu.takeInterrupt()).toBe(-1)
    rig.run({ op: 'iret' })
    expect(rig.cpu.takeInterrupt()).toBe(2)
  })

  it('an NMI without NMI exiting is the guest’s', () => {
    const rig = guestWithApic(r => r.vmwrite(0x4000, PIN & ~8))
    rig.interrupt(0, NMI)
    expect(rig.run({ op: 'pause' }).outcome).toBe('done')
    expect(rig.cpu.takeInterrupt()).toBe(2)
  })

  it('INIT exits 3, before an NMI', () => {
    const rig = guestWithApic()
    rig.interrupt(0, NMI)
    rig.interrupt(0, INIT)
    rig.run({ op: 'pause' })
    expect(rig.vmread(0x4402)).toBe(3)
  })

  it('INIT is held back in root operation', () => {
    const rig = readyRig()
    rig.interrupt(0, INIT)
    expect(rig.run({ op: 'cpuid', leaf: 0 }).outcome).toBe('done')
    rig.run({ op: 'vmlaunch' })
    expect(rig.run({ op: 'pause' }).outcome).toBe('vmExit')
    expect(rig.vmread(0x4402)).toBe(3)
  })
})

describe('event injection', () => {
  it('delivers the vector at VM entry through an interrupt gate', () => {
    const rig = readyRig()
    rig.vmwrite(0x4016, 0x8000_0041)
    expect(rig.run({ op: 'vmlaunch' })).toMatchObject({ outcome: 'done', vector: 0x41 })
    expect(rig.cpu.view().interruptFlag).toBe(false)
    rig.run({ op: 'iret' })
    expect(rig.cpu.view().interruptFlag).toBe(true)
    rig.run({ op: 'vmcall', number: 0 })
    expect(rig.run({ op: 'vmresume' })).toMatchObject({ outcome: 'done', vector: -1 })
  })

  it('IRET to code with interrupts off leaves them off', () => {
    const rig = guestRig()
    rig.run({ op: 'iret', interruptFlag: false })
    expect(rig.cpu.view().interruptFlag).toBe(false)
  })

  it('is not subject to the exception bitmap', () => {
    const rig = readyRig()
    rig.vmwrite(0x4004, 0xffff_ffff)
    rig.vmwrite(0x4016, 0x8000_0b0e)
    expect(rig.run({ op: 'vmlaunch' })).toMatchObject({ outcome: 'done', vector: 14 })
  })

  it('wakes a guest in HLT and ends blocking by STI', () => {
    const rig = readyRig()
    rig.vmwrite(0x4826, 1)
    rig.vmwrite(0x4016, 0x8000_0041)
    rig.run({ op: 'vmlaunch' })
    expect(rig.run({ op: 'pause' }).outcome).toBe('done')
    rig.run({ op: 'vmcall', number: 0 })
    rig.vmwrite(0x4824, 1)
    rig.vmwrite(0x6820, 0x202)
    rig.vmwrite(0x4016, 0x8000_0302)
    rig.run({ op: 'vmresume' })
    rig.run({ op: 'vmcall', number: 0 })
    expect(rig.vmread(0x4824)).toBe(0)
  })

  it('of an NMI blocks NMIs in the guest; without virtual NMIs, NMI exiting leaves IRET no say in it', () => {
    const rig = readyRig()
    rig.vmwrite(0x4016, 0x8000_0202)
    expect(rig.run({ op: 'vmlaunch' })).toMatchObject({ vector: 2 })
    rig.interrupt(0, NMI)
    expect(rig.run({ op: 'pause' }).outcome).toBe('done')
    rig.run({ op: 'iret' })
    expect(rig.run({ op: 'pause' }).outcome).toBe('done')
    rig.run({ op: 'vmcall', number: 0 })
    expect(rig.vmread(0x4824)).toBe(8)
  })

  it('of an NMI with virtual NMIs blocks only virtual ones, until IRET', () => {
    const rig = readyRig()
    rig.vmwrite(0x4000, 0x3f)
    rig.vmwrite(0x4002, PRIMARY | (1 << 22))
    rig.vmwrite(0x4016, 0x8000_0202)
    expect(rig.run({ op: 'vmlaunch' })).toMatchObject({ vector: 2 })
    expect(rig.run({ op: 'pause' }).outcome).toBe('done')
    rig.run({ op: 'iret' })
    expect(rig.run({ op: 'pause' }).outcome).toBe('vmExit')
    expect(rig.vmread(0x4402)).toBe(8)
  })
})

describe('interrupt-window exiting', () => {
  const window = primary(PRIMARY | INTERRUPT_WINDOW)

  it('exits 7 right after an entry with the window open, before any operation', () => {
    const rig = guestRig(window)
    expect(rig.run({ op: 'cpuid', leaf: 0 }).outcome).toBe('vmExit')
    expect(exitOf(rig)).toEqual({ reason: 7, qualification: 0, length: 0, interruption: 0 })
    expect(rig.vmread(0x681e)).toBe(0x1000)
  })

  it('after STI exits only when the next operation is over', () => {
    const rig = guestRig(r => {
      window(r)
      r.vmwrite(0x6820, 2)
    })
    expect(rig.run({ op: 'sti' }).outcome).toBe('done')
    expect(rig.run({ op: 'pause' }).outcome).toBe('done')
    expect(rig.run({ op: 'pause' }).outcome).toBe('vmExit')
    expect(rig.vmread(0x4402)).toBe(7)
    expect(rig.vmread(0x4824)).toBe(0)
  })

  it('after a MOV to SS likewise', () => {
    const rig = guestRig(r => {
      r.vmwrite(0x6820, 2)
      window(r)
    })
    rig.run({ op: 'movSs' })
    rig.run({ op: 'iret' })
    expect(rig.run({ op: 'pause' }).outcome).toBe('vmExit')
  })

  it('comes before an external interrupt, and after IRET from an injected one', () => {
    const rig = guestWithApic(window)
    rig.interrupt(0x41)
    rig.run({ op: 'pause' })
    expect(rig.vmread(0x4402)).toBe(7)
    rig.run({ op: 'sti' })
    rig.cpu.takeInterrupt()
    rig.vmwrite(0x4016, 0x8000_0050)
    rig.run({ op: 'vmresume' })
    expect(rig.run({ op: 'pause' }).outcome).toBe('done')
    rig.run({ op: 'iret' })
    expect(rig.run({ op: 'pause' }).outcome).toBe('vmExit')
    expect(rig.vmread(0x4402)).toBe(7)
  })
})

describe('blocking by STI and MOV SS', () => {
  it('is saved in the interruptibility state', () => {
    const rig = guestRig(r => r.vmwrite(0x6820, 2))
    rig.run({ op: 'sti' })
    rig.run({ op: 'vmcall', number: 0 })
    expect(rig.vmread(0x4824)).toBe(1)
    rig.vmwrite(0x4824, 0)
    rig.run({ op: 'vmresume' })
    rig.run({ op: 'movSs' })
    rig.run({ op: 'vmcall', number: 0 })
    expect(rig.vmread(0x4824)).toBe(2)
  })

  it('STI with interrupts already on does not block', () => {
    const rig = guestRig()
    rig.run({ op: 'sti' })
    rig.run({ op: 'vmcall', number: 0 })
    expect(rig.vmread(0x4824)).toBe(0)
  })
})

describe('saving and loading', () => {
  it('a processor in the middle of a guest goes on as it was', () => {
    const rig = guestWithApic()
    rig.run({ op: 'read', address: 0x5000, width: 4 })
    rig.interrupt(0x41)
    const [cpu, memory] = [rig.cpu.save(), rig.memory.save()]
    rig.run({ op: 'pause' })
    rig.vmwrite(0x6820, 2)
    rig.cpu.reset()
    rig.memory.load(memory)
    rig.cpu.load(cpu)
    expect(rig.cpu.save()).toEqual(cpu)
    expect(rig.cpu.view().mode).toBe('nonRoot')
    expect(rig.run({ op: 'pause' }).outcome).toBe('vmExit')
    expect(rig.vmread(0x6820)).toBe(0x202)
  })
})
