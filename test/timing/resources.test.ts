import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Activities } from '../../src/timing/resources/accounts.ts'
import { EventQueue } from '../../src/timing/resources/event-queue.ts'
import { Histogram } from '../../src/timing/resources/histogram.ts'
import { Pool } from '../../src/timing/resources/pool.ts'
import { PARK, Processor, type Program, Thread } from '../../src/timing/resources/processor.ts'
import { Server } from '../../src/timing/resources/server.ts'
import { SpinLock } from '../../src/timing/resources/spin-lock.ts'

const times = fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 200 })

describe('the event queue', () => {
  it('serves events in the order of time, and those of one time in the order of scheduling', () => {
    fc.assert(
      fc.property(times, delays => {
        const events = new EventQueue()
        const served: number[] = []
        const kind = events.handle(subject => served.push(subject))
        for (const [i, delay] of delays.entries()) events.schedule(delay, kind, i)
        events.run(100)
        const expected = delays
          .map((delay, i) => ({ delay, i }))
          .sort((a, b) => a.delay - b.delay || a.i - b.i)
        expect(served).toEqual(expected.map(({ i }) => i))
      }),
    )
  })

  it('serves events of lanes in the same order as if each were scheduled by itself', () => {
    const chance = fc.record({
      lane: fc.integer({ min: -1, max: 2 }),
      delay: fc.integer({ min: 0, max: 20 }),
      /** Events that it schedules when it is served. */
      more: fc.integer({ min: 0, max: 2 }),
    })
    fc.assert(
      fc.property(fc.array(chance, { minLength: 1, maxLength: 100 }), chances => {
        const run = (inLanes: boolean): { served: readonly number[]; hash: string } => {
          const events = new EventQueue()
          const lanes = [events.lane(), events.lane(), events.lane()]
          const served: number[] = []
          let scheduled = 0
          const scheduleOne = (): void => {
            const { lane, delay } = chances[scheduled % chances.length]!
            const time = events.now + delay
            if (inLanes && lane >= 0) events.scheduleIn(lanes[lane]!, time, kind, scheduled++)
            else events.schedule(time, kind, scheduled++)
          }
          const kind: number = events.handle(subject => {
            served.push(subject)
            const { more } = chances[subject % chances.length]!
            for (let i = 0; i < more && scheduled < 500; i++) scheduleOne()
          })
          for (const _ of chances) scheduleOne()
          events.run(1e6)
          return { served, hash: events.traceHash }
        }
        expect(run(true)).toEqual(run(false))
      }),
    )
  })

  it('refuses an event of the past', () => {
    const events = new EventQueue()
    const kind = events.handle(() => {})
    events.run(10)
    expect(() => events.schedule(9, kind, 0)).toThrow('future')
  })

  it('has the same hash for the same happenings, and another for one that comes later', () => {
    const hash = (delays: readonly number[]): string => {
      const events = new EventQueue()
      const kind = events.handle(() => {})
      for (const delay of delays) events.schedule(delay, kind, 0)
      events.run(100)
      return events.traceHash
    }
    expect(hash([3, 1, 4])).toBe(hash([1, 3, 4]))
    expect(hash([3, 1, 4])).not.toBe(hash([3, 1, 5]))
  })
})

/** Customers at given times with given work. */
function serve(units: number, customers: readonly { readonly at: number; readonly work: number }[]) {
  const events = new EventQueue()
  const server = new Server(events, 'server', units)
  const done: number[] = []
  const come = events.handle(i => {
    done[i] = server.enter(customers[i]!.work)
  })
  for (const [i, { at }] of customers.entries()) events.schedule(at, come, i)
  return { events, server, done }
}

/** The same, announced in the beginning. */
function announce(units: number, customers: readonly { readonly at: number; readonly work: number }[]) {
  const events = new EventQueue()
  const server = new Server(events, 'server', units)
  for (const { at, work } of customers) server.enter(work, at)
  return { events, server }
}

const customers = fc.array(
  fc.record({ at: fc.integer({ min: 0, max: 1000 }), work: fc.integer({ min: 1, max: 40 }) }),
  { minLength: 1, maxLength: 100 },
)

describe('a server', () => {
  it("obeys Little's law: those inside are arrivals by their time inside", () => {
    fc.assert(
      fc.property(customers, fc.integer({ min: 1, max: 4 }), (all, units) => {
        const { events, server, done } = serve(units, all)
        events.run(100_000)
        const sojourn = all.reduce((sum, { at }, i) => sum + done[i]! - at, 0)
        expect(server.occupancy(100_000) * 100_000).toBeCloseTo(sojourn, 6)
        expect(server.waited + server.served).toBeCloseTo(sojourn, 6)
      }),
    )
  })

  it('is never busy for longer than there is time, whenever it is looked at', () => {
    fc.assert(
      fc.property(
        customers,
        fc.integer({ min: 0, max: 800 }),
        fc.integer({ min: 1, max: 500 }),
        (all, from, span) => {
          const { events, server } = serve(2, all)
          events.run(from)
          server.restart()
          events.run(from + span)
          expect(server.busy).toBeGreaterThanOrEqual(0)
          expect(server.busy).toBeLessThanOrEqual(2 * span)
        },
      ),
    )
  })

  it('tells the same of those who were announced before they came', () => {
    fc.assert(
      fc.property(
        customers,
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 0, max: 800 }),
        fc.integer({ min: 1, max: 800 }),
        (all, units, from, span) => {
          const sorted = [...all].sort((a, b) => a.at - b.at)
          const measured = (early: boolean): readonly number[] => {
            const { events, server } = early ? announce(units, sorted) : serve(units, sorted)
            events.run(from)
            server.restart()
            events.run(from + span)
            const { arrivals, waited, served, busy } = server
            return [arrivals, waited, served, busy, server.occupancy(span)]
          }
          expect(measured(true)).toEqual(measured(false))
        },
      ),
    )
  })

  it('serves in the order of arrival: one unit is never done with a later customer first', () => {
    fc.assert(
      fc.property(customers, all => {
        const sorted = [...all].sort((a, b) => a.at - b.at)
        const { events, done } = serve(1, sorted)
        events.run(100_000)
        expect([...done].sort((a, b) => a - b)).toEqual(done)
      }),
    )
  })
})

describe('a pool', () => {
  it('lets those wait who find too few, and serves them in order', () => {
    const events = new EventQueue()
    const resumed: number[] = []
    const pool = new Pool(
      events,
      'tags',
      3,
      events.handle(subject => resumed.push(subject)),
    )
    expect(pool.take(1, 2)).toBe(true)
    expect(pool.take(2, 2)).toBe(false)
    expect(pool.take(3, 1), 'nobody overtakes').toBe(false)
    events.run(10)
    pool.give(2)
    events.run(20)
    expect(resumed).toEqual([2, 3])
    expect(pool.busy).toBe(2 * 10 + 3 * 10)
  })
})

/** A thread that runs a given program. */
class Scripted extends Thread {
  readonly #script: (thread: Thread) => Program

  constructor(processor: Processor, activities: Activities, script: (thread: Thread) => Program) {
    super(processor, 1, activities, 'host')
    this.#script = script
  }

  protected *run(): Program {
    yield* this.#script(this)
    for (;;) yield PARK
  }
}

function machine(count: number) {
  const events = new EventQueue()
  const activities = new Activities()
  const work = activities.number('work', 'host')
  const proceed: number = events.handle(number => processors[number]!.proceed())
  const costs = { continue: proceed, switchActivity: work, switchTime: 0, siblingShare: 0.5 }
  const processors = Array.from({ length: count }, (_, number) => new Processor(events, number, costs))
  return { events, activities, work, processors, proceed }
}

describe('a processor', () => {
  it('runs one thread after another, and is busy for what they did', () => {
    const { events, activities, work, processors } = machine(1)
    const ended: number[] = []
    for (const time of [30, 20]) {
      new Scripted(processors[0]!, activities, function* (thread) {
        thread.charge(work, 1, time)
        yield thread.spend()
        ended.push(events.now)
      }).wake()
    }
    events.run(100)
    expect(ended).toEqual([30, 50])
    expect(processors[0]!.busy).toBe(50)
    expect(activities.timeOf(work)).toBe(50)
  })

  it('is slower beside a busy sibling, and what that costs is an activity of its own', () => {
    const { events, activities, work, processors } = machine(2)
    const [first, second] = processors as [Processor, Processor]
    first.sibling = second
    second.sibling = first
    for (const processor of processors) {
      new Scripted(processor, activities, function* (thread) {
        thread.charge(work, 1, 10)
        yield thread.spend()
      }).wake()
    }
    events.run(100)
    expect(first.busy, 'alone when it began').toBe(10)
    expect(second.busy).toBe(20)
    expect(activities.timeOf(activities.number('sibling thread busy', 'host'))).toBe(10)
  })
})

describe('a spin lock', () => {
  it('is passed on in the order of asking, and keeps its waiters busy', () => {
    const { events, activities, work, processors, proceed } = machine(3)
    const lock = new SpinLock(events, 'lock', { handOff: 5, waiterExtra: 0, continue: proceed })
    const held: number[] = []
    for (const processor of processors) {
      new Scripted(processor, activities, function* (thread) {
        yield* lock.acquire(thread, work)
        held.push(events.now)
        thread.charge(work, 1, 20)
        yield thread.spend()
        lock.release()
      }).wake()
    }
    events.run(1000)
    expect(held).toEqual([5, 30, 55])
    expect(processors[2]!.busy).toBe(75)
    expect(processors[2]!.demand, 'spinning is busy, but nobody needs it').toBe(20)
  })

  it('takes longer to pass on the more look at it, if they look at the lock itself', () => {
    const { events, activities, work, processors, proceed } = machine(3)
    const lock = new SpinLock(events, 'lock', { handOff: 5, waiterExtra: 10, continue: proceed })
    const held: number[] = []
    for (const processor of processors) {
      new Scripted(processor, activities, function* (thread) {
        yield* lock.acquire(thread, work)
        held.push(events.now)
        lock.release()
      }).wake()
    }
    events.run(1000)
    expect(held).toEqual([5, 20, 25])
  })
})

describe('a histogram', () => {
  it('knows each percentile to half a percent, in flat memory', () => {
    const histogram = new Histogram()
    for (let value = 1; value <= 10_000; value++) histogram.add(value)
    expect(histogram.mean).toBe(5000.5)
    for (const share of [0.5, 0.99, 0.999]) {
      expect(Math.abs(histogram.quantile(share) / (share * 10_000) - 1)).toBeLessThan(0.011)
    }
  })
})
