/**
 * Invariants of vector priority, over random sequences of what can happen to a local APIC, against a model that keeps
 * plain sets: "Task and Processor Priorities", "Interrupt Acceptance for Fixed Interrupts".
 */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Engine } from '../../src/engine/index.ts'
import { ApicBus, InterruptMessage, LocalApic } from '../../src/interrupts/index.ts'

const ALL = 0xffff_ffff

/** The slow model: sets, and every rule spelled out. */
class Model {
  readonly requested = new Set<number>()
  readonly inService = new Set<number>()
  readonly level = new Set<number>()
  taskPriority = 0

  get processorPriority(): number {
    const highest = Math.max(0, ...this.inService)
    return this.taskPriority >> 4 >= highest >> 4 ? this.taskPriority : (highest >> 4) * 16
  }

  get deliverable(): number {
    const highest = Math.max(-1, ...this.requested)
    return highest >= 0 && highest >> 4 > this.processorPriority >> 4 ? highest : -1
  }
}

const vector = fc.integer({ min: 16, max: 255 })
const action = fc.oneof(
  fc.record({ kind: fc.constant('send' as const), vector, level: fc.boolean() }),
  fc.record({ kind: fc.constant('priority' as const), value: fc.integer({ min: 0, max: 255 }) }),
  fc.record({ kind: fc.constant('acknowledge' as const) }),
  fc.record({ kind: fc.constant('end' as const) }),
)

describe('vector priority', () => {
  it('property: requested, in service, priorities and EOI messages are those of the model', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), actions => {
        const ended: number[] = []
        const expectedEnds: number[] = []
        const bus = new ApicBus()
        bus.addListener({ endOfInterrupt: one => void ended.push(one) })
        const apic = new LocalApic(0, 0, bus, new Engine())
        bus.add(apic)
        apic.writeDword(0xf0, 0x1ff, ALL)
        const model = new Model()
        for (const one of actions) {
          switch (one.kind) {
            case 'send':
              bus.deliver(
                Object.assign(new InterruptMessage(), { vector: one.vector, levelTriggered: one.level }),
              )
              model.requested.add(one.vector)
              if (one.level) model.level.add(one.vector)
              else model.level.delete(one.vector)
              break
            case 'priority':
              apic.writeDword(0x80, one.value, ALL)
              model.taskPriority = one.value
              break
            case 'acknowledge': {
              const found = model.deliverable
              expect(apic.acknowledge()).toBe(found < 0 ? 0xff : found)
              if (found < 0) break
              model.requested.delete(found)
              model.inService.add(found)
              break
            }
            case 'end': {
              apic.writeDword(0xb0, 0, ALL)
              const highest = Math.max(-1, ...model.inService)
              if (highest < 0) break
              model.inService.delete(highest)
              if (model.level.has(highest)) expectedEnds.push(highest)
            }
          }
          const view = apic.view()
          expect([...view.requested]).toEqual([...model.requested].sort((a, b) => a - b))
          expect([...view.inService]).toEqual([...model.inService].sort((a, b) => a - b))
          expect(view.processorPriority).toBe(model.processorPriority)
          expect(apic.deliverable).toBe(model.deliverable)
        }
        expect(ended).toEqual(expectedEnds)
      }),
      { numRuns: 150 },
    )
  })

  it('property: nested service is strictly ascending by class', () => {
    fc.assert(
      fc.property(fc.array(vector, { minLength: 1, maxLength: 30 }), vectors => {
        const bus = new ApicBus()
        const apic = new LocalApic(0, 0, bus, new Engine())
        bus.add(apic)
        apic.writeDword(0xf0, 0x1ff, ALL)
        for (const one of vectors) {
          bus.deliver(Object.assign(new InterruptMessage(), { vector: one }))
          if (apic.deliverable >= 0) apic.acknowledge()
          const classes = apic.view().inService.map(each => each >> 4)
          expect(classes).toEqual([...new Set(classes)])
        }
      }),
      { numRuns: 100 },
    )
  })
})
