/**
 * "APIC Virtualization and Virtual Interrupts" over random sequences, against a slow model that keeps sets and follows
 * the pseudocode of the manual: what is requested is delivered exactly once, by priority, and only at the points at which
 * the manual evaluates pending virtual interrupts.
 */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ACCESS_PAGE, ApicvBench } from '../../src/conformance/vmx/apicv-bench.ts'

const IRR = 0x200
const ISR = 0x100
const PPR = 0xa0

class Model {
  readonly posted = new Set<number>()
  readonly requested = new Set<number>()
  readonly inService = new Set<number>()
  taskPriority = 0
  processorPriority = 0
  requesting = 0
  servicing = 0
  recognized = false

  #computePriority(): void {
    this.processorPriority =
      this.taskPriority >> 4 >= this.servicing >> 4 ? this.taskPriority : this.servicing & 0xf0
  }
  #evaluate(): void {
    this.recognized = this.requesting >> 4 > this.processorPriority >> 4
  }
  enter(): void {
    this.#computePriority()
    this.#evaluate()
  }
  setTaskPriority(value: number): void {
    this.taskPriority = value
    this.#computePriority()
    this.#evaluate()
  }
  selfIpi(vector: number): void {
    this.requested.add(vector)
    this.requesting = Math.max(this.requesting, vector)
    this.#evaluate()
  }
  process(): void {
    if (this.posted.size === 0) return
    for (const vector of this.posted) this.requested.add(vector)
    this.requesting = Math.max(this.requesting, ...this.posted)
    this.posted.clear()
    this.#evaluate()
  }
  end(): void {
    this.inService.delete(this.servicing)
    this.servicing = Math.max(0, ...this.inService)
    this.#computePriority()
    this.#evaluate()
  }
  deliver(): number {
    const vector = this.requesting
    this.inService.add(vector)
    this.servicing = vector
    this.processorPriority = vector & 0xf0
    this.requested.delete(vector)
    this.requesting = Math.max(0, ...this.requested)
    this.recognized = false
    return vector
  }
}

const vector = fc.integer({ min: 16, max: 255 })
const action = fc.oneof(
  fc.record({ kind: fc.constant('post' as const), vector }),
  fc.record({ kind: fc.constant('self' as const), vector }),
  fc.record({ kind: fc.constant('priority' as const), value: fc.integer({ min: 0, max: 255 }) }),
  fc.record({ kind: fc.constant('end' as const) }),
  fc.record({ kind: fc.constant('flag' as const), on: fc.boolean() }),
  fc.record({ kind: fc.constant('leave' as const) }),
  fc.record({ kind: fc.constant('go on' as const) }),
)

function setOf(bench: ApicvBench, bank: number): number[] {
  return Array.from({ length: 256 }, (_, one) => one).filter(one => bench.hasVector(bank, one))
}
const sorted = (set: Set<number>): number[] => [...set].sort((a, b) => a - b)

describe('virtual interrupts', () => {
  it('property: VIRR, VISR, VPPR, RVI, SVI and every delivery are those of the model', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 50 }), actions => {
        const bench = new ApicvBench()
        const { machine } = bench
        bench.configure({ apicAccesses: true, registers: true, delivery: true, posted: true })
        const model = new Model()
        bench.same('entry', bench.describe(machine.enter()), 'done')
        model.enter()
        let flag = true
        const delivered: number[] = []
        const expected: number[] = []
        /** Offers an operation until it is executed, as the driver of a guest does. */
        const execute = (operation: Parameters<ApicvBench['run']>[0]): void => {
          for (;;) {
            // Before an operation: deliver, process a notification, deliver.
            if (flag && model.recognized) expected.push(model.deliver())
            else {
              model.process()
              if (flag && model.recognized) expected.push(model.deliver())
            }
            const { outcome, vector: taken } = bench.run(operation)
            if (outcome !== 'interrupted') return
            delivered.push(taken)
            // The handler's IRET restores RFLAGS.IF; delivery through an interrupt gate had cleared it.
            bench.run({ op: 'iret' })
          }
        }
        const write = (offset: number, value: number): void =>
          execute({ op: 'write', address: ACCESS_PAGE + offset, width: 4, value: [value, 0] })
        for (const one of actions) {
          switch (one.kind) {
            case 'post':
              bench.post(one.vector)
              model.posted.add(one.vector)
              break
            case 'self':
              write(0x300, (1 << 18) | one.vector)
              model.selfIpi(one.vector)
              break
            case 'priority':
              write(0x80, one.value)
              model.setTaskPriority(one.value)
              break
            case 'end':
              write(0xb0, 0)
              model.end()
              break
            case 'flag':
              execute({ op: one.on ? 'sti' : 'cli' })
              // STI with interrupts off holds them back until after the next operation.
              if (one.on && !flag) bench.run({ op: 'nop' })
              flag = one.on
              break
            case 'leave':
              execute({ op: 'vmcall', number: 0 })
              bench.same('entry', bench.describe(machine.enter()), 'done')
              model.enter()
              break
            case 'go on':
              execute({ op: 'nop' })
          }
          expect(delivered).toEqual(expected)
        }
        execute({ op: 'vmcall', number: 0 })
        expect(delivered).toEqual(expected)
        expect(setOf(bench, IRR)).toEqual(sorted(model.requested))
        expect(setOf(bench, ISR)).toEqual(sorted(model.inService))
        expect(bench.register(PPR)).toBe(model.processorPriority)
        expect(machine.get('guestInterruptStatus')[0]).toBe((model.servicing << 8) | model.requesting)
        expect(bench.posted).toBe(0)
        expect(bench.difference).toBeUndefined()
      }),
      { numRuns: 150 },
    )
  })
})
