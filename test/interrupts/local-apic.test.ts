import * as fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { Engine } from '../../src/engine/index.ts'
import { ApicBus, decodeCompatibility, InterruptMessage, LocalApic } from '../../src/interrupts/index.ts'

const ID = 0x20
const VERSION = 0x30
const TPR = 0x80
const PPR = 0xa0
const EOI = 0xb0
const LDR = 0xd0
const DFR = 0xe0
const SVR = 0xf0
const ISR = 0x100
const TMR = 0x180
const IRR = 0x200
const ESR = 0x280
const ICR_LOW = 0x300
const ICR_HIGH = 0x310
const LVT_TIMER = 0x320
const LVT_ERROR = 0x370
const ALL = 0xffff_ffff
const X2APIC = 0x400
const APIC_BASE = 0xfee0_0000

const engine = new Engine()
let bus: ApicBus
let apics: LocalApic[]
let completed: number[]

const make = (ids: readonly number[]): void => {
  bus = new ApicBus()
  completed = []
  bus.addListener({ endOfInterrupt: vector => void completed.push(vector) })
  apics = ids.map((id, number) => new LocalApic(number, id, bus, engine))
  for (const apic of apics) {
    bus.add(apic)
    apic.writeDword(SVR, 0x1ff, ALL)
  }
}
const toX2apic = (apic: LocalApic): void => {
  apic.writeBase(apic.baseLow | X2APIC, 0, 46)
}
beforeEach(() => make([0, 1, 2, 3]))

const send = (fields: Partial<InterruptMessage>): number =>
  bus.deliver(Object.assign(new InterruptMessage(), fields))
const accepted = (vector: number): number[] =>
  apics.filter(apic => apic.view().requested.includes(vector)).map(({ processor }) => processor)

describe('compatibility format', () => {
  it('is decoded from address and data', () => {
    const message = new InterruptMessage()
    decodeCompatibility(0xfee3_500c, 0xc141, message)
    expect(message).toEqual({
      destination: 0x35,
      logical: true,
      redirectionHint: true,
      deliveryMode: 1,
      vector: 0x41,
      levelTriggered: true,
      extended: false,
    })
  })
})

describe('acceptance', () => {
  it('sets IRR, and TMR for a level-triggered interrupt only', () => {
    const apic = apics[0]!
    send({ vector: 0x41, levelTriggered: true })
    send({ vector: 0x62 })
    expect(apic.readDword(IRR + 0x20)).toBe(1 << 1)
    expect(apic.readDword(IRR + 0x30)).toBe(1 << 2)
    expect(apic.readDword(TMR + 0x20)).toBe(1 << 1)
    expect(apic.readDword(TMR + 0x30)).toBe(0)
    send({ vector: 0x41, levelTriggered: false })
    expect(apic.readDword(TMR + 0x20)).toBe(0)
  })

  it('refuses vectors below 16 and records "receive illegal vector"', () => {
    const apic = apics[0]!
    expect(send({ vector: 15 })).toBe(-1)
    expect(apic.view().requested).toEqual([])
    expect(apic.readDword(ESR)).toBe(0)
    apic.writeDword(ESR, 0, ALL)
    expect(apic.readDword(ESR)).toBe(1 << 6)
    apic.writeDword(ESR, 0, ALL)
    expect(apic.readDword(ESR)).toBe(0)
  })

  it('raises the LVT error vector, if that is not masked', () => {
    const apic = apics[0]!
    apic.writeDword(LVT_ERROR, 0xfe, ALL)
    send({ vector: 3 })
    expect(apic.view().requested).toEqual([0xfe])
  })

  it('takes no fixed interrupt while SVR.8 is 0, nor any message while globally disabled', () => {
    const apic = apics[0]!
    apic.writeDword(SVR, 0xff, ALL)
    expect(send({ vector: 0x41 })).toBe(-1)
    expect(send({ deliveryMode: 4 })).toBe(0)
    apic.takeEvent(4)
    apic.writeBase(APIC_BASE, 0, 46)
    expect(send({ deliveryMode: 4 })).toBe(-1)
  })

  it('of NMI, SMI, INIT, start-up and ExtINT bypasses IRR; reserved modes are refused', () => {
    const apic = apics[0]!
    for (const deliveryMode of [2, 4, 5, 6, 7]) {
      expect(send({ vector: 0x41, deliveryMode })).toBe(0)
      expect(apic.hasEvent(deliveryMode)).toBe(true)
    }
    expect(send({ vector: 0x41, deliveryMode: 3 })).toBe(-1)
    expect(apic.view().requested).toEqual([])
  })
})

describe('dispatch', () => {
  it('delivers the highest IRR vector whose class is above that of PPR', () => {
    const apic = apics[0]!
    send({ vector: 0x41 })
    send({ vector: 0x93 })
    expect(apic.acknowledge()).toBe(0x93)
    expect(apic.deliverable).toBe(-1)
    send({ vector: 0x9f })
    expect(apic.deliverable).toBe(-1)
    send({ vector: 0xa0 })
    expect(apic.acknowledge()).toBe(0xa0)
    expect(apic.view().inService).toEqual([0x93, 0xa0])
    expect(apic.readDword(ISR + 0x50)).toBe(1)
  })

  it('PPR is TPR where its class is not below that of the highest vector in service, else that class', () => {
    const apic = apics[0]!
    apic.writeDword(TPR, 0x34, ALL)
    expect(apic.readDword(PPR)).toBe(0x34)
    send({ vector: 0x57 })
    apic.acknowledge()
    expect(apic.readDword(PPR)).toBe(0x50)
    apic.writeDword(TPR, 0x53, ALL)
    expect(apic.readDword(PPR)).toBe(0x53)
  })

  it('an acknowledgement without a deliverable vector yields the spurious one, and no ISR bit', () => {
    const apic = apics[0]!
    expect(apic.acknowledge()).toBe(0xff)
    expect(apic.view().inService).toEqual([])
  })

  it('EOI completes the highest vector in service', () => {
    const apic = apics[0]!
    for (const vector of [0x41, 0x61]) {
      send({ vector })
      apic.acknowledge()
    }
    apic.writeDword(EOI, 0, ALL)
    expect(apic.view().inService).toEqual([0x41])
    apic.writeDword(EOI, 0, ALL)
    apic.writeDword(EOI, 0, ALL)
    expect(apic.view().inService).toEqual([])
    expect(completed).toEqual([])
  })

  it('EOI of a level-triggered vector is broadcast unless SVR.12 suppresses it', () => {
    const apic = apics[0]!
    const complete = (): void => {
      send({ vector: 0x41, levelTriggered: true })
      apic.acknowledge()
      apic.writeDword(EOI, 0, ALL)
    }
    complete()
    expect(completed).toEqual([0x41])
    apic.writeDword(SVR, 0x11ff, ALL)
    complete()
    expect(completed).toEqual([0x41])
  })

  it('obeys a plain model over random sequences', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('request'), value: fc.integer({ min: 16, max: 255 }) }),
      fc.record({ kind: fc.constant('task'), value: fc.integer({ min: 0, max: 255 }) }),
      fc.record({ kind: fc.constantFrom('acknowledge', 'complete'), value: fc.constant(0) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), steps => {
        make([0])
        const apic = apics[0]!
        const requested = new Set<number>()
        const inService = new Set<number>()
        let task = 0
        const highest = (set: Set<number>): number => Math.max(-1, ...set)
        for (const { kind, value } of steps) {
          const floor = Math.max(task >> 4, highest(inService) >> 4)
          const next = highest(requested) >> 4 > floor ? highest(requested) : -1
          expect(apic.deliverable).toBe(next)
          if (kind === 'request') {
            send({ vector: value })
            requested.add(value)
          } else if (kind === 'task') {
            apic.writeDword(TPR, value, ALL)
            task = value
          } else if (kind === 'acknowledge') {
            expect(apic.acknowledge()).toBe(next < 0 ? 0xff : next)
            if (next >= 0) inService.add(next)
            requested.delete(next)
          } else {
            apic.writeDword(EOI, 0, ALL)
            inService.delete(highest(inService))
          }
        }
      }),
    )
  })
})

describe('destinations', () => {
  it('physical: the identifier, or 0xFF for all', () => {
    expect(send({ vector: 0x41, destination: 2 })).toBe(2)
    expect(accepted(0x41)).toEqual([2])
    expect(send({ vector: 0x42, destination: 9 })).toBe(-1)
    expect(send({ vector: 0x43, destination: 0xff })).toBe(0)
    expect(accepted(0x43)).toEqual([0, 1, 2, 3])
  })

  it('logical, flat model: any common bit of the destination and LDR', () => {
    for (const [i, apic] of apics.entries()) apic.writeDword(LDR, (1 << i) << 24, ALL)
    send({ vector: 0x41, destination: 0b1010, logical: true })
    expect(accepted(0x41)).toEqual([1, 3])
  })

  it('logical, cluster model: the same cluster and a common bit; cluster 15 is all', () => {
    for (const [i, apic] of apics.entries()) {
      apic.writeDword(DFR, 0x0fff_ffff, ALL)
      apic.writeDword(LDR, (((i >> 1) << 4) | (1 << (i & 1))) << 24, ALL)
    }
    send({ vector: 0x41, destination: 0x13, logical: true })
    expect(accepted(0x41)).toEqual([2, 3])
    send({ vector: 0x42, destination: 0xf2, logical: true })
    expect(accepted(0x42)).toEqual([1, 3])
  })

  it('x2APIC physical: 32 bits of identifier, 0xFFFFFFFF for all', () => {
    make([0, 0x1234, 0xff])
    for (const apic of apics) toX2apic(apic)
    send({ vector: 0x41, destination: 0x1234, extended: true })
    expect(accepted(0x41)).toEqual([1])
    send({ vector: 0x42, destination: 0xff, extended: true })
    expect(accepted(0x42)).toEqual([2])
    send({ vector: 0x43, destination: ALL, extended: true })
    expect(accepted(0x43)).toEqual([0, 1, 2])
  })

  it('x2APIC logical: cluster id[31:4], and bit id[3:0]', () => {
    make([0x10, 0x11, 0x21])
    for (const apic of apics) toX2apic(apic)
    expect(apics.map(apic => apic.readMsr(0xd))).toEqual([0x1_0001, 0x1_0002, 0x2_0002])
    send({ vector: 0x41, destination: 0x1_0003, logical: true, extended: true })
    expect(accepted(0x41)).toEqual([0, 1])
    send({ vector: 0x42, destination: 0x2_0003, logical: true, extended: true })
    expect(accepted(0x42)).toEqual([2])
  })

  it('lowest priority: one of them, the one with the lowest processor priority', () => {
    apics[0]!.writeDword(TPR, 0x30, ALL)
    apics[1]!.writeDword(TPR, 0x20, ALL)
    apics[2]!.writeDword(TPR, 0x10, ALL)
    apics[3]!.writeDword(SVR, 0xff, ALL)
    expect(send({ vector: 0x41, destination: 0xff, deliveryMode: 1 })).toBe(2)
    expect(accepted(0x41)).toEqual([2])
  })

  it('a redirection hint lets one of a logical destination be chosen', () => {
    for (const [i, apic] of apics.entries()) apic.writeDword(LDR, (1 << i) << 24, ALL)
    send({ vector: 0x41, destination: 0xf, logical: true, redirectionHint: true })
    expect(accepted(0x41)).toEqual([0])
  })
})

describe('interprocessor interrupts', () => {
  const command = (low: number, high = 0): void => {
    apics[1]!.writeDword(ICR_HIGH, high, ALL)
    apics[1]!.writeDword(ICR_LOW, low, ALL)
  }

  it('go to the destination in ICR when its low dword is written', () => {
    command(0x41, 2 << 24)
    expect(accepted(0x41)).toEqual([2])
  })

  it.each([
    ['self', 1, [1]],
    ['all including self', 2, [0, 1, 2, 3]],
    ['all excluding self', 3, [0, 2, 3]],
  ])('shorthand %s', (_, shorthand, processors) => {
    command(0x41 | (shorthand << 18))
    expect(accepted(0x41)).toEqual(processors)
  })

  it('with an illegal vector are not sent, and recorded', () => {
    command(0x0f | (1 << 18))
    apics[1]!.writeDword(ESR, 0, ALL)
    expect(apics[1]!.readDword(ESR)).toBe(1 << 5)
  })

  it('of NMI delivery mode reach the other as an event; INIT level de-assert is nothing', () => {
    command(0x400, 2 << 24)
    expect(apics[2]!.hasEvent(4)).toBe(true)
    command(0x8500 | (2 << 18))
    expect(apics.some(apic => apic.hasEvent(5))).toBe(false)
  })

  it('in x2APIC mode are one 64-bit MSR write, and SELF IPI another', () => {
    for (const apic of apics) toX2apic(apic)
    expect(apics[1]!.writeMsr(0x30, 0x41, 3)).toBe(true)
    expect(accepted(0x41)).toEqual([3])
    expect(apics[1]!.writeMsr(0x3f, 0x42, 0)).toBe(true)
    expect(accepted(0x42)).toEqual([1])
  })
})

describe('registers', () => {
  it('ID, version and reset values', () => {
    const apic = new LocalApic(0, 0x1_2345, bus, engine)
    expect(apic.readDword(ID)).toBe(0x4500_0000)
    expect(apic.readDword(VERSION) & 0xff).toBeGreaterThanOrEqual(0x14)
    expect(apic.readDword(SVR)).toBe(0xff)
    expect(apic.readDword(DFR)).toBe(ALL)
    expect(apic.readDword(LVT_TIMER)).toBe(0x1_0000)
  })

  it('read-only and reserved bits do not change; lanes limit a write', () => {
    const apic = apics[0]!
    apic.writeDword(VERSION, ALL, ALL)
    expect(apic.readDword(VERSION) & 0xff).not.toBe(0xff)
    apic.writeDword(LVT_TIMER, ALL, ALL)
    expect(apic.readDword(LVT_TIMER)).toBe(0x0007_00ff)
    apic.writeDword(LVT_TIMER, 0, 0xff)
    expect(apic.readDword(LVT_TIMER)).toBe(0x0007_0000)
  })

  it('a reserved register sets "illegal register address"', () => {
    const apic = apics[0]!
    apic.readDword(0x40)
    apic.writeDword(ESR, 0, ALL)
    expect(apic.readDword(ESR)).toBe(1 << 7)
  })

  it('while software-disabled, LVT entries stay masked', () => {
    const apic = apics[0]!
    apic.writeDword(LVT_TIMER, 0x40, ALL)
    apic.writeDword(SVR, 0xff, ALL)
    expect(apic.readDword(LVT_TIMER)).toBe(0x1_0040)
    apic.writeDword(LVT_TIMER, 0x40, ALL)
    expect(apic.readDword(LVT_TIMER)).toBe(0x1_0040)
  })

  it('x2APIC: #GP for reserved bits, read-only and absent registers, a nonzero EOI, a high word', () => {
    const apic = apics[0]!
    toX2apic(apic)
    expect(apic.page).toBe(-1)
    expect(apic.writeMsr(0x08, 0x30, 0)).toBe(true)
    expect(apic.writeMsr(0x08, 0x130, 0)).toBe(false)
    expect(apic.writeMsr(0x08, 0x30, 1)).toBe(false)
    expect(apic.writeMsr(0x02, 1, 0)).toBe(false)
    expect(apic.writeMsr(0x0b, 1, 0)).toBe(false)
    expect(apic.writeMsr(0x0b, 0, 0)).toBe(true)
    expect(apic.writeMsr(0x0e, 0, 0)).toBe(false)
    expect(apic.readMsr(0x0e)).toBe(-1)
    expect(apic.readMsr(0x0b)).toBe(-1)
    expect(apic.readMsr(0x31)).toBe(-1)
    expect(apic.readMsr(0x08)).toBe(0x30)
  })

  it('x2APIC MSRs do not exist in xAPIC mode', () => {
    expect(apics[0]!.readMsr(0x08)).toBe(-1)
    expect(apics[0]!.writeMsr(0x08, 0, 0)).toBe(false)
  })
})

describe('IA32_APIC_BASE', () => {
  it('allows disabled, xAPIC and x2APIC in that order, and back to disabled only', () => {
    const apic = apics[0]!
    const write = (bits: number): boolean => apic.writeBase(APIC_BASE | bits, 0, 46)
    expect(write(0x400)).toBe(false)
    expect(write(0xc00)).toBe(true)
    expect(write(0x800)).toBe(false)
    expect(write(0x000)).toBe(true)
    expect(write(0xc00)).toBe(false)
    expect(write(0x800)).toBe(true)
    expect(apic.readDword(SVR)).toBe(0xff)
  })

  it('refuses reserved bits and moves the page', () => {
    const apic = apics[0]!
    expect(apic.writeBase(APIC_BASE | 0x801, 0, 46)).toBe(false)
    expect(apic.writeBase(APIC_BASE | 0x800, 1 << 14, 46)).toBe(false)
    expect(apic.writeBase(0xfed0_0800, 1, 46)).toBe(true)
    expect(apic.page).toBe(0x1_fed0_0)
  })
})

describe('saving', () => {
  it('restores everything, pending events and errors too', () => {
    const apic = apics[0]!
    send({ vector: 0x41, levelTriggered: true })
    apic.acknowledge()
    send({ vector: 0x91 })
    send({ deliveryMode: 4 })
    send({ vector: 1 })
    const saved = apic.save()
    apic.reset()
    expect(apic.save()).not.toEqual(saved)
    apic.load(saved)
    expect(apic.save()).toEqual(saved)
    expect(apic.deliverable).toBe(0x91)
    expect(apic.hasEvent(4)).toBe(true)
  })
})
