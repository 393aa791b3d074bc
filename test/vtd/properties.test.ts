import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { digest, Random } from '../../src/core/index.ts'
import { TestUnit } from './fixture.ts'
import {
  type ModelAnswer,
  type ModelRequest,
  type ModelUnit,
  type ReadQuadword,
  translate,
} from './reference-model.ts'
import { explore } from './scalable-model.ts'

const ROOT = 0x1_0000_0000
/** Tables live in a few frames above 4 GiB; every frame may serve as a table of any level. */
const CONTEXTS = [0x1_0000_1000, 0x1_0000_2000]
const TABLES = Array.from({ length: 8 }, (_, i) => 0x1_0001_0000 + i * 4096)
const INDICES = [0, 0, 1, 511]
const SIDS = [0x0000, 0x0011, 0x0112, 0x01ff]

const CAPABILITY_SETS = [
  {},
  { SAGAW: 0b1110, MGAW: 56 },
  { SAGAW: 0b0010, MGAW: 38, SSLPS: 1, PT: 0 },
  { SC: 0, SSLPS: 0, ND: 1 },
  { MGAW: 40 },
]

/** A random world: a unit, its model, and software that stores plausible and implausible entries. */
class World {
  readonly random: Random
  readonly t: TestUnit
  readonly model: ModelUnit

  constructor(seed: number, caching: Record<string, number> = {}, pagingSets = [4, 4, 4, 4]) {
    this.random = new Random(seed)
    const capabilities = { ...this.pick(CAPABILITY_SETS), ...caching }
    const hostAddressWidth = this.pick([39, 46, 48, 52])
    const caches = {
      iotlbSets: this.pick([1, 4, 64]),
      iotlbWays: this.pick([1, 4]),
      contextSets: 1,
      contextWays: 2,
      pagingSets,
    }
    this.t = new TestUnit({ capabilities, hostAddressWidth, caches })
    const c = this.t.unit.capabilities
    this.model = {
      root: BigInt(ROOT),
      hostAddressWidth: BigInt(hostAddressWidth),
      guestAddressWidth: BigInt(c.MGAW + 1),
      domainBits: BigInt(4 + 2 * c.ND),
      widths: [1n, 2n, 3n].filter(aw => (BigInt(c.SAGAW) >> aw) & 1n),
      passThrough: c.PT === 1,
      snoopControl: c.SC === 1,
      pages2M: (c.SSLPS & 1) === 1,
      pages1G: (c.SSLPS & 2) === 2,
    }
    this.t.write64(0x20, ROOT)
    this.t.command(30)
    this.t.command(31)
    this.t.engine.trace.enabled = false
    for (let i = 0; i < 150; i++) this.mutate()
  }

  pick<T>(items: readonly T[]): T {
    return items[this.random.integer(0, items.length - 1)]!
  }

  chance(percent: number): boolean {
    return this.random.integer(1, 100) <= percent
  }

  noise(): bigint {
    return this.chance(3) ? 1n << BigInt(this.random.integer(0, 63)) : 0n
  }

  /** Software changes one entry somewhere. */
  mutate(): void {
    const { t } = this
    const kind = this.random.integer(0, 9)
    if (kind === 0) {
      const target = this.chance(96) ? this.pick(CONTEXTS) : 0x9000_0000
      t.store(ROOT + this.pick([0, 16]), (BigInt(target) + (this.chance(95) ? 1n : 0n)) ^ this.noise())
    } else if (kind <= 3) {
      const at = this.pick(CONTEXTS) + (this.pick(SIDS) & 0xff) * 16
      const root = this.random.integer(0, TABLES.length - 1)
      const aw = this.chance(90) ? Number(this.pick(this.model.widths)) : this.pick([0, 1, 2, 3])
      const tt = this.chance(85) ? 0 : this.pick([1, 2, 3])
      // One domain-id for one pair of table and width: sharing it between tables would mix their translations.
      const domain = t.unit.capabilities.ND === 1 ? (root * 8 + aw) % 64 : 16 + root * 8 + aw
      t.store(
        at,
        (BigInt(TABLES[root]!) + BigInt(tt * 4) + (this.chance(95) ? 1n : 0n)) ^ (this.chance(10) ? 2n : 0n),
      )
      t.store(
        at + 8,
        BigInt(domain * 256 + aw) ^ (this.chance(4) ? 1n << BigInt(this.random.integer(24, 63)) : 0n),
      )
    } else {
      const at = this.pick(TABLES) + this.pick(INDICES) * 8
      const rights = this.chance(85) ? 3 : this.pick([0, 1, 2])
      const large = this.chance(15)
      const target = large
        ? BigInt(this.random.integer(0, 300)) << 30n
        : this.chance(85)
          ? BigInt(this.pick(TABLES))
          : BigInt(this.pick([0xfee0_1000, 0x9000_0000, 0xfffe_0000_0000, 0x4000]))
      t.store(at, (target + BigInt(rights) + (large ? 0x80n : 0n)) ^ this.noise())
    }
  }

  request(): ModelRequest {
    let page = 0n
    for (let level = 0; level < 5; level++)
      page = page * 512n + BigInt(level === 0 ? this.pick([0, 0, 0, 1]) : this.pick(INDICES))
    const offset = BigInt(this.random.integer(0, 1023) * 4)
    const sourceId = BigInt(this.pick(SIDS))
    const wild = this.chance(3) ? BigInt(this.pick([2 ** 51, 2 ** 40, 0xfee0_0000])) : page % 2n ** 45n
    return { sourceId, address: wild * 4096n + offset, write: this.chance(50) }
  }

  /** Most requests come again at once: answered by the tables first, then by the caches. */
  askThrice(request: ModelRequest): readonly ModelAnswer[] {
    return [this.ask(request), this.ask(request), this.ask(request)]
  }

  /** What the unit does, in the model's terms; checks on the way that `explain` foretells it. */
  ask({ sourceId, address, write }: ModelRequest): ModelAnswer {
    const { t } = this
    const [page, offset] = [Number(address >> 12n), Number(address & 0xfffn)]
    const foretold = t.unit.explain(Number(sourceId), page, offset, write)
    const { request } = t
    request.begin()
    request.requesterId = Number(sourceId)
    request.page = page
    request.offset = offset
    request.write = write
    request.length = 4
    t.clearFaults()
    const isInterrupt = foretold.outcome === 'interrupt'
    if (t.unit.translate(request)) {
      const answer = BigInt(request.physicalPage) * 4096n + BigInt(offset)
      expect(BigInt(foretold.physicalAddress!)).toBe(answer)
      return { address: answer }
    }
    if (!isInterrupt) expect(Number(foretold.fault?.reason)).toBe(request.faultReason)
    const suppressed = (t.read32(0x34) & 2) === 0
    if (!isInterrupt) expect(foretold.fault?.recorded).toBe(!suppressed)
    return { reason: request.faultReason, suppressed }
  }

  invalidate(): void {
    this.t.write64(0x28, 0xa000_0000_0000_0000n)
    this.t.write64(0x508, 0x9000_0000_0000_0000n)
  }

  readNow: ReadQuadword = address =>
    this.t.memory.page(Number(address >> 12n)) === undefined ? undefined : this.t.load(Number(address))

  /** Memory as it is now, kept: all tables are copied. */
  snapshot(): ReadQuadword {
    const kept = new Map<bigint, bigint>()
    for (const base of [ROOT, ...CONTEXTS, ...TABLES]) {
      const { words } = this.t.memory.page(base / 4096)!
      for (let i = 0; i < 1024; i += 2) {
        if (words[i]! | words[i + 1]!) kept.set(BigInt(base + i * 4), this.t.load(base + i * 4))
      }
    }
    return address =>
      this.t.memory.page(Number(address >> 12n)) === undefined ? undefined : (kept.get(address) ?? 0n)
  }
}

const seeds = fc.integer({ min: 0, max: 0x7fff_ffff })

describe('against the reference model', () => {
  test('with every change invalidated, the caches never show', () => {
    fc.assert(
      fc.property(seeds, seed => {
        const world = new World(seed, { CM: seed % 2 })
        for (let step = 0; step < 12; step++) {
          world.mutate()
          world.invalidate()
          for (let i = 0; i < 6; i++) {
            const request = world.request()
            const truth = translate(world.model, request, world.readNow)
            expect(world.askThrice(request)).toEqual([truth, truth, truth])
          }
        }
      }),
      { numRuns: 80 },
    )
  })

  test('without invalidation, every answer is one that was true since the last one', () => {
    fc.assert(
      fc.property(seeds, seed => {
        // Paging-structure caches mix levels of several states; the property for scalable mode covers them.
        const world = new World(seed, {}, [0, 0, 0, 0])
        world.invalidate()
        let states = [world.snapshot()]
        for (let step = 0; step < 24; step++) {
          if (world.chance(60)) {
            world.mutate()
            states.push(world.snapshot())
          } else if (world.chance(15)) {
            world.invalidate()
            states = [world.snapshot()]
          }
          const request = world.request()
          const answers = world.askThrice(request)
          // Each entry on the way may be one that was there since, whatever is remembered of the others.
          const possible = explore(choose => {
            const read: ReadQuadword = address => {
              const versions = new Set(states.map(state => state(address)))
              return [...versions][choose(versions.size)]
            }
            return translate(world.model, request, read)
          })
          for (const answer of answers) if (possible) expect(possible).toContainEqual(answer)
        }
      }),
      { numRuns: 40 },
    )
  })

  test('explaining changes nothing, and a loaded unit goes on as the saved one would', () => {
    fc.assert(
      fc.property(seeds, seed => {
        const world = new World(seed)
        for (let i = 0; i < 20; i++) world.ask(world.request())
        const { unit } = world.t
        const before = digest(unit.save())
        const request = world.request()
        unit.explain(Number(request.sourceId), Number(request.address >> 12n), 0, request.write)
        expect(digest(unit.save())).toBe(before)

        const twin = new World(seed)
        twin.t.unit.load(unit.save())
        expect(digest(twin.t.unit.save())).toBe(before)
        // Both meet the same changed tables with the same stale caches.
        for (let i = 0; i < 5; i++) {
          world.mutate()
        }
        for (const base of [ROOT, ...CONTEXTS, ...TABLES]) {
          twin.t.memory.pageForWrite(base / 4096)!.words.set(world.t.memory.page(base / 4096)!.words)
        }
        for (let i = 0; i < 20; i++) {
          const next = world.request()
          expect(twin.ask(next)).toEqual(world.ask(next))
        }
        expect(digest(twin.t.unit.save())).toBe(digest(unit.save()))
      }),
      { numRuns: 25 },
    )
  })
})
