import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type InterruptCommand, VirtualApic } from '../../src/hypervisor/virtual-apic.ts'

const TPR = 0x80
const PPR = 0xa0
const EOI = 0xb0
const SVR = 0xf0
const ICR_LOW = 0x300
const ICR_HIGH = 0x310

function enabled(id = 0) {
  const sent: InterruptCommand[] = []
  const apic = new VirtualApic(id, command => sent.push(command))
  apic.write(SVR, 0x1ff)
  return { apic, sent }
}

/** Takes the deliverable vector as a processor would. */
function take(apic: VirtualApic): number {
  const vector = apic.deliverable
  if (vector >= 0) apic.acknowledge(vector)
  return vector
}

describe('acceptance', () => {
  test('after reset the APIC is software-disabled and accepts nothing', () => {
    const apic = new VirtualApic(0, () => {})
    expect(apic.accept(0x40)).toBe(false)
    expect(apic.pending).toEqual([])
  })

  test('a vector below 16 is illegal: ESR.6, no request', () => {
    const { apic } = enabled()
    expect(apic.accept(15)).toBe(false)
    expect(apic.read(0x280)).toBe(1 << 6)
    expect(apic.deliverable).toBe(-1)
  })

  test('a second arrival of a pending vector merges with the first', () => {
    const { apic } = enabled()
    apic.accept(0x41)
    apic.accept(0x41)
    expect(take(apic)).toBe(0x41)
    apic.write(EOI, 0)
    expect(take(apic)).toBe(-1)
  })
})

describe('priority', () => {
  test('the highest requested vector is delivered first, and only a higher class interrupts it', () => {
    const { apic } = enabled()
    for (const vector of [0x41, 0x52, 0x5f]) apic.accept(vector)
    expect(take(apic)).toBe(0x5f)
    expect(take(apic)).toBe(-1)
    apic.accept(0x60)
    expect(take(apic)).toBe(0x60)
    expect(apic.inService).toEqual([0x5f, 0x60])
    apic.write(EOI, 0)
    expect(apic.inService).toEqual([0x5f])
    expect(apic.read(PPR)).toBe(0x50)
  })

  test('TPR holds off its class and all below', () => {
    const { apic } = enabled()
    apic.write(TPR, 0x45)
    apic.accept(0x4f)
    expect(apic.deliverable).toBe(-1)
    apic.accept(0x50)
    expect(apic.deliverable).toBe(0x50)
    expect(apic.read(PPR)).toBe(0x45)
  })

  test('whatever happens, what is delivered has a higher class than TPR and all in service', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('accept' as const), value: fc.integer({ min: 16, max: 255 }) }),
      fc.record({ do: fc.constant('tpr' as const), value: fc.integer({ min: 0, max: 255 }) }),
      fc.record({ do: fc.constant('take' as const), value: fc.constant(0) }),
      fc.record({ do: fc.constant('eoi' as const), value: fc.constant(0) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), steps => {
        const { apic } = enabled()
        const requested = new Set<number>()
        const inService = new Set<number>()
        let tpr = 0
        for (const { do: what, value } of steps) {
          if (what === 'accept') {
            apic.accept(value)
            requested.add(value)
          } else if (what === 'tpr') {
            apic.write(TPR, value)
            tpr = value
          } else if (what === 'eoi') {
            apic.write(EOI, 0)
            inService.delete(Math.max(...inService))
          } else {
            const best = Math.max(-1, ...requested)
            const barrier = Math.max(tpr >> 4, ...[...inService].map(vector => vector >> 4))
            const expected = best >> 4 > barrier ? best : -1
            expect(take(apic)).toBe(expected)
            if (expected >= 0) {
              requested.delete(expected)
              inService.add(expected)
            }
          }
          expect(apic.pending).toEqual([...requested].sort((a, b) => a - b))
          expect(apic.inService).toEqual([...inService].sort((a, b) => a - b))
        }
      }),
    )
  })
})

describe('modes', () => {
  const EN = 1 << 11
  const EXTD = 1 << 10

  test('x2APIC state transitions', () => {
    const { apic } = enabled()
    expect(apic.writeBase(EXTD)).toBe(false)
    expect(apic.writeBase(EN | EXTD)).toBe(true)
    expect(apic.x2apic).toBe(true)
    expect(apic.writeBase(EN)).toBe(false)
    expect(apic.writeBase(0)).toBe(true)
    expect(apic.writeBase(EN | EXTD)).toBe(false)
    expect(apic.writeBase(EN)).toBe(true)
  })

  test('the ID is in bits 31:24 of the xAPIC register, and the whole x2APIC register', () => {
    const { apic } = enabled(5)
    expect(apic.read(0x20)).toBe(5 << 24)
    apic.writeBase(EN | EXTD)
    expect(apic.read(0x20)).toBe(5)
  })

  test('x2APIC: EOI must be written 0, DFR and ICR bits 63:32 have no register of their own, LDR is read-only', () => {
    const { apic } = enabled(0x23)
    apic.writeBase(EN | EXTD)
    expect(apic.write(EOI, 1)).toBe(false)
    expect(apic.read(0xe0)).toBeUndefined()
    expect(apic.read(ICR_HIGH)).toBeUndefined()
    expect(apic.write(0xd0, 1)).toBe(false)
    expect(apic.read(0xd0)).toBe(0x2_0008)
  })

  test('SELF IPI exists in x2APIC mode only', () => {
    const { apic } = enabled()
    expect(apic.write(0x3f0, 0x77)).toBe(false)
    apic.writeBase(EN | EXTD)
    expect(apic.write(0x3f0, 0x77)).toBe(true)
    expect(apic.pending).toEqual([0x77])
  })
})

describe('destinations', () => {
  test('physical: the id, or the broadcast id', () => {
    const { apic } = enabled(3)
    expect([3, 0xff, 4].map(destination => apic.matches(destination, false))).toEqual([true, true, false])
  })

  test('logical, flat model: one bit of LDR suffices', () => {
    const { apic } = enabled()
    apic.write(0xd0, 0x0400_0000)
    expect([0x04, 0x0c, 0x03].map(destination => apic.matches(destination, true))).toEqual([
      true,
      true,
      false,
    ])
  })

  test('logical, cluster model: the cluster, and one bit in it', () => {
    const { apic } = enabled()
    apic.write(0xe0, 0)
    apic.write(0xd0, 0x2100_0000)
    expect([0x21, 0x23, 0x22, 0x11, 0xf1].map(d => apic.matches(d, true))).toEqual([
      true,
      true,
      false,
      false,
      true,
    ])
  })

  test('the interrupt command register sends with its destination', () => {
    const { apic, sent } = enabled()
    apic.write(ICR_HIGH, 0x0200_0000)
    apic.write(ICR_LOW, 0x0000_0041)
    apic.write(ICR_LOW, 0x000c_0842)
    expect(sent).toEqual([
      { vector: 0x41, deliveryMode: 0, logical: false, shorthand: 0, destination: 2 },
      { vector: 0x42, deliveryMode: 0, logical: true, shorthand: 3, destination: 2 },
    ])
  })
})
