import { describe, expect, it } from 'vitest'
import { CONTROL_RULES } from '../../src/vmx/entry-controls.ts'
import { GUEST_RULES } from '../../src/vmx/entry-guest-state.ts'
import { HOST_RULES } from '../../src/vmx/entry-host-state.ts'
import {
  ENTRY,
  EXIT,
  exitOf,
  guestRig,
  IO_BITMAP_A,
  legacyHostRig,
  MSR_AREA,
  OTHER_VMCS,
  PIN,
  PML4,
  PRIMARY,
  type Rig,
  readyRig,
  SECONDARY,
  VMCS_REGION,
} from './rig.ts'

type Change = readonly [field: number, low: number, high?: number]
/** For each rule: VMWRITEs after which it is the first broken one. */
type Cases = Readonly<Record<string, readonly Change[]>>

const USE_IO_BITMAPS = PRIMARY | (1 << 25)
const USE_MSR_BITMAPS = PRIMARY | (1 << 28)
/** Neither external-interrupt nor NMI exiting. */
const PIN_NONE = PIN & ~9
const TPR_SHADOW = PRIMARY | (1 << 21)
/** Posted interrupts with everything they need, the acknowledgement last. */
const POSTED: readonly Change[] = [
  [0x4000, PIN | 0x80],
  [0x4002, TPR_SHADOW],
  [0x401e, SECONDARY | (1 << 9)],
  [0x400c, EXIT | (1 << 15)],
]
const UNRESTRICTED = SECONDARY | (1 << 7)
/** An unrestricted guest outside IA-32e mode. */
const LEGACY: readonly Change[] = [
  [0x4012, ENTRY & ~0x200],
  [0x4816, 0xc09b],
]
const inject = (information: number, length = 0, errorCode = 0): readonly Change[] => [
  [0x4016, (0x8000_0000 | information) >>> 0],
  [0x401a, length],
  [0x4018, errorCode],
]

const CONTROL_CASES: Cases = {
  'controls.pinBased': [[0x4000, PIN | 0x100]],
  'controls.primary': [[0x4002, PRIMARY & ~0x2]],
  'controls.secondary': [[0x401e, SECONDARY | (1 << 15)]],
  'controls.tertiary': [
    [0x4002, PRIMARY | (1 << 17)],
    [0x2034, 2],
  ],
  'controls.cr3TargetCount': [[0x400a, 5]],
  'controls.ioBitmapA': [
    [0x4002, USE_IO_BITMAPS],
    [0x2000, IO_BITMAP_A | 8],
  ],
  'controls.ioBitmapB': [
    [0x4002, USE_IO_BITMAPS],
    [0x2000, IO_BITMAP_A],
    [0x2002, 0, 1 << 14],
  ],
  'controls.msrBitmaps': [
    [0x4002, USE_MSR_BITMAPS],
    [0x2004, 0x6800],
  ],
  'controls.virtualNmis': [[0x4000, PIN_NONE | 0x20]],
  'controls.nmiWindowExiting': [[0x4002, PRIMARY | (1 << 22)]],
  'controls.vmreadBitmapAddress': [
    [0x401e, SECONDARY | (1 << 14)],
    [0x2026, 0x8010],
  ],
  'controls.vmwriteBitmapAddress': [
    [0x401e, SECONDARY | (1 << 14)],
    [0x2028, 0, 1 << 14],
  ],
  'controls.virtualizationExceptionInformationAddress': [
    [0x401e, SECONDARY | (1 << 18)],
    [0x202a, 0x8800],
  ],
  'controls.virtualApicAddress': [
    [0x4002, TPR_SHADOW],
    [0x2012, 0x8008],
  ],
  'controls.tprThreshold.reserved': [
    [0x4002, TPR_SHADOW],
    [0x401c, 0x10],
  ],
  'controls.tprThreshold': [
    [0x4002, TPR_SHADOW],
    [0x401c, 1],
  ],
  'controls.virtualizeX2apicMode': [[0x401e, SECONDARY | (1 << 4)]],
  'controls.apicRegisterVirtualization': [[0x401e, SECONDARY | (1 << 8)]],
  'controls.virtualInterruptDelivery': [[0x401e, SECONDARY | (1 << 9)]],
  'controls.apicAccessAddress': [
    [0x401e, SECONDARY | 1],
    [0x2014, 0x8004],
  ],
  'controls.apicModes': [
    [0x4002, TPR_SHADOW],
    [0x401e, SECONDARY | 0x11],
  ],
  'controls.virtualInterruptDelivery.exiting': [
    [0x4000, PIN & ~1],
    [0x4002, TPR_SHADOW],
    [0x401e, SECONDARY | (1 << 9)],
  ],
  'controls.postedInterrupts.delivery': [[0x4000, PIN | 0x80]],
  'controls.postedInterrupts.acknowledge': POSTED.slice(0, 3),
  'controls.postedInterrupts.vector': [...POSTED, [0x0002, 0x100]],
  'controls.postedInterrupts.descriptor': [...POSTED, [0x2016, 0x8020]],
  'controls.ipiVirtualization': [
    [0x4002, TPR_SHADOW | (1 << 17)],
    [0x2034, 0x10],
    [0x2042, 4],
  ],
  'controls.vpid': [[0x401e, SECONDARY | (1 << 5)]],
  'controls.eptPointer': [[0x201a, PML4 | 0x1f]],
  'controls.unrestrictedGuest': [[0x401e, 1 << 7]],
  'controls.pageModificationLogging': [[0x401e, 1 << 17]],
  'controls.modeBasedExecuteControl': [[0x401e, 1 << 22]],
  'controls.pmlAddress': [
    [0x401e, SECONDARY | (1 << 17)],
    [0x200e, 0x8001],
  ],
  'controls.vmFunctions': [
    [0x401e, SECONDARY | (1 << 13)],
    [0x2018, 2],
  ],
  'controls.eptpSwitching': [
    [0x401e, SECONDARY | (1 << 13)],
    [0x2018, 1],
    [0x2024, 0x8008],
  ],
  'controls.tscMultiplier': [[0x401e, SECONDARY | (1 << 25)]],
  'controls.exit': [[0x400c, EXIT | (1 << 23)]],
  'controls.savePreemptionTimer': [[0x400c, EXIT | (1 << 22)]],
  'controls.exitMsrStore': [
    [0x400e, 1],
    [0x2006, MSR_AREA | 8],
  ],
  'controls.exitMsrLoad': [
    [0x4010, 2],
    [0x2008, 0xffff_fff0, 0x3fff],
  ],
  'controls.entry': [[0x4012, ENTRY | (1 << 16)]],
  'controls.entry.smm': [[0x4012, ENTRY | (1 << 10)]],
  'controls.entryMsrLoad': [
    [0x4014, 1],
    [0x200a, MSR_AREA, 1 << 14],
  ],
  'injection.type': inject(0x100 | 0x30),
  'injection.vector': inject(0x200 | 3),
  'injection.errorCodeDelivery': inject(0x300 | 13),
  'injection.reserved': inject((1 << 12) | 0x30),
  'injection.errorCode': inject(0xb00 | 13, 0, 0x1_0000),
  'injection.instructionLength': inject(0x400 | 0x80, 16),
}

const HOST_CASES: Cases = {
  'host.addressSpaceSize': [[0x400c, EXIT & ~0x200]],
  'host.CR4.PAE': [[0x6c04, 0x2000]],
  'host.PERF_GLOBAL_CTRL': [
    [0x400c, EXIT | (1 << 12)],
    [0x2c04, 0x10],
  ],
  'host.RIP': [[0x6c16, 0, 0x8000]],
  'host.CR0': [[0x6c00, 0x8005_0013]],
  'host.CR4': [[0x6c04, 0x1020 | 0x2000]],
  'host.CR3': [[0x6c02, 0, 1 << 14]],
  'host.CS.selector': [[0x0c02, 0x13]],
  'host.SS.selector': [[0x0c04, 0x1c]],
  'host.DS.selector': [[0x0c06, 0x19]],
  'host.ES.selector': [[0x0c00, 0x19]],
  'host.FS.selector': [[0x0c08, 0x19]],
  'host.GS.selector': [[0x0c0a, 0x19]],
  'host.TR.selector': [[0x0c0c, 0x41]],
  'host.CS.null': [[0x0c02, 0]],
  'host.TR.null': [[0x0c0c, 0]],
  'host.FS.base': [[0x6c06, 0, 0x8000]],
  'host.GS.base': [[0x6c08, 0, 0x8000]],
  'host.TR.base': [[0x6c0a, 0, 0x8000]],
  'host.GDTR.base': [[0x6c0c, 0, 0x8000]],
  'host.IDTR.base': [[0x6c0e, 0, 0x8000]],
  'host.SYSENTER_ESP': [[0x6c10, 0, 0x8000]],
  'host.SYSENTER_EIP': [[0x6c12, 0, 0x8000]],
  'host.PAT': [
    [0x400c, EXIT | (1 << 19)],
    [0x2c00, 0x0007_0402],
  ],
  'host.EFER': [
    [0x400c, EXIT | (1 << 21)],
    [0x2c02, 0x100],
  ],
}

/** On a processor that enters from 32-bit code and returns to it. */
const LEGACY_HOST_CASES: Cases = {
  'host.ia32eModeGuest': [[0x4012, ENTRY]],
  'host.CR4.PCIDE': [[0x6c04, 0x2_2020]],
  'host.SS.null': [[0x0c04, 0]],
}

const VM86 = [
  [0x6820, 0x2_0202] as const,
  ...[0, 2, 4, 6, 8, 10].flatMap(n => [
    [0x0800 + n, 0x1000] as const,
    [0x6806 + n, 0x1_0000] as const,
    [0x4800 + n, 0xffff] as const,
    [0x4814 + n, 0xf3] as const,
  ]),
]
const virtual8086 = (n: number): readonly Change[] => [...LEGACY, ...VM86, [0x6806 + n, 0x1_0010]]

const GUEST_CASES: Cases = {
  'guest.RFLAGS.reserved': [[0x6820, 0]],
  'guest.RFLAGS.VM': [[0x6820, 0x2_0002]],
  'guest.RFLAGS.IF': [[0x6820, 2], ...inject(0x30)],
  'guest.CR0.fixedBits': [[0x6800, 0x8000_0011]],
  'guest.CR0.PG': [
    [0x401e, UNRESTRICTED],
    [0x6800, 0x8000_0030],
  ],
  'guest.CR3': [[0x6802, 0, 0x8000_0000]],
  'guest.CR4.fixedBits': [[0x6804, 0x20]],
  'guest.ia32eMode': [[0x6804, 0x2000]],
  'guest.DR7': [
    [0x4012, ENTRY | 4],
    [0x681a, 0x400, 1],
  ],
  'guest.DEBUGCTL': [
    [0x4012, ENTRY | 4],
    [0x2802, 0x1_0000],
  ],
  'guest.CS.virtual8086': virtual8086(2),
  'guest.SS.virtual8086': virtual8086(4),
  'guest.DS.virtual8086': virtual8086(6),
  'guest.ES.virtual8086': virtual8086(0),
  'guest.FS.virtual8086': virtual8086(8),
  'guest.GS.virtual8086': virtual8086(10),
  'guest.SS.RPL': [[0x0804, 0x13]],
  'guest.CS.base': [[0x6808, 0, 1]],
  'guest.SS.base': [[0x680a, 0, 1]],
  'guest.DS.base': [[0x680c, 0, 1]],
  'guest.ES.base': [[0x6806, 0, 1]],
  'guest.FS.base': [[0x680e, 0, 0x8000]],
  'guest.GS.base': [[0x6810, 0, 0x8000]],
  'guest.CS.type': [[0x4816, 0xa093]],
  'guest.SS.type': [[0x4818, 0xc091]],
  'guest.DS.type': [[0x481a, 0xc092]],
  'guest.ES.type': [[0x4814, 0xc099]],
  'guest.FS.type': [[0x481c, 0xc092]],
  'guest.GS.type': [[0x481e, 0xc092]],
  'guest.CS.present': [[0x4816, 0xa01b]],
  'guest.SS.present': [[0x4818, 0xc083]],
  'guest.DS.present': [[0x481a, 0xc193]],
  'guest.ES.present': [[0x4814, 0x2_c093]],
  'guest.FS.present': [[0x481c, 0xc013]],
  'guest.GS.present': [[0x481e, 0xc013]],
  'guest.CS.granularity': [[0x4816, 0x209b]],
  'guest.SS.granularity': [[0x4804, 0xffff_f000]],
  'guest.DS.granularity': [[0x4806, 0xffff_f000]],
  'guest.ES.granularity': [[0x4800, 0xffff_f000]],
  'guest.FS.granularity': [[0x4808, 0xffff_f000]],
  'guest.GS.granularity': [[0x480a, 0xffff_f000]],
  'guest.CS.DPL': [[0x4816, 0xa0fb]],
  'guest.SS.DPL': [
    [0x4818, 0xc0f3],
    [0x4816, 0xa0fb],
  ],
  'guest.DS.DPL': [[0x0806, 0x13]],
  'guest.ES.DPL': [[0x0800, 0x13]],
  'guest.FS.DPL': [[0x0808, 0x13]],
  'guest.GS.DPL': [[0x080a, 0x13]],
  'guest.CS.DB': [[0x4816, 0xe09b]],
  'guest.GDTR.base': [[0x6816, 0, 0x8000]],
  'guest.IDTR.base': [[0x6818, 0, 0x8000]],
  'guest.GDTR.limit': [[0x4810, 0x1_0000]],
  'guest.IDTR.limit': [[0x4812, 0x1_0000]],
  'guest.LDTR.selector': [
    [0x4820, 0x82],
    [0x080c, 4],
  ],
  'guest.LDTR.base': [
    [0x4820, 0x82],
    [0x6812, 0, 0x8000],
  ],
  'guest.LDTR.accessRights': [[0x4820, 0x83]],
  'guest.TR.selector': [[0x080e, 0x1c]],
  'guest.TR.base': [[0x6814, 0, 0x8000]],
  'guest.TR.accessRights': [[0x4822, 0x83]],
  'guest.SYSENTER_ESP': [[0x6824, 0, 0x8000]],
  'guest.SYSENTER_EIP': [[0x6826, 0, 0x8000]],
  'guest.PAT': [
    [0x4012, ENTRY | (1 << 14)],
    [0x2804, 0, 0x0300],
  ],
  'guest.EFER': [
    [0x4012, ENTRY | (1 << 15)],
    [0x2806, 0x100],
  ],
  'guest.RIP': [[0x681e, 0, 0x8000]],
  'guest.linkPointer': [[0x2800, OTHER_VMCS | 4]],
  'guest.pendingDebug.reserved': [[0x6822, 0x10]],
  'guest.pendingDebug.BS': [
    [0x4824, 1],
    [0x6822, 0x4000],
  ],
  'guest.activity.supported': [[0x4826, 4]],
  'guest.activity.CPL': [
    [0x4826, 1],
    [0x0802, 0xb],
    [0x0804, 0x13],
    [0x4816, 0xa0fb],
    [0x4818, 0xc0f3],
  ],
  'guest.activity.blocking': [
    [0x4826, 1],
    [0x4824, 1],
  ],
  'guest.activity.injection': [[0x4826, 1], ...inject(0xb00 | 13)],
  'guest.interruptibility.reserved': [[0x4824, 0x20]],
  'guest.interruptibility.both': [[0x4824, 3]],
  'guest.interruptibility.IF': [
    [0x4824, 1],
    [0x6820, 2],
  ],
  'guest.interruptibility.interrupt': [[0x4824, 1], ...inject(0x30)],
  'guest.interruptibility.NMI': [[0x4824, 2], ...inject(0x202)],
  'guest.interruptibility.virtualNMI': [[0x4000, PIN | 0x20], [0x4824, 8], ...inject(0x202)],
  'guest.PERF_GLOBAL_CTRL': [
    [0x4012, ENTRY | (1 << 13)],
    [0x2808, 0, 8],
  ],
  'guest.PDPTE': [...LEGACY, [0x280c, 0x21]],
}

const attempt = (changes: readonly Change[]): { rig: Rig; first: string | undefined } => {
  const rig = readyRig()
  for (const change of changes) rig.vmwrite(...change)
  return { rig, first: rig.cpu.brokenEntryRules()[0]?.id }
}

describe('every rule of the VM-entry checks', () => {
  it('has a case here', () => {
    expect(Object.keys(CONTROL_CASES).sort()).toEqual(CONTROL_RULES.map(({ id }) => id).sort())
    expect([...Object.keys(HOST_CASES), ...Object.keys(LEGACY_HOST_CASES)].sort()).toEqual(
      HOST_RULES.map(({ id }) => id).sort(),
    )
    expect(Object.keys(GUEST_CASES).sort()).toEqual(GUEST_RULES.map(({ id }) => id).sort())
  })

  it.each(Object.entries(CONTROL_CASES))('%s: VMfailValid 7, nothing loaded', (id, changes) => {
    const { rig, first } = attempt(changes)
    expect(first).toBe(id)
    expect(rig.run({ op: 'vmlaunch' })).toMatchObject({ outcome: 'vmFailValid', error: 7 })
    expect(rig.cpu.view().mode).toBe('root')
    expect(rig.vmread(0x4402)).toBe(0)
  })

  it.each(Object.entries(HOST_CASES))('%s: VMfailValid 8', (id, changes) => {
    const { rig, first } = attempt(changes)
    expect(first).toBe(id)
    expect(rig.run({ op: 'vmlaunch' })).toMatchObject({ outcome: 'vmFailValid', error: 8 })
  })

  it.each(Object.entries(LEGACY_HOST_CASES))(
    '%s: VMfailValid 8, on a host outside IA-32e mode',
    (id, changes) => {
      const rig = legacyHostRig()
      for (const change of changes) rig.vmwrite(...change)
      expect(rig.cpu.brokenEntryRules()[0]?.id).toBe(id)
      expect(rig.run({ op: 'vmlaunch' })).toMatchObject({ outcome: 'vmFailValid', error: 8 })
    },
  )

  it.each(Object.entries(GUEST_CASES))('%s: exit 33 with its qualification', (id, changes) => {
    const { rig, first } = attempt(changes)
    expect(first).toBe(id)
    expect(rig.run({ op: 'vmlaunch' }).outcome).toBe('vmExit')
    const qualification = id === 'guest.PDPTE' ? 2 : id === 'guest.linkPointer' ? 4 : 0
    expect(exitOf(rig)).toMatchObject({ reason: 0x8000_0021, qualification })
    expect(rig.cpu.view().mode).toBe('root')
    // The launch state did not change.
    expect(rig.run({ op: 'vmresume' })).toMatchObject({ error: 5 })
  })
})

describe('a VMCS link pointer other than all ones', () => {
  it.each([
    ['another VMCS of the revision', OTHER_VMCS, 'done'],
    ['the current VMCS', VMCS_REGION, 'vmExit'],
    ['a region of another revision', 0x9000, 'vmExit'],
    ['no memory', 0x800_0000, 'vmExit'],
  ])('%s: %s', (_, pointer, outcome) => {
    const { rig } = attempt([[0x2800, pointer]])
    expect(rig.run({ op: 'vmlaunch' }).outcome).toBe(outcome)
  })
})

describe('an entry that is in order', () => {
  it.each<[string, readonly Change[]]>([
    ['a 64-bit guest', []],
    ['a guest in legacy PAE mode', LEGACY],
    ['a virtual-8086 guest', [...LEGACY, ...VM86]],
    [
      'an unrestricted guest without paging',
      [...LEGACY, [0x401e, UNRESTRICTED], [0x6800, 0x31], [0x4012, ENTRY & ~0x200]],
    ],
    [
      'an unrestricted guest in real mode',
      [...LEGACY, [0x401e, UNRESTRICTED], [0x6800, 0x30], [0x4816, 0x93], [0x4802, 0xffff]],
    ],
    ['a guest in HLT', [[0x4826, 1]]],
    ['an injected #GP with its error code', inject(0xb00 | 13, 0, 8)],
    ['an injected INT n with its length', inject(0x400 | 0x80, 2)],
    ['unusable data segments', [4, 6, 0].map(n => [0x4814 + n, 0x1_0000] as const)],
    [
      'I/O and MSR bitmaps',
      [
        [0x4002, USE_IO_BITMAPS | USE_MSR_BITMAPS],
        [0x2000, IO_BITMAP_A],
        [0x2002, 0x5000],
        [0x2004, 0x6000],
      ],
    ],
  ])('%s enters', (_, changes) => {
    const { rig } = attempt(changes)
    expect(rig.cpu.brokenEntryRules()).toEqual([])
    expect(rig.run({ op: 'vmlaunch' }).outcome).toBe('done')
    expect(rig.cpu.view().mode).toBe('nonRoot')
  })
})

describe('late failures', () => {
  /** Writes MSR area entries [index, low, high, reserved]. */
  const area = (rig: Rig, ...entries: readonly (readonly [number, number, number?, number?])[]): void => {
    for (const [i, [msr, low, high = 0, reserved = 0]] of entries.entries()) {
      for (const [n, value] of [msr, reserved, low, high].entries()) {
        rig.map.writeDword(MSR_AREA + i * 16 + n * 4, value)
      }
    }
    rig.vmwrite(0x200a, MSR_AREA)
    rig.vmwrite(0x4014, entries.length)
  }

  it.each([
    ['IA32_FS_BASE', [0xc000_0100, 0]],
    ['IA32_GS_BASE', [0xc000_0101, 0]],
    ['an x2APIC register', [0x808, 0]],
    ['reserved bits set', [0x174, 0, 0, 1]],
    ['a WRMSR that would raise #GP', [0x277, 0x02]],
  ] as const)('MSR-load entry 2 with %s: exit 34 with qualification 2', (_, entry) => {
    const rig = readyRig()
    area(rig, [0x174, 0x1234], entry)
    expect(rig.run({ op: 'vmlaunch' }).outcome).toBe('vmExit')
    expect(exitOf(rig)).toMatchObject({ reason: 0x8000_0022, qualification: 2 })
  })

  it('load the host state, keep the event to inject, and leave other exit information alone', () => {
    const rig = guestRig()
    rig.run({ op: 'vmcall', number: 0 })
    rig.vmwrite(0x4016, 0x8000_0030)
    rig.vmwrite(0x6820, 0)
    rig.run({ op: 'vmresume' })
    expect(rig.cpu.view()).toMatchObject({ mode: 'root', rip: '0xffff800012345000' })
    expect(exitOf(rig)).toMatchObject({ reason: 0x8000_0021, length: 3 })
    expect(rig.vmread(0x4016)).toBe(0x8000_0030)
  })

  it('a good area loads the guest MSRs, and the exit areas store and load them', () => {
    const rig = readyRig()
    area(rig, [0x174, 0x1234], [0xc000_0082, 0x5678, 0x9])
    rig.vmwrite(0x4002, PRIMARY | (1 << 28))
    rig.vmwrite(0x2004, 0x6000)
    rig.vmwrite(0x400e, 1)
    rig.vmwrite(0x2006, MSR_AREA + 0x100)
    rig.map.writeDword(MSR_AREA + 0x100, 0xc000_0082)
    rig.vmwrite(0x4010, 1)
    rig.vmwrite(0x2008, MSR_AREA + 0x200)
    rig.map.writeDword(MSR_AREA + 0x200, 0xc000_0082)
    rig.map.writeDword(MSR_AREA + 0x208, 0xabc)
    expect(rig.run({ op: 'vmlaunch' }).outcome).toBe('done')
    expect(rig.run({ op: 'rdmsr', msr: 0x174 })).toMatchObject({ outcome: 'done', low: 0x1234 })
    expect(rig.run({ op: 'rdmsr', msr: 0xc000_0082 })).toMatchObject({ low: 0x5678, high: 9 })
    rig.run({ op: 'vmcall', number: 0 })
    expect([rig.dword(MSR_AREA + 0x108), rig.dword(MSR_AREA + 0x10c)]).toEqual([0x5678, 9])
    expect(rig.run({ op: 'rdmsr', msr: 0xc000_0082 })).toMatchObject({ low: 0xabc, high: 0 })
  })

  it.each([
    ['storing guest MSRs', 0x400e, 0x2006, 1],
    ['loading host MSRs', 0x4010, 0x2008, 4],
  ])('a failure in %s on exit is a VMX abort', (_, count, address, indicator) => {
    const rig = guestRig(r => {
      r.vmwrite(count, 1)
      r.vmwrite(address, MSR_AREA)
      r.map.writeDword(MSR_AREA, 0x808)
    })
    expect(rig.run({ op: 'vmcall', number: 0 }).outcome).toBe('shutdown')
    expect(rig.dword(VMCS_REGION + 4)).toBe(indicator)
    expect(rig.run({ op: 'cpuid', leaf: 0 }).outcome).toBe('shutdown')
    rig.cpu.reset()
    expect(rig.run({ op: 'cpuid', leaf: 0 }).outcome).toBe('done')
  })
})
