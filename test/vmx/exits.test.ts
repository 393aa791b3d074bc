import { describe, expect, it } from 'vitest'
import type { Operation } from '../../src/vmx/formats/operations.ts'
import {
  exitOf,
  guestRig,
  IO_BITMAP_A,
  IO_BITMAP_B,
  MSR_BITMAPS,
  PRIMARY,
  type Rig,
  readyRig,
  VMXON_REGION,
} from './rig.ts'

const USE_IO_BITMAPS = 1 << 25
const UNCONDITIONAL_IO = 1 << 24
const USE_MSR_BITMAPS = 1 << 28
const PAUSE_EXITING = 1 << 30
const HLT_EXITING = 1 << 7

const primary = (value: number) => (rig: Rig) => rig.vmwrite(0x4002, value >>> 0)
const withIoBitmaps = (rig: Rig): void => {
  rig.vmwrite(0x4002, (PRIMARY | USE_IO_BITMAPS) >>> 0)
  rig.vmwrite(0x2000, IO_BITMAP_A)
  rig.vmwrite(0x2002, IO_BITMAP_B)
}
const withMsrBitmaps = (rig: Rig): void => {
  rig.vmwrite(0x4002, (PRIMARY | USE_MSR_BITMAPS) >>> 0)
  rig.vmwrite(0x2004, MSR_BITMAPS)
}
const setByte = (rig: Rig, address: number, value: number): void =>
  rig.map.writeDword(address & ~3, value << ((address & 3) * 8), 0xff << ((address & 3) * 8))

describe('operations that always exit', () => {
  const cases: readonly (readonly [Operation, number, number])[] = [
    [{ op: 'cpuid', leaf: 0 }, 10, 2],
    [{ op: 'vmcall', number: 7 }, 18, 3],
    [{ op: 'vmclear', address: 0x2000 }, 19, 4],
    [{ op: 'vmlaunch' }, 20, 3],
    [{ op: 'vmptrld', address: 0x2000 }, 21, 3],
    [{ op: 'vmptrst' }, 22, 3],
    [{ op: 'vmread', field: 0x4402 }, 23, 3],
    [{ op: 'vmresume' }, 24, 3],
    [{ op: 'vmwrite', field: 0x4402, value: [0, 0] }, 25, 3],
    [{ op: 'vmxoff' }, 26, 3],
    [{ op: 'vmxon', address: VMXON_REGION }, 27, 4],
    [{ op: 'invept', type: 2 }, 50, 5],
  ]

  it.each(cases)('%j: reason %i, instruction length %i, qualification 0', (operation, reason, length) => {
    const rig = guestRig()
    expect(rig.run(operation).outcome).toBe('vmExit')
    expect(exitOf(rig)).toEqual({ reason, qualification: 0, length, interruption: 0 })
    expect(rig.cpu.view().mode).toBe('root')
  })

  it('exit from VMX instructions and VMCALL whatever the privilege level', () => {
    const user = (rig: Rig): void => {
      rig.vmwrite(0x0802, 0xb)
      rig.vmwrite(0x4816, 0xa0fb)
      rig.vmwrite(0x0804, 0x13)
      rig.vmwrite(0x4818, 0xc0f3)
    }
    for (const [operation, reason] of cases) {
      const rig = guestRig(user)
      rig.run(operation)
      expect(rig.vmread(0x4402)).toBe(reason)
    }
    const rig = guestRig(user)
    for (const operation of [
      { op: 'hlt' },
      { op: 'rdmsr', msr: 0x10 },
      { op: 'cli' },
      { op: 'in', port: 0x80, width: 1 },
    ] as const) {
      expect(rig.run(operation)).toMatchObject({ outcome: 'exception', vector: 13, error: 0 })
    }
  })
})

describe('a VM exit', () => {
  it('saves the guest: RIP stays on the operation that caused it', () => {
    const rig = guestRig()
    rig.run({ op: 'cli' })
    rig.run({ op: 'read', address: 0, width: 4 })
    rig.run({ op: 'cpuid', leaf: 0 })
    expect(rig.vmread(0x681e)).toBe(0x1004)
    expect(rig.vmread(0x6820)).toBe(2)
    expect(rig.run({ op: 'vmresume' }).outcome).toBe('done')
    expect(rig.cpu.view()).toMatchObject({ mode: 'nonRoot', rip: '0x0000000000001004' })
  })

  it('loads the host: RIP from its field, RFLAGS 2', () => {
    const rig = guestRig()
    rig.run({ op: 'cpuid', leaf: 0 })
    expect(rig.cpu.view()).toMatchObject({ rip: '0xffff800012345000', rflags: '0x0000000000000002' })
  })

  it('clears the valid bit of the VM-entry interruption information and leaves its other bits', () => {
    const rig = guestRig(r => r.vmwrite(0x4016, 0x8000_0041))
    rig.run({ op: 'cpuid', leaf: 0 })
    expect(rig.vmread(0x4016)).toBe(0x41)
  })

  it('saves and loads PAT and EFER only where the controls say so', () => {
    const rig = guestRig(r => {
      r.vmwrite(0x4002, (PRIMARY | USE_MSR_BITMAPS) >>> 0)
      r.vmwrite(0x2004, MSR_BITMAPS)
      r.vmwrite(0x400c, 0x0003_6ffb | (1 << 18) | (1 << 19))
      r.vmwrite(0x2c00, 0x0606_0606, 0x0606_0606)
      r.vmwrite(0x2806, 0x77)
    })
    rig.run({ op: 'wrmsr', msr: 0x277, value: [0x0101_0101, 0x0404_0404] })
    rig.run({ op: 'wrmsr', msr: 0xc000_0080, value: [0xd01, 0] })
    rig.run({ op: 'cpuid', leaf: 0 })
    expect(rig.run({ op: 'vmread', field: 0x2804 })).toMatchObject({ low: 0x0101_0101, high: 0x0404_0404 })
    expect(rig.run({ op: 'rdmsr', msr: 0x277 })).toMatchObject({ low: 0x0606_0606, high: 0x0606_0606 })
    expect(rig.vmread(0x2806)).toBe(0x77)
    expect(rig.run({ op: 'rdmsr', msr: 0xc000_0080 }).low & 0x500).toBe(0x500)
  })

  it('stores IA32_EFER.LMA into the entry control "IA-32e mode guest"', () => {
    const rig = guestRig()
    rig.run({ op: 'cpuid', leaf: 0 })
    expect(rig.vmread(0x4012) & 0x200).toBe(0x200)
  })
})

describe('HLT and PAUSE', () => {
  it('exit 12 with HLT exiting, leaving the guest active', () => {
    const rig = guestRig()
    expect(rig.run({ op: 'hlt' }).outcome).toBe('vmExit')
    expect(exitOf(rig)).toMatchObject({ reason: 12, length: 1 })
    expect(rig.vmread(0x4826)).toBe(0)
  })

  it('halt the guest without HLT exiting', () => {
    const rig = guestRig(primary(PRIMARY & ~HLT_EXITING))
    expect(rig.run({ op: 'hlt' }).outcome).toBe('halted')
    expect(rig.run({ op: 'cpuid', leaf: 0 }).outcome).toBe('halted')
    expect(rig.cpu.view()).toMatchObject({ mode: 'nonRoot', activity: 'halted' })
  })

  it('PAUSE exits 40 only with PAUSE exiting', () => {
    expect(guestRig().run({ op: 'pause' }).outcome).toBe('done')
    const rig = guestRig(primary(PRIMARY | PAUSE_EXITING))
    rig.run({ op: 'pause' })
    expect(exitOf(rig)).toMatchObject({ reason: 40, length: 2 })
  })
})

describe('I/O', () => {
  it.each([
    [{ op: 'in', port: 0x3f8, width: 1 }, 0x03f8_0008],
    [{ op: 'in', port: 0xcfc, width: 4 }, 0x0cfc_000b],
    [{ op: 'out', port: 0xcf8, width: 4, value: 1 }, 0x0cf8_0003],
    [{ op: 'out', port: 0x80, width: 2, value: 1 }, 0x0080_0001],
  ] as const)(
    'unconditional exiting, %j: exit 30 with size, direction and port',
    (operation, qualification) => {
      const rig = guestRig()
      expect(rig.run(operation).outcome).toBe('vmExit')
      expect(exitOf(rig)).toMatchObject({ reason: 30, qualification, length: 1 })
      expect(rig.ports.writes).toEqual([])
    },
  )

  it('without controls the ports are reached', () => {
    const rig = guestRig(primary(PRIMARY & ~UNCONDITIONAL_IO))
    expect(rig.run({ op: 'in', port: 0x60, width: 1 })).toMatchObject({ outcome: 'done', low: 0x1234_5678 })
    rig.run({ op: 'out', port: 0xcf8, width: 4, value: 0x8000_0000 })
    expect(rig.ports.writes).toEqual([[0xcf8, 4, 0x8000_0000]])
  })

  it('the bitmaps decide port by port, and unconditional exiting is ignored', () => {
    const rig = guestRig(withIoBitmaps)
    setByte(rig, IO_BITMAP_A + (0x63 >> 3), 1 << 3)
    setByte(rig, IO_BITMAP_B, 1 << 1)
    const exits = (port: number, width: 1 | 2 | 4): boolean => {
      const { outcome } = rig.run({ op: 'in', port, width })
      if (outcome === 'vmExit') rig.run({ op: 'vmresume' })
      return outcome === 'vmExit'
    }
    expect(exits(0x60, 1)).toBe(false)
    expect(exits(0x63, 1)).toBe(true)
    expect(exits(0x60, 4)).toBe(true)
    expect(exits(0x64, 4)).toBe(false)
    expect(exits(0x7fff, 1)).toBe(false)
    expect(exits(0x7fff, 2)).toBe(false)
    expect(exits(0x7fff, 4)).toBe(true)
    expect(exits(0x8001, 1)).toBe(true)
    expect(exits(0xffff, 1)).toBe(false)
    expect(exits(0xffff, 2)).toBe(true)
  })
})

describe('RDMSR and WRMSR', () => {
  it('always exit without MSR bitmaps, also for an MSR that does not exist', () => {
    const rig = guestRig()
    rig.run({ op: 'rdmsr', msr: 0x9999 })
    expect(exitOf(rig)).toMatchObject({ reason: 31, length: 2, qualification: 0 })
    rig.run({ op: 'vmresume' })
    rig.run({ op: 'wrmsr', msr: 0x10, value: [0, 0] })
    expect(exitOf(rig)).toMatchObject({ reason: 32, length: 2 })
  })

  it.each([
    ['read', 0x277, 0x000],
    ['read', 0xc000_0082, 0x400],
    ['write', 0x277, 0x800],
    ['write', 0xc000_0082, 0xc00],
  ] as const)('%s of %i is governed by the bitmap at offset %i', (direction, msr, map) => {
    const index = msr & 0x1fff
    const operation: Operation =
      direction === 'read' ? { op: 'rdmsr', msr } : { op: 'wrmsr', msr, value: [0x0606_0606, 0] }
    const without = guestRig(withMsrBitmaps)
    expect(without.run(operation).outcome).toBe('done')
    const rig = guestRig(withMsrBitmaps)
    setByte(rig, MSR_BITMAPS + map + (index >> 3), 1 << (index & 7))
    expect(rig.run(operation).outcome).toBe('vmExit')
    expect(rig.vmread(0x4402)).toBe(direction === 'read' ? 31 : 32)
  })

  it.each([0x2000, 0xbfff_ffff, 0xc000_2000])(
    'outside both ranges (%i) exit in spite of the bitmaps',
    msr => {
      expect(guestRig(withMsrBitmaps).run({ op: 'rdmsr', msr }).outcome).toBe('vmExit')
    },
  )
})

describe('exceptions of the guest', () => {
  it('go to the guest if their bit in the exception bitmap is 0', () => {
    const rig = guestRig(withMsrBitmaps)
    expect(rig.run({ op: 'rdmsr', msr: 0x1999 })).toMatchObject({
      outcome: 'exception',
      vector: 13,
      error: 0,
    })
    expect(rig.cpu.view().mode).toBe('nonRoot')
  })

  it('exit 0 if it is 1, with vector, type 3, error code, and RF in the saved flags', () => {
    const rig = guestRig(r => {
      withMsrBitmaps(r)
      r.vmwrite(0x4004, 1 << 13)
    })
    expect(rig.run({ op: 'rdmsr', msr: 0x1999 }).outcome).toBe('vmExit')
    expect(exitOf(rig)).toMatchObject({ reason: 0, interruption: 0x8000_0b0d })
    expect(rig.vmread(0x4406)).toBe(0)
    expect(rig.vmread(0x6820)).toBe(0x1_0202)
  })
})

describe('outside VMX operation and in root', () => {
  it('operations act natively', () => {
    const rig = readyRig()
    expect(rig.run({ op: 'cpuid', leaf: 1 }).ecx & (1 << 5)).toBe(1 << 5)
    expect(rig.run({ op: 'in', port: 0x60, width: 4 }).low).toBe(0x1234_5678)
    rig.run({ op: 'write', address: 0x20_0000, width: 8, value: [0x5566_7788, 0x1122_3344] })
    expect(rig.run({ op: 'read', address: 0x20_0002, width: 4 })).toMatchObject({ low: 0x3344_5566, high: 0 })
    expect(rig.run({ op: 'read', address: 0x20_0007, width: 1 }).low).toBe(0x11)
    expect(rig.run({ op: 'read', address: 2 ** 40, width: 8 })).toMatchObject({
      low: 0xffff_ffff,
      high: 0xffff_ffff,
    })
    rig.run({ op: 'write', address: 0x20_0ffe, width: 8, value: [0x0403_0201, 0x0807_0605] })
    expect(rig.dword(0x20_0ffc) >>> 16).toBe(0x0201)
    expect(rig.dword(0x20_1000)).toBe(0x0605_0403)
    expect(rig.run({ op: 'read', address: 0x20_0ffe, width: 8 })).toMatchObject({
      low: 0x0403_0201,
      high: 0x0807_0605,
    })
  })
})
