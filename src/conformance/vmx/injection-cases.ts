/** Derived from the tests of injected events, through the IDT and its faults. */

import { AT, GUEST } from './machine.ts'
import { bitmap, CALL, guest, handler, IDT, inject } from './settings.ts'
import { enter, holds, memory, memoryHolds, type Row, run, type Step, set } from './step-case.ts'

const gate = (vector: number, ...words: readonly number[]): Step => guest(GUEST.idt + vector * 16, ...words)

const EXCEPTIONS = 'vmx_exception_test'

const INTERRUPT = 'interrupt'

const injections: Row[] = [
  ...(
    [
      ['an external interrupt', 0x30, 0, 0x30],
      ['an NMI', 0x202, 0, 2],
      ['a hardware exception', 0x306, 0, 6],
      ['INT n', 0x480, 2, 0x80],
      ['INT1', 0x501, 1, 1],
      ['INT3', 0x603, 1, 3],
    ] as const
  ).map(([what, information, length, vector]) => ({
    id: `inject.${vector}`,
    source: INTERRUPT,
    states: `${what} is delivered by the entry`,
    steps: [
      ...inject(information, length),
      enter({ outcome: 'done' as const, vector }),
      run(CALL, { exit: 'vmcall' as const }),
      holds('entryInterruptionInformation', information),
    ],
  })),
  ...(
    [
      ['an external interrupt', 0x30, 0, GUEST.code],
      ['a hardware exception', 0x306, 0, GUEST.code],
      ['INT n', 0x480, 2, GUEST.code + 2],
      ['INT3', 0x603, 1, GUEST.code + 1],
    ] as const
  ).map(([what, information, length, returns]) => ({
    id: `inject.frame.${information}`,
    source: INTERRUPT,
    states: `${what} goes through the IDT; the frame's RIP is ${returns === GUEST.code ? 'the guest RIP' : 'past the instruction'}`,
    steps: [
      // INT n and INT3 need a gate of the guest's own privilege level, which it is.
      ...inject(information, length),
      enter(),
      run(CALL, { exit: 'vmcall' as const }),
      holds('guestRip', handler(information & 0xff)),
      holds('guestRsp', GUEST.stack - 40),
      memoryHolds(AT.guest + GUEST.stack - 40, returns, 0, 8, 0, 0x202, 0, GUEST.stack, 0, 0x10, 0),
      holds('guestRflags', 0x2),
    ],
    capabilities: IDT,
  })),
  {
    id: 'inject.frame.errorCode',
    source: INTERRUPT,
    states: 'an injected error code is pushed last',
    steps: [
      ...inject(0xb0d, 0, 0x18),
      enter(),
      run(CALL, { exit: 'vmcall' }),
      holds('guestRsp', GUEST.stack - 48),
      memoryHolds(AT.guest + GUEST.stack - 48, 0x18, 0, GUEST.code),
    ],
    capabilities: IDT,
  },
  {
    id: 'inject.noGate',
    source: EXCEPTIONS,
    states:
      'an absent gate raises #NP during delivery; selected, it exits with the event in the IDT-vectoring information',
    steps: [
      bitmap(11),
      gate(0x30, 0x8_0000, 0x0e00),
      ...inject(0x30),
      enter({ exit: 'exceptionOrNmi', interruption: 0x8000_0b0b, errorCode: 0x183, vectoring: 0x8000_0030 }),
    ],
    capabilities: IDT,
  },
  {
    id: 'inject.nestedFault',
    source: EXCEPTIONS,
    states: 'not selected, the #NP is delivered in the place of the interrupt',
    steps: [
      gate(0x30, 0x8_0000, 0x0e00),
      ...inject(0x30),
      enter({ outcome: 'done', vector: 11 }),
      run(CALL, { exit: 'vmcall' }),
      holds('guestRip', handler(11)),
    ],
    capabilities: IDT,
  },
  {
    id: 'inject.doubleFault',
    source: EXCEPTIONS,
    states: 'a contributory fault during a contributory exception makes a double fault',
    steps: [
      gate(13, 0x8_0000, 0x0e00),
      ...inject(0xb0d),
      enter({ outcome: 'done', vector: 8 }),
      run(CALL, { exit: 'vmcall' }),
      holds('guestRip', handler(8)),
    ],
    capabilities: IDT,
  },
  {
    id: 'inject.doubleFault.exit',
    source: EXCEPTIONS,
    states: 'which exits directly if selected, with no IDT-vectoring information',
    steps: [
      bitmap(8),
      gate(13, 0x8_0000, 0x0e00),
      ...inject(0xb0d),
      enter({ exit: 'exceptionOrNmi', interruption: 0x8000_0b08, vectoring: 0 }),
    ],
    capabilities: IDT,
  },
  {
    id: 'inject.tripleFault',
    source: EXCEPTIONS,
    states: 'a fault while a double fault is delivered is a triple fault',
    steps: [set('guestIdtrLimit', 0), ...inject(0xb0d), enter({ exit: 'tripleFault', vectoring: 0 })],
    capabilities: IDT,
  },
  {
    id: 'inject.eptViolation',
    source: 'EPT A/D disabled',
    states: 'an EPT violation on the IDT during delivery tells the event',
    steps: [
      memory(AT.pt + (GUEST.idt >>> 12) * 8, 0),
      ...inject(0x480, 2),
      enter({ exit: 'eptViolation', vectoring: 0x8000_0480, length: 2, physical: GUEST.idt + 0x808 }),
    ],
    capabilities: IDT,
  },
  {
    id: 'inject.software.privilege',
    source: INTERRUPT,
    states: 'INT n through a gate of DPL 0 at CPL 3 raises #GP that names the gate',
    steps: [
      bitmap(13),
      set('guestCsSelector', 0xb),
      set('guestSsSelector', 0x13),
      set('guestCsAccessRights', 0xa0fb),
      set('guestSsAccessRights', 0xc0f3),
      ...(['Ds', 'Es', 'Fs', 'Gs'] as const).map(name => set(`guest${name}AccessRights`, 0xc0f3)),
      enter(),
      run(
        { op: 'int', vector: 0x80 },
        {
          exit: 'exceptionOrNmi',
          interruption: 0x8000_0b0d,
          errorCode: 0x402,
          vectoring: 0x8000_0480,
          length: 2,
        },
      ),
    ],
    capabilities: IDT,
  },
  {
    id: 'inject.hlt',
    source: INTERRUPT,
    states: 'an interrupt injected into HLT makes the guest active',
    steps: [
      set('guestActivityState', 1),
      ...inject(0x30),
      enter({ outcome: 'done', vector: 0x30 }),
      run(CALL, { exit: 'vmcall' }),
      holds('guestActivityState', 0),
    ],
  },
]

export const INJECTION_ROWS: readonly Row[] = [...injections]
