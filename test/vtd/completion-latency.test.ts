/** Commands and descriptors that take time: what software sees before, and what it waits for. */
import { describe, expect, test } from 'vitest'
import { Engine } from '../../src/engine/index.ts'
import { PhysicalMemory } from '../../src/memory/index.ts'
import { RemappingUnit } from '../../src/vtd/index.ts'
import * as F from './fixture.ts'
import { TestUnit } from './fixture.ts'

const LATENCY = 250
const QIES = 2 ** 26
const RTPS = 2 ** 30
const TES = 2 ** 31
const WBFS = 2 ** 27

const slow = (capabilities: Record<string, number> = {}) =>
  new TestUnit({ capabilities, completionLatency: LATENCY })

/** Lets the engine run until nothing is under way. */
const settle = (t: TestUnit) => {
  while (t.engine.advance());
}
const wait = (data: number, bits = 0x20) => BigInt(data) * 2n ** 32n + BigInt(bits) + 5n

describe('a command', () => {
  test('shows in GSTS once it has completed', () => {
    const t = slow()
    t.write64(0x20, F.ROOT)
    t.command(30)
    expect(t.read32(0x1c)).toBe(0)
    settle(t)
    expect([t.read32(0x1c), t.engine.now]).toEqual([RTPS, LATENCY])
    t.command(31)
    expect(t.read32(0x1c)).toBe(RTPS)
    settle(t)
    expect(t.read32(0x1c)).toBe(RTPS + TES)
  })

  test('that sets the table pointer again takes RTPS away until it is done', () => {
    const t = slow()
    t.command(30)
    settle(t)
    t.command(30)
    expect(t.read32(0x1c)).toBe(0)
    settle(t)
    expect(t.read32(0x1c)).toBe(RTPS)
  })

  test('to flush the write buffer shows while it is under way, in a unit that has one', () => {
    for (const RWBF of [0, 1]) {
      const t = slow({ RWBF })
      t.command(27)
      expect(t.read32(0x1c)).toBe(RWBF ? WBFS : 0)
      settle(t)
      expect(t.read32(0x1c)).toBe(0)
    }
  })

  test('is forgotten by a reset that comes before its completion', () => {
    const t = slow()
    t.command(30)
    t.unit.reset()
    settle(t)
    expect(t.read32(0x1c)).toBe(0)
  })
})

describe('register-based invalidation', () => {
  test('keeps ICC and IVT set until it is done', () => {
    const t = slow()
    t.write64(0x28, 0xa000_0000_0000_0000n)
    t.write64(F.SERVER_IOTLB, 0x9000_0000_0000_0000n)
    expect([t.read64(0x28) >> 63n, t.read64(F.SERVER_IOTLB) >> 63n]).toEqual([1n, 1n])
    settle(t)
    expect([t.read64(0x28) >> 59n, t.read64(F.SERVER_IOTLB) >> 57n]).toEqual([5n, 9n])
  })
})

describe('the invalidation queue', () => {
  const queued = (capabilities: Record<string, number> = {}) => {
    const t = slow(capabilities)
    t.enableQueue()
    settle(t)
    return t
  }

  test('takes its time for each descriptor: the head shows how far it is', () => {
    const t = queued()
    const from = t.engine.now
    t.submit(0x12)
    t.submit(wait(7), F.STATUS_WORD)
    expect(t.read64(0x80)).toBe(0n)
    t.engine.advance()
    expect([t.read64(0x80), t.load(F.STATUS_WORD)]).toEqual([16n, 0n])
    t.engine.advance()
    expect([t.read64(0x80), t.load(F.STATUS_WORD)]).toEqual([32n, 7n])
    expect(t.engine.now - from).toBe(2 * LATENCY)
  })

  test('leaves a stale translation in the IOTLB until the descriptor is processed', () => {
    const t = slow().enableTranslation()
    settle(t)
    t.command(31)
    settle(t)
    t.enableQueue()
    settle(t)
    t.dma(F.IOVA)
    t.store(F.L1 + 7 * 8, 0x1_7777_7003)
    t.submit(0x12)
    expect(t.dma(F.IOVA)).toBe(F.TARGET)
    settle(t)
    expect(t.dma(F.IOVA)).toBe(0x1_7777_7000)
  })

  test('that is disabled does no more', () => {
    const t = queued()
    t.submit(wait(7), F.STATUS_WORD)
    t.submit(wait(8), F.STATUS_WORD)
    t.command(26, 0)
    settle(t)
    expect([t.read32(0x1c) & QIES, t.read64(0x80), t.load(F.STATUS_WORD)]).toEqual([0, 0n, 7n])
  })

  test('is as far after loading a saved state as before', () => {
    const t = queued()
    t.submit(wait(7), F.STATUS_WORD)
    const other = slow()
    other.unit.load(t.unit.save())
    other.memory.load(t.memory.save())
    other.engine.load(t.engine.save())
    settle(other)
    expect(other.load(F.STATUS_WORD)).toBe(7n)
  })
})

describe('device-TLB invalidations', () => {
  const MINUTE = 60_000_000_000
  const ITE = 0x40
  const ICE = 0x20
  const invalidate = 0x3n + (BigInt(F.SID) << 32n)
  const queued = (delay: number) => {
    const t = new TestUnit({ capabilities: { DT: 1 } }).enableQueue()
    t.deviceTlbDelay = delay
    return t
  }

  test('hold a wait descriptor back until the function has answered', () => {
    const t = queued(900)
    t.submit(invalidate, 0x5000n)
    t.submit(wait(7), F.STATUS_WORD)
    t.submit(wait(8), F.STATUS_WORD + 4)
    expect(t.load(F.STATUS_WORD)).toBe(0n)
    t.engine.advance()
    expect([t.load(F.STATUS_WORD), t.engine.now]).toEqual([0x8_0000_0007n, 900])
    expect(t.read32(0x34)).toBe(0)
  })

  test('that are not answered in a minute are ITE; the wait is aborted and the queue stops', () => {
    const t = queued(-1)
    t.write32(0x3c, 0x61)
    t.write32(0x38, 0)
    t.submit(invalidate, 0x5000n)
    t.submit(wait(7), F.STATUS_WORD)
    t.submit(wait(8), F.STATUS_WORD + 4)
    settle(t)
    expect(t.engine.now).toBe(MINUTE)
    expect([t.read32(0x34), t.load(F.STATUS_WORD)]).toEqual([ITE, 0n])
    expect((t.read64(0xb0) >> 32n) & 0xffffn).toBe(BigInt(F.SID))
    expect(t.messages).toMatchObject([{ vector: 0x61 }])
    t.write32(0x34, ITE)
    expect([t.read32(0x34), t.load(F.STATUS_WORD)]).toEqual([0, 0x8_0000_0000n])
    expect(t.read64(0xb0)).toBe(0n)
  })

  test('that are answered too late are ICE besides, which does not stop the queue', () => {
    const t = queued(MINUTE + 5)
    t.submit(invalidate, 0x5000n)
    settle(t)
    expect(t.read32(0x34)).toBe(ITE | ICE)
    expect(t.read64(0xb0) >> 48n).toBe(BigInt(F.SID))
    t.write32(0x34, ITE)
    t.submit(wait(7), F.STATUS_WORD)
    expect([t.read32(0x34), t.load(F.STATUS_WORD)]).toEqual([ICE, 7n])
  })

  test('ITESID keeps the first function that timed out', () => {
    const t = queued(-1)
    t.submit(invalidate, 0x5000n)
    t.submit(0x3n + (0x99n << 32n), 0x5000n)
    settle(t)
    expect((t.read64(0xb0) >> 32n) & 0xffffn).toBe(BigInt(F.SID))
  })

  test('are forgotten by a reset', () => {
    const t = queued(-1)
    t.submit(invalidate, 0x5000n)
    t.unit.reset()
    settle(t)
    expect(t.read32(0x34)).toBe(0)
  })
})

test('units of one engine complete their work each on its own', () => {
  const engine = new Engine()
  const environment = { memory: new PhysicalMemory(F.RAM), interrupts: { deliver: () => 0 }, engine }
  const units = [0, 1].map(
    index =>
      new RemappingUnit(
        { id: `unit${index}`, index, hostAddressWidth: 48, completionLatency: LATENCY * (index + 1) },
        environment,
      ),
  )
  for (const unit of units) unit.writeDword(0x18, RTPS, F.ALL)
  const status = () => units.map(unit => unit.readDword(0x1c) >>> 0)
  engine.advance()
  expect(status()).toEqual([RTPS, 0])
  engine.advance()
  expect(status()).toEqual([RTPS, RTPS])
})
