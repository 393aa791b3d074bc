import { describe, expect, it } from 'vitest'
import type { FunctionModel } from '../../src/pcie/index.ts'
import { frame, mac, NicRig, TestTransmitQueue } from './nic-rig.ts'

/** A frame of 64 bytes with its check sequence, preamble and gap on a line of 1 Gb/s. */
const SHORT_TIME = 672
const COUNT = 64

/** Two transmit queues of a port whose transmitter is on, each with frames that tell them apart. */
function port(sheet: string) {
  const is82576 = sheet === 'intel-82576'
  const rig = new NicRig(sheet)
  const registers = is82576 ? [0xe000, 0xe040] : [0x6000, 0x6040]
  if (is82576) rig.write(0x400, 0xa)
  else {
    rig.write(0x4a80, 1)
    rig.write(0x4240, 0x403)
  }
  const queues = registers.map(
    (at, i) =>
      new TestTransmitQueue(rig, {
        registers: at,
        ring: 0x2000 + i * 0x1000,
        buffers: 0x4_0000 + i * 0x8_0000,
        count: COUNT,
      }),
  )
  const [select, factor] = is82576 ? [0x3604, 0x36b0] : [0x4904, 0x4984]
  return {
    rig,
    queues,
    speed: is82576 ? 1000 : 10_000,
    /** Slows a queue down to 1 / `times` of its link. */
    limit(queue: number, times: number): void {
      rig.write(select, queue)
      rig.write(factor, 0x8000_0000 + Math.round(times * 2 ** 14))
    },
    post(queue: number, frames: number): void {
      for (let i = 0; i < frames; i++) queues[queue]!.data(frame(mac(1), mac(10 + queue), 60))
      queues[queue]!.ring()
    },
    /** Queues whose frames came out, in order. */
    sent: () => rig.sent.map(bytes => bytes[11]! - 10),
  }
}

describe.each(['intel-82576', 'intel-82599'])('the transmit rate scheduler of an %s', sheet => {
  it('lets a queue with a rate factor send a frame each time that as many frames would take', () => {
    const { rig, speed, limit, post, sent } = port(sheet)
    const time = (SHORT_TIME * 1000) / speed
    limit(0, 10)
    post(0, 5)
    expect(sent()).toEqual([0])
    rig.advance(Math.floor(10 * time) - 1)
    expect(sent()).toEqual([0])
    rig.advance(2)
    expect(sent()).toEqual([0, 0])
    rig.advance(30 * time + 4)
    expect(sent()).toEqual([0, 0, 0, 0, 0])
  })

  it('takes fractions of a factor', () => {
    const { rig, speed, limit, post, sent } = port(sheet)
    limit(0, 2.5)
    post(0, 40)
    rig.advance((SHORT_TIME * 1000 * 2.5 * 20) / speed)
    expect(Math.abs(sent().length - 20)).toBeLessThanOrEqual(1)
  })

  it('does not slow the other queues', () => {
    const { limit, post, sent } = port(sheet)
    limit(0, 100)
    post(0, 3)
    post(1, 3)
    expect(sent()).toEqual([0, 1, 1, 1])
  })

  it('lets go at once when the limit is taken away and software rings', () => {
    const { rig, limit, post, sent } = port(sheet)
    limit(0, 100)
    post(0, 3)
    rig.write(sheet === 'intel-82576' ? 0x36b0 : 0x4984, 0)
    rig.advance(100_000)
    expect(sent()).toEqual([0, 0, 0])
  })
})

describe('a line that takes its time', () => {
  it('carries 1,488,095 frames of 64 bytes a second at 1 Gb/s', () => {
    const { rig, post, sent } = port('intel-82576')
    rig.wire.takesTime = true
    const QUARTER = 250_000
    for (let frames = 0; rig.clock.now < QUARTER; ) {
      const room = COUNT - 1 - (frames - sent().length)
      post(0, room)
      frames += room
      rig.advance(SHORT_TIME)
    }
    expect(sent().length).toBe(Math.floor(rig.clock.now / SHORT_TIME) + 1)
  })

  it('is given to the queues in turn', () => {
    const { rig, post, sent } = port('intel-82599')
    rig.wire.takesTime = true
    post(0, 4)
    post(1, 4)
    rig.advance(10_000)
    expect(sent()).toEqual([0, 1, 0, 1, 0, 1, 0, 1])
  })

  it('goes on after a restore as if nothing had been', () => {
    const ends = [false, true].map(restored => {
      const { rig, limit, post, sent } = port('intel-82576')
      rig.wire.takesTime = true
      limit(1, 3)
      post(0, 5)
      post(1, 5)
      rig.advance(1500)
      if (restored) {
        const model = rig.nic as unknown as FunctionModel
        const state = model.save()
        model.reset?.('functionLevel' as never)
        model.load(state)
      }
      rig.advance(20_000)
      return [sent(), rig.nic.save()]
    })
    expect(ends[1]).toEqual(ends[0])
  })

  it('is nobody’s when the port was reset', () => {
    const { rig, post, sent } = port('intel-82576')
    rig.wire.takesTime = true
    post(0, 5)
    rig.write(0, 0x0400_0000)
    rig.advance(20_000)
    expect(sent()).toEqual([0])
  })
})
