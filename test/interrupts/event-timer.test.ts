import { beforeEach, describe, expect, it } from 'vitest'
import { EVENT_TIMER_ID, EventTimer } from '../../src/interrupts/index.ts'

const ALL = 0xffff_ffff
const CONFIGURATION = 0x10
const COUNTER = 0xf0

let clock: { now: number }
let timer: EventTimer

beforeEach(() => {
  clock = { now: 500 }
  timer = new EventTimer(clock)
  timer.reset()
})

const counter = (): bigint => (BigInt(timer.readDword(COUNTER + 4)) << 32n) | BigInt(timer.readDword(COUNTER))

describe('event timer', () => {
  it('says what it is: three 64-bit comparators, 10 ns a tick, no interrupt route', () => {
    expect(timer.readDword(0)).toBe(EVENT_TIMER_ID)
    expect((EVENT_TIMER_ID >>> 8) & 0x1f).toBe(2)
    expect(timer.readDword(4)).toBe(10_000_000)
    for (const at of [0x100, 0x120, 0x140]) {
      expect(timer.readDword(at)).toBe(0x20)
      expect(timer.readDword(at + 4)).toBe(0)
      expect(timer.readDword(at + 8)).toBe(ALL)
    }
    expect(timer.readDword(0x160)).toBe(0)
  })

  it('counts virtual time only while it is enabled, across 32 bits', () => {
    clock.now += 1000
    expect(counter()).toBe(0n)
    timer.writeDword(CONFIGURATION, 1, ALL)
    clock.now += 1005
    expect(counter()).toBe(100n)
    timer.writeDword(CONFIGURATION, 0, ALL)
    clock.now += 1000
    expect(counter()).toBe(100n)
    timer.writeDword(COUNTER, 0xffff_fff0, ALL)
    timer.writeDword(CONFIGURATION, 1, ALL)
    clock.now += 200
    expect(counter()).toBe(0x1_0000_0004n)
    clock.now += 10 * 2 ** 33
    expect(counter()).toBe(0x3_0000_0004n)
  })

  it('takes single bytes of what software may write, and nothing else', () => {
    timer.writeDword(0x128, 0x1234_5678, 0x0000_ff00)
    expect(timer.readDword(0x128)).toBe(0xffff_56ff)
    expect(timer.readDword(0x108)).toBe(ALL)
    timer.writeDword(0, 0, ALL)
    timer.writeDword(0x100, ALL, ALL)
    expect(timer.readDword(0)).toBe(EVENT_TIMER_ID)
    expect(timer.readDword(0x100)).toBe(0x20)
    timer.reset()
    expect(timer.readDword(0x128)).toBe(ALL)
  })

  it('goes on where it was saved', () => {
    timer.writeDword(CONFIGURATION, 1, ALL)
    timer.writeDword(0x148, 7, ALL)
    clock.now += 300
    const other = new EventTimer(clock)
    other.load(timer.save())
    clock.now += 300
    expect(other.readDword(COUNTER)).toBe(60)
    expect(other.readDword(0x148)).toBe(7)
  })
})
