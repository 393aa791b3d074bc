/** Events for L2 whose delivery meets something, and what becomes of them. */
import { describe, expect, test } from 'vitest'
import { AT, GUEST } from '../../src/conformance/vmx/machine.ts'
import { EXIT_REASON } from '../../src/vmx/formats/exit-reasons.ts'
import { VMCS } from '../../src/vmx/formats/vmcs.ts'
import { L1Machine } from './l1-machine.ts'

const VALID = 0x8000_0000
const EXTERNAL_INTERRUPT = (VALID | 0x50) >>> 0
/** #GP with an error code; INT 51H. */
const GENERAL_PROTECTION = (VALID | 0xb0d) >>> 0
const SOFTWARE_INTERRUPT = (VALID | 0x451) >>> 0
/** No external-interrupt exiting: L2 takes the interrupts of L1. */
const PIN_WITHOUT_INTERRUPTS = 0x1e
const FRAME = 40
const IDT_ENTRY = AT.pt + (GUEST.idt / 4096) * 8

const handler = (vector: number): number => GUEST.handlers + vector * 16
/** Events of L2 go through its IDT in memory, of which its EPT02 has nothing yet. */
const machineWithIdt = (): L1Machine => new L1Machine({ capabilities: { eventDelivery: 'idt' } })
const inject = (machine: L1Machine, information: number, length = 0, error = 0): void => {
  machine.set('entryInterruptionInformation', information)
  machine.set('entryInstructionLength', length)
  machine.set('entryExceptionErrorCode', error)
}
/** L2 says that it is where L1 should look. */
const call = (machine: L1Machine): void => {
  expect(machine.run({ op: 'vmcall', number: 0 }).outcome).toBe('vmExit')
  expect(machine.get('exitReason')[0]).toBe(EXIT_REASON.vmcall)
}
const guestDword = (machine: L1Machine, address: number): number => machine.map.readDword(AT.guest + address)
const rip = (machine: L1Machine): number => machine.get('guestRip')[0]

describe('an exit that only L0 handles, while an event is delivered to L2', () => {
  test('is followed by the event again: its handler runs, once, and L1 learns nothing', () => {
    const machine = machineWithIdt()
    inject(machine, EXTERNAL_INTERRUPT)
    expect(machine.enter().outcome).toBe('done')
    call(machine)
    expect(rip(machine)).toBe(handler(0x50))
    expect(machine.get('guestRsp')[0]).toBe(GUEST.stack - FRAME)
    expect(machine.nested.reflected).toEqual({ vmcall: 1 })
    // IDT, GDT, stack and the page tables on the way: each was missing once.
    expect(machine.nested.handled['eptViolation']).toBeGreaterThan(3)
  })

  test('keeps the error code of an exception', () => {
    const machine = machineWithIdt()
    inject(machine, GENERAL_PROTECTION, 0, 0x1230)
    machine.enter()
    call(machine)
    expect(rip(machine)).toBe(handler(13))
    expect(guestDword(machine, GUEST.stack - FRAME - 8)).toBe(0x1230)
  })

  test('keeps the length of the instruction of a software interrupt, after which its frame returns', () => {
    const machine = machineWithIdt()
    inject(machine, SOFTWARE_INTERRUPT, 2)
    machine.enter()
    call(machine)
    expect(rip(machine)).toBe(handler(0x51))
    expect(guestDword(machine, GUEST.stack - FRAME)).toBe(GUEST.code + 2)
  })

  test('does not lose the event to an interrupt that waits for L2: that comes after it', () => {
    const machine = machineWithIdt()
    machine.enableApic()
    machine.set('pinBasedControls', PIN_WITHOUT_INTERRUPTS)
    machine.interrupt(0x60)
    inject(machine, EXTERNAL_INTERRUPT)
    machine.enter()
    call(machine)
    expect(rip(machine)).toBe(handler(0x50))
    expect(machine.get('guestRsp')[0]).toBe(GUEST.stack - FRAME)
    machine.enter()
    machine.run({ op: 'sti' })
    machine.run({ op: 'nop' })
    call(machine)
    expect(rip(machine)).toBe(handler(0x60))
    expect(machine.get('guestRsp')[0]).toBe(((GUEST.stack - FRAME) & ~0xf) - FRAME)
  })

  test('does not lose it to an interrupt for L1 either, which gets both by its exit', () => {
    const machine = machineWithIdt()
    machine.enableApic()
    machine.interrupt(0x40)
    inject(machine, GENERAL_PROTECTION, 0, 0x1230)
    machine.enter()
    machine.run({ op: 'nop' })
    expect(machine.nested.running).toBe('l1')
    expect(machine.get('exitReason')[0]).toBe(EXIT_REASON.externalInterrupt)
    expect(machine.get('idtVectoringInformation')[0]).toBe(GENERAL_PROTECTION)
    expect(machine.get('idtVectoringErrorCode')[0]).toBe(0x1230)
  })
})

describe('an interrupt that waits for L1 as it enters L2', () => {
  const waiting = (): L1Machine => {
    const machine = machineWithIdt()
    machine.enableApic()
    machine.interrupt(0x40)
    return machine
  }
  const reasonOfNext = (machine: L1Machine): number => {
    machine.enter()
    expect(machine.run({ op: 'write', address: 0x5000, width: 4, value: [0x1234, 0] }).outcome).toBe('vmExit')
    expect(guestDword(machine, 0x5000)).toBe(0)
    return machine.get('exitReason')[0]
  }

  test('ends the turn of L2 before its first operation', () => {
    const machine = waiting()
    expect(reasonOfNext(machine)).toBe(EXIT_REASON.externalInterrupt)
    expect(rip(machine)).toBe(GUEST.code)
    expect(machine.nested).toMatchObject({ handled: { preemptionTimerExpired: 1 } })
  })

  test('but after the event that L1 injects', () => {
    const machine = waiting()
    machine.enter()
    machine.run({ op: 'nop' })
    // L2 has run before: its tables are there, and nothing else exits.
    machine.set('pinBasedControls', PIN_WITHOUT_INTERRUPTS)
    machine.set('guestRflags', 2)
    inject(machine, GENERAL_PROTECTION)
    machine.enter()
    call(machine)
    machine.set('pinBasedControls', PIN_WITHOUT_INTERRUPTS | 1)
    machine.set('guestRip', GUEST.code)
    inject(machine, GENERAL_PROTECTION)
    expect(reasonOfNext(machine)).toBe(EXIT_REASON.externalInterrupt)
    expect(rip(machine)).toBe(handler(13))
    expect(machine.get('idtVectoringInformation')[0]).toBe(0)
  })

  test('and after the VMX-preemption timer of L1, if that has expired', () => {
    const machine = waiting()
    machine.set('pinBasedControls', 0x5f)
    machine.set('preemptionTimerValue', 0)
    expect(reasonOfNext(machine)).toBe(EXIT_REASON.preemptionTimerExpired)
    machine.set('preemptionTimerValue', 1000)
    expect(reasonOfNext(machine)).toBe(EXIT_REASON.externalInterrupt)
    expect(machine.get('preemptionTimerValue')[0]).toBe(1000)
  })

  test('waits for L2 to let it through where L2 takes the interrupts', () => {
    const machine = waiting()
    machine.set('pinBasedControls', PIN_WITHOUT_INTERRUPTS)
    machine.set('guestRflags', 2)
    machine.enter()
    machine.run({ op: 'nop' })
    expect(machine.nested.running).toBe('l2')
    machine.run({ op: 'sti' })
    machine.run({ op: 'nop' })
    call(machine)
    // The handler, and the NOP and VMCALL in it.
    expect(rip(machine) - handler(0x40)).toBeLessThan(16)
  })
})

test('an interrupt of the host before a VMX instruction of L1 is the host’s, and the instruction is executed after it', () => {
  const machine = new L1Machine()
  const { send, taken } = machine.parts
  for (const [i, op] of (['vmread', 'vmlaunch'] as const).entries()) {
    send(0, 0x71 + i)
    const result = machine.run(op === 'vmread' ? { op, field: VMCS.guestRip } : { op })
    expect(result).toMatchObject({ outcome: 'done', low: op === 'vmread' ? GUEST.code : 0 })
    expect(taken.at(-1)).toEqual([0, 0x71 + i])
  }
  expect(machine.nested).toMatchObject({ running: 'l2', entries: 1 })
})

describe('an exit that is L1’s, while an event is delivered to L2', () => {
  test('tells L1 of the event, which can inject it again', () => {
    const machine = machineWithIdt()
    const entry = machine.map.readDword(IDT_ENTRY)
    machine.map.writeDword(IDT_ENTRY, 0)
    inject(machine, EXTERNAL_INTERRUPT)
    machine.enter()
    machine.run({ op: 'nop' })
    expect(machine.get('exitReason')[0]).toBe(EXIT_REASON.eptViolation)
    expect(machine.get('idtVectoringInformation')[0]).toBe(EXTERNAL_INTERRUPT)
    expect(machine.get('guestPhysicalAddress')[0] & ~0xf).toBe(GUEST.idt + 0x50 * 16)
    expect(rip(machine)).toBe(GUEST.code)
    machine.map.writeDword(IDT_ENTRY, entry)
    machine.run({ op: 'invept', type: 2 })
    inject(machine, EXTERNAL_INTERRUPT)
    machine.enter()
    call(machine)
    expect(rip(machine)).toBe(handler(0x50))
  })
})
