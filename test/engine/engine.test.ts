import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Engine, type Software, until } from '../../src/engine/index.ts'

describe('the event queue', () => {
  it('runs events by time, and events of one time in the order they were scheduled', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20), { maxLength: 60 }), delays => {
        const engine = new Engine()
        const ran: { at: number; argument: number }[] = []
        engine.handle('tick', (_, argument) => ran.push({ at: engine.now, argument }))
        for (const [i, delay] of delays.entries()) engine.schedule(delay, 'tick', 'clock', i)
        while (engine.advance());
        const expected = delays.map((at, argument) => ({ at, argument })).sort((a, b) => a.at - b.at)
        expect(ran).toEqual(expected)
      }),
    )
  })

  it('forgets the events of one target, says when the next one is due, and keeps the order of the others', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ delay: fc.nat(20), target: fc.constantFrom('a', 'b', 'c') }), { maxLength: 40 }),
        events => {
          const engine = new Engine()
          const ran: { target: string; argument: number }[] = []
          engine.handle('tick', (target, argument) => ran.push({ target, argument }))
          for (const [i, { delay, target }] of events.entries()) engine.schedule(delay, 'tick', target, i)
          const ofB = events.filter(({ target }) => target === 'b').map(({ delay }) => delay)
          expect(engine.next('tick', 'b')).toBe(ofB.length === 0 ? undefined : Math.min(...ofB))
          engine.cancel('tick', 'b')
          expect(engine.next('tick', 'b')).toBeUndefined()
          while (engine.advance());
          const expected = events
            .map(({ delay, target }, argument) => ({ delay, target, argument }))
            .filter(({ target }) => target !== 'b')
            .sort((x, y) => x.delay - y.delay)
            .map(({ target, argument }) => ({ target, argument }))
          expect(ran).toEqual(expected)
          expect(engine.served).toBe(expected.length)
        },
      ),
    )
  })

  it('goes on after a save and load exactly as it would have', () => {
    const make = () => {
      const engine = new Engine()
      const ran: string[] = []
      engine.handle('ring', (target, argument) => {
        ran.push(`${engine.now} ${target} ${argument}`)
        if (argument > 0) engine.schedule(7, 'ring', target, argument - 1)
      })
      return { engine, ran }
    }
    const whole = make()
    whole.engine.schedule(3, 'ring', 'a', 4)
    whole.engine.schedule(5, 'ring', 'b', 3)
    whole.engine.advance()
    whole.engine.advance()
    const half = make()
    half.engine.load(whole.engine.save())
    const before = whole.ran.length
    while (whole.engine.advance());
    while (half.engine.advance());
    expect(half.ran).toEqual(whole.ran.slice(before))
  })

  it('serves each kind of event by one handler', () => {
    const engine = new Engine()
    engine.handle('tick', () => {})
    expect(() => engine.handle('tick', () => {})).toThrow('one handler')
    expect(() => engine.schedule(1, 'tock', '')).toThrow('known kind')
  })
})

describe('software that waits', () => {
  it('lets queued events happen until its condition holds', () => {
    const engine = new Engine()
    let done = 0
    engine.handle('complete', () => done++)
    engine.schedule(100, 'complete', 'queue')
    engine.schedule(200, 'complete', 'queue')
    function* driver(): Software<number> {
      yield* until(() => done === 1)
      return engine.now
    }
    expect(engine.run(driver())).toBe(100)
  })

  it('does not wait when the condition already holds', () => {
    const engine = new Engine()
    expect(engine.run(until(() => true))).toBeUndefined()
  })

  it('is a defect when it waits for what can never come', () => {
    expect(() => new Engine().run(until(() => false))).toThrow('never waits')
  })
})

describe('the trace', () => {
  it('numbers events from 1, keeps the newest and tells from where', () => {
    const { trace } = new Engine()
    for (let i = 0; i < 50_000; i++) trace.emit('dma', `${i}`)
    expect(trace.last).toBe(50_000)
    expect(trace.oldest).toBeGreaterThan(1)
    expect(trace.since(49_998).map(event => event.sequence)).toEqual([49_999, 50_000])
    expect(trace.since(0)[0]!.sequence).toBe(trace.oldest)
    expect(trace.since(50_000)).toEqual([])
  })

  it('tells followers as things happen, until they stop following', () => {
    const { trace } = new Engine()
    const heard: string[] = []
    const stop = trace.follow(event => heard.push(event.message))
    trace.emit('power', 'on')
    stop()
    trace.emit('power', 'off')
    expect(heard).toEqual(['on'])
  })
})
