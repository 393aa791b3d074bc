/** NVM Express 1.4, §3.1 registers, §4.1 queues, §7.6 controller reset, §8: literals, through the bus. */
import { describe, expect, it } from 'vitest'
import { pattern, Rig } from './rig.ts'

const ready = (): Rig => {
  const rig = new Rig()
  rig.enable()
  return rig
}
const withQueues = (size = 32): Rig => {
  const rig = ready()
  expect(rig.createPair(1, 0x10_0000, size)).toEqual([0, 0])
  return rig
}

describe('the registers', () => {
  it('tell capabilities and version', () => {
    const rig = new Rig()
    expect(rig.read(0x00)).toBe(0x0f01_07ff) // TO 7.5 s, CQR, MQES 2048
    expect(rig.read(0x04)).toBe(0x0040_0030) // MPSMAX 64 KiB, NVM command set, NSSRS
    expect(rig.read(0x08)).toBe(0x0001_0400)
    expect(rig.read(0x1c)).toBe(0)
  })

  it('take bytes: a write of one lane leaves the others', () => {
    const rig = new Rig()
    rig.write(0x24, 0x001f_001f)
    rig.write(0x24, 0xffff_ff3f, 0xff)
    expect(rig.read(0x24)).toBe(0x001f_003f)
  })

  it('become ready with CC.EN and are not any more without it, with the admin queue registers kept', () => {
    const rig = ready()
    expect(rig.read(0x1c)).toBe(1)
    rig.write(0x14, 0x0046_0000)
    expect(rig.read(0x1c)).toBe(0)
    expect([0x24, 0x28, 0x30].map(at => rig.read(at))).toEqual([0x001f_001f, 0x1_0000, 0x1_1000])
    expect(rig.read(0x14)).toBe(0)
  })

  it.each([
    ['an admin queue of one entry', { size: 1 }],
    ['a command set that there is not', { cc: 0x0046_0011 }],
    ['an arbitration that there is not', { cc: 0x0046_0801 }],
    ['pages larger than CAP.MPSMAX', { cc: 0x0046_0281 }],
    ['a queue that is not aligned to its pages', { cc: 0x0046_0081, asq: 0x1_1000 }],
  ])('say fatal error for %s', (_, options) => {
    const rig = new Rig()
    rig.enable(options)
    expect(rig.read(0x1c)).toBe(2)
    rig.write(0x14, 0)
    expect(rig.read(0x1c)).toBe(0)
  })

  it('report a shutdown as complete and keep serving until the reset', () => {
    const rig = ready()
    rig.write(0x14, 0x0046_4001)
    expect(rig.read(0x1c)).toBe(0x9)
    expect(rig.admin([0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6]).status).toBe(0)
    rig.write(0x14, 0)
    expect(rig.read(0x1c)).toBe(0)
  })

  it('note a subsystem reset, ordered by "NVMe" alone', () => {
    const rig = ready()
    rig.write(0x20, 0x4e56_4d64)
    expect(rig.read(0x1c)).toBe(1)
    rig.write(0x20, 0x4e56_4d65)
    expect(rig.read(0x1c)).toBe(0x10)
    expect(rig.read(0x28)).toBe(0)
    rig.write(0x1c, 0x10)
    expect(rig.read(0x1c)).toBe(0)
  })

  it('are as from the start after a function level reset', () => {
    const rig = ready()
    rig.fn.functionLevelReset()
    rig.place()
    expect([0x14, 0x1c, 0x24, 0x28, 0x30].map(at => rig.read(at))).toEqual([0, 0, 0, 0, 0])
  })
})

describe('queues', () => {
  it('wrap, with the phase tag inverted in every pass', () => {
    const rig = withQueues(3)
    const seen = Array.from({ length: 8 }, () => rig.execute(1, [0, 1]))
    expect(seen.map(({ status }) => status)).toEqual(new Array(8).fill(0))
    expect(seen.map(({ phase }) => phase)).toEqual([1, 1, 1, 0, 0, 0, 1, 1])
    expect(seen.map(({ sqHead }) => sqHead)).toEqual([1, 2, 0, 1, 2, 0, 1, 2])
  })

  it('hold commands back while the completion queue is full, and go on when the head moves', () => {
    const rig = ready()
    rig.createPair(1, 0x10_0000, 4)
    // A second, longer submission queue on the same completion queue.
    rig.admin([0x01, 0, 0, 0, 0, 0, 0x40_0000, 0, 0, 0, (15 << 16) | 2, (1 << 16) | 1])
    for (let i = 0; i < 8; i++) rig.words(0x40_0000 + i * 64, (i << 16) | 0, 1)
    rig.write(0x1010, 8)
    const first = rig.reap(1)
    expect(first.map(({ cid, sqId }) => [cid, sqId])).toEqual([
      [0, 2],
      [1, 2],
      [2, 2],
    ])
    expect(rig.reap(1).map(({ cid }) => cid)).toEqual([3, 4, 5])
    expect(rig.reap(1).map(({ cid }) => cid)).toEqual([6, 7])
  })

  it('complete one message for what one doorbell started', () => {
    const rig = withQueues()
    rig.sink.vectors.length = 0
    for (let i = 0; i < 5; i++) rig.submit(1, [0, 1])
    rig.ring(1)
    expect(rig.reap(1)).toHaveLength(5)
    expect(rig.sink.vectors).toEqual([0x41])
  })

  it('are silent with interrupts off', () => {
    const rig = ready()
    rig.createPair(1, 0x10_0000, 32, 1, false)
    rig.sink.vectors.length = 0
    expect(rig.execute(1, [0, 1]).status).toBe(0)
    expect(rig.sink.vectors).toEqual([])
  })

  it('end in a fatal error when they lie where no memory is, and touch nothing', () => {
    const rig = new Rig()
    rig.enable({ asq: 0x7000_0000 })
    rig.write(0x1000, 1)
    expect(rig.read(0x1c)).toBe(3)
    expect(rig.sink.strays).toEqual([0x7_0000])
    rig.write(0x1000, 2)
    expect(rig.sink.strays).toHaveLength(1)
  })

  it('end in a fatal error when a completion cannot be written', () => {
    const rig = new Rig()
    rig.enable({ acq: 0x7000_0000 })
    rig.words(0x1_0000, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6)
    rig.write(0x1000, 1)
    expect(rig.read(0x1c)).toBe(3)
  })
})

describe('aggregation', () => {
  const coalescing = (value: number): Rig => {
    const rig = withQueues()
    expect(rig.admin([0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, value]).status).toBe(0)
    rig.sink.vectors.length = 0
    return rig
  }

  it('signals when the threshold is reached', () => {
    const rig = coalescing(0x0102) // 3 entries, 100 µs
    rig.execute(1, [0, 1])
    rig.execute(1, [0, 1])
    expect(rig.sink.vectors).toEqual([])
    rig.execute(1, [0, 1])
    expect(rig.sink.vectors).toEqual([0x41])
  })

  it('signals when the time is over', () => {
    const rig = coalescing(0x05ff) // 256 entries, 500 µs
    rig.execute(1, [0, 1])
    expect(rig.sink.vectors).toEqual([])
    rig.engine.advance()
    expect(rig.engine.now).toBe(500_000)
    expect(rig.sink.vectors).toEqual([0x41])
  })

  it('leaves out vectors that say so, and admin completions', () => {
    const rig = coalescing(0x05ff)
    expect(rig.admin([0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0x1_0001]).status).toBe(0)
    expect(rig.sink.vectors).toEqual([0x40])
    rig.execute(1, [0, 1])
    expect(rig.sink.vectors).toEqual([0x40, 0x41])
  })
})

describe('doorbells', () => {
  const events = (rig: Rig): number[] => {
    rig.submit(0, [0x0c])
    rig.ring(0)
    return rig.reap(0).map(({ result }) => result)
  }

  it.each([
    ['of a queue that there is not', 0x1000 + 5 * 8, 1, 0x01_00_00],
    ['beyond the queue', 0x1008, 32, 0x01_01_00],
    ['of a head that passes the tail', 0x100c, 3, 0x01_01_00],
  ])('%s are reported as events, and change nothing', (_, at, value, event) => {
    const rig = withQueues()
    rig.write(at, value)
    expect(events(rig)).toEqual([event])
    expect(rig.execute(1, [0, 1]).status).toBe(0)
  })

  it('that pass the head of their own queue are reported too', () => {
    const rig = ready()
    rig.createPair(1, 0x10_0000, 4)
    // The completion queue is full after three commands: two more fill the submission queue again.
    for (let i = 0; i < 3; i++) rig.submit(1, [0, 1])
    rig.ring(1)
    rig.submit(1, [0, 1])
    rig.submit(1, [0, 1])
    rig.ring(1)
    rig.write(0x1008, 0)
    rig.write(0x1008, 3)
    expect(events(rig)).toEqual([0x01_01_00])
  })

  it('report an event of a type once, until its log page is read', () => {
    const rig = withQueues()
    rig.submit(0, [0x0c])
    rig.submit(0, [0x0c])
    rig.ring(0)
    rig.write(0x1008, 32)
    rig.write(0x1028, 1)
    expect(rig.reap(0).map(({ result }) => result)).toEqual([0x01_01_00])
    // 64 bytes of the error log, Retain Asynchronous Event clear.
    rig.submit(0, [0x02, 0, 0, 0, 0, 0, 0x20_0000, 0, 0, 0, (15 << 16) | 1])
    rig.ring(0)
    expect(rig.reap(0).map(({ result }) => result)).toEqual([0, 0x01_00_00])
    expect(new Uint32Array(rig.bytes(0x20_0000, 64).buffer)[0]).toBe(2)
  })

  it('written by the controller’s own data start no command inside a command', () => {
    const rig = withQueues()
    // Block 0 holds a tail for the doorbell of queue 1, which is where the read's data goes.
    const tail = new Uint8Array(512)
    tail[0] = 3
    rig.poke(0x20_0000, tail)
    expect(rig.io(1, 0, 1, 0x20_0000).status).toBe(0)
    rig.submit(1, [0x02, 1, 0, 0, 0, 0, 0xe000_1008, 0, 0, 0, 0, 0, 0])
    rig.ring(1)
    rig.submit(1, [0, 1])
    const done = rig.reap(1)
    expect(done[0]?.status).toBe(0)
    expect(rig.read(0x1c) & 2).toBe(0)
  })
})

describe('memory pages', () => {
  it('of 64 KiB make PRPs of 64 KiB', () => {
    const rig = new Rig()
    rig.enable({ cc: 0x0046_0201, asq: 0x1_0000, acq: 0x2_0000 })
    expect(rig.createPair(1, 0x10_0000)).toEqual([0, 0])
    const data = pattern(0x1_8000)
    rig.poke(0x30_0800, data)
    rig.poke(0x40_0000, data.subarray(0xf800))
    // 64 KiB less 2 KiB from PRP1, the rest from PRP2.
    expect(rig.io(1, 0, 0x1_8000 / 512, 0x30_0800, 0x40_0000).status).toBe(0)
    expect(rig.io(2, 0, 0x1_8000 / 512, 0x50_0000, 0x51_0000).status).toBe(0)
    expect(rig.bytes(0x50_0000, 0x1_8000)).toEqual(data)
  })
})
