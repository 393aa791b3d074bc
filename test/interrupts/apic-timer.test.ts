import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Engine } from '../../src/engine/index.ts'
import { ApicTimer } from '../../src/interrupts/apic-timer.ts'

const ONE_SHOT = 0
const PERIODIC = 1
const TSC_DEADLINE = 2
const BY_1 = 0b1011
const BY_16 = 0b0011

function make() {
  const engine = new Engine()
  const expired: number[] = []
  const timer = new ApicTimer(engine, 0, () => expired.push(engine.now))
  let waits = 0
  /** Lets so many nanoseconds pass, the events of the last one included: of those, the latest queued comes last. */
  const pass = (nanoseconds: number): void => {
    for (const delay of [nanoseconds, 0]) {
      let over = false
      const kind = `wait ${waits++}`
      engine.handle(kind, () => {
        over = true
      })
      engine.schedule(delay, kind, kind)
      while (!over) engine.advance()
    }
  }
  return { engine, timer, expired, pass }
}

describe('the APIC timer', () => {
  it('periodic: the moments are multiples of initial count and divisor, exactly', () => {
    const { timer, expired, pass } = make()
    timer.setMode(PERIODIC)
    timer.setDivide(BY_16)
    timer.start(1000)
    pass(50_000)
    expect(expired).toEqual([16_000, 32_000, 48_000])
  })

  it('a change of the divisor while counting keeps the count and changes its pace', () => {
    const { timer, expired, pass } = make()
    timer.setDivide(BY_1)
    timer.start(1000)
    pass(400)
    expect(timer.currentCount).toBe(600)
    timer.setDivide(BY_16)
    expect(timer.currentCount).toBe(600)
    pass(16)
    expect(timer.currentCount).toBe(599)
    pass(600 * 16)
    expect(expired).toEqual([400 + 600 * 16])
  })

  it('a new initial count forgets the old one', () => {
    const { timer, expired, pass } = make()
    timer.setDivide(BY_1)
    timer.start(100)
    timer.start(300)
    pass(1000)
    expect(expired).toEqual([300])
  })

  it('a deadline counts from what the time-stamp counter reads, not from virtual time', () => {
    const { timer, expired, pass } = make()
    timer.setMode(TSC_DEADLINE)
    timer.setDeadline(5000, 1, 2 ** 32 + 4990)
    expect([timer.deadlineLow, timer.deadlineHigh]).toEqual([5000, 1])
    pass(100)
    expect(expired).toEqual([10])
    expect([timer.deadlineLow, timer.deadlineHigh]).toEqual([0, 0])
  })

  it('a deadline beyond all time stays armed and never comes', () => {
    const { timer, expired, pass, engine } = make()
    timer.setMode(TSC_DEADLINE)
    timer.setDeadline(0xffff_ffff, 0xffff_ffff, 0)
    expect(engine.pending).toBe(0)
    pass(1000)
    expect(expired).toEqual([])
    expect(timer.deadlineHigh).toBe(0xffff_ffff)
  })

  it('saved while it counts, it expires at the same moment after load', () => {
    const { engine, timer, pass } = make()
    timer.setMode(PERIODIC)
    timer.setDivide(BY_1)
    timer.start(100)
    pass(130)
    const state = [engine.save(), timer.save()] as const
    const other = make()
    other.engine.load(state[0])
    other.timer.load(state[1])
    expect(other.timer.currentCount).toBe(70)
    other.pass(80)
    expect(other.expired).toEqual([200])
    expect(other.timer.currentCount).toBe(90)
  })

  it('property: of random programming, only the last counts, and the count never rises by itself', () => {
    const step = fc.record({
      mode: fc.constantFrom(ONE_SHOT, PERIODIC),
      divide: fc.constantFrom(BY_1, BY_16),
      initial: fc.integer({ min: 0, max: 50 }),
      wait: fc.integer({ min: 0, max: 200 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), steps => {
        const { timer, expired, pass, engine } = make()
        for (const { mode, divide, initial, wait } of steps) {
          timer.setMode(mode)
          timer.setDivide(divide)
          timer.start(initial)
          expired.length = 0
          const began = engine.now
          pass(wait)
          const period = initial * (divide === BY_1 ? 1 : 16)
          const rounds = initial === 0 ? 0 : Math.floor(wait / period)
          const times = mode === PERIODIC ? rounds : Math.min(rounds, 1)
          expect(expired).toEqual(Array.from({ length: times }, (_, i) => began + (i + 1) * period))
          expect(timer.currentCount).toBeLessThanOrEqual(initial)
        }
      }),
      { numRuns: 60 },
    )
  })
})
