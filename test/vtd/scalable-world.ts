/** A random world in scalable mode: a unit, its model, and software that stores plausible and implausible entries. */
import { Random } from '../../src/core/index.ts'
import { TestUnit } from './fixture.ts'
import type { ScalableRequest, ScalableUnit, Versions } from './scalable-model.ts'

/** Apart from the paging structures, whose entries must not lead here: hardware would write into them. */
const ROOT = 0x1_0004_0000
const CONTEXTS = [0x1_0004_1000, 0x1_0004_2000]
const DIRECTORIES = [0x1_0004_3000, 0x1_0004_4000]
const PASID_TABLES = [0x1_0004_5000, 0x1_0004_6000]
/** Any of these serves as a table of any level, of either stage. */
const FIRST_TABLES = Array.from({ length: 5 }, (_, i) => 0x1_0001_0000 + i * 4096)
const SECOND_TABLES = Array.from({ length: 5 }, (_, i) => 0x1_0002_0000 + i * 4096)
const QUEUE = 0x1_0003_0000
const STATUS = 0x1_0003_1000
const SIDS = [0x0000, 0x0011, 0x0091, 0x0112]
const PASIDS = [0, 1, 0x47]
/** Index 4 of a level-3 table is where the tables themselves lie. */
const INDICES = [0, 0, 1, 4, 511]

const NESTED = { SMTS: 1, FSTS: 1, SSTS: 1, NEST: 1, PASID: 1, PSS: 19, SMPWCS: 1, RPS: 1 }
const CAPABILITY_SETS: readonly Readonly<Record<string, number>>[] = [
  { ...NESTED, SSADS: 1, FS1GP: 1, ERS: 1, SRS: 1, RPRIVS: 1, EAFS: 1 },
  { ...NESTED, SSADS: 1, FS5LP: 1, FS1GP: 1, SAGAW: 0b1110, MGAW: 56, SRS: 1, RPRIVS: 1 },
  { ...NESTED, SMPWCS: 0, SSLPS: 1 },
  { SMTS: 1, FSTS: 1, PASID: 1, PSS: 19, SMPWCS: 1, PT: 1 },
  { SMTS: 1, SSTS: 1, SSADS: 1, SMPWCS: 1, PT: 1, PASID: 1, PSS: 19, ND: 3, SC: 0 },
]

const ALL = 2n ** 64n - 1n

export class ScalableWorld {
  readonly random: Random
  readonly t: TestUnit
  readonly model: ScalableUnit
  /** What software stored at each address since the last invalidation of everything, the present value included. */
  readonly #history = new Map<bigint, bigint[]>()
  readonly #domains = new Map<string, number>()
  readonly #c: Readonly<Record<string, number>>
  /** Before, software makes no mistakes but in paging entries. */
  #settled = false

  constructor(seed: number, more: Readonly<Record<string, number>> = {}) {
    this.random = new Random(seed)
    const capabilities = { ...this.pick(CAPABILITY_SETS), ...more }
    const hostAddressWidth = this.pick([39, 46, 48, 52])
    const caches = {
      contextSets: 1,
      contextWays: 2,
      pasidSets: 1,
      pasidWays: 2,
      iotlbSets: this.pick([1, 4, 64]),
      iotlbWays: this.pick([1, 4]),
      pagingSets: this.pick([
        [0, 0, 0, 0],
        [1, 1, 1, 1],
        [16, 4, 4, 4],
      ]),
      pagingWays: this.pick([1, 4]),
      replacement: this.pick(['fifo', 'lru', 'random'] as const),
    }
    this.t = new TestUnit({ capabilities, hostAddressWidth, caches })
    this.#c = this.t.unit.capabilities
    this.model = { root: BigInt(ROOT), hostAddressWidth: BigInt(hostAddressWidth), c: this.#c }
    this.t.engine.trace.enabled = false
    const { t } = this
    t.write64(0x90, BigInt(QUEUE) + 0x800n)
    t.command(26)
    t.write64(0x20, ROOT + 0x400)
    t.command(30)
    t.command(31)
    for (const half of [0, 8, 16, 24]) this.#store(ROOT + half, BigInt(CONTEXTS[half >> 4]! + 1))
    for (const table of CONTEXTS) {
      for (const sid of SIDS) this.#context(table + (sid & 0x7f) * 32)
    }
    for (const table of DIRECTORIES) for (const offset of [0, 8]) this.#directory(table + offset)
    for (const table of PASID_TABLES) {
      for (const pasid of PASIDS) this.#pasidEntry(table + (pasid & 63) * 64)
    }
    for (let i = 0; i < 160; i++) this.mutatePaging()
    this.#settled = true
    this.invalidateEverything()
  }

  pick<T>(items: readonly T[]): T {
    return items[this.random.integer(0, items.length - 1)]!
  }

  chance(percent: number): boolean {
    return this.random.integer(1, 100) <= percent
  }

  #flag(percent: number, bit: number): bigint {
    return this.chance(percent) ? 1n << BigInt(bit) : 0n
  }

  /** A bit that makes an entry wrong. */
  #mistake(percent: number, bit: number): bigint {
    return this.#settled ? this.#flag(percent, bit) : 0n
  }

  /** Whether software does the right thing, as nearly always. */
  #right(percent: number): boolean {
    return !this.#settled || this.chance(percent)
  }

  #store(address: number, value: bigint): void {
    this.t.store(address, value)
    const known = this.#history.get(BigInt(address))
    if (known === undefined) this.#history.set(BigInt(address), [0n, value])
    else known.push(value)
  }

  /** Software changes one entry somewhere. */
  mutate(): void {
    const kind = this.random.integer(0, 19)
    if (kind === 0) this.#root()
    else if (kind <= 2) this.#context()
    else if (kind === 3) this.#directory()
    else if (kind <= 6) this.#pasidEntry()
    else this.mutatePaging()
  }

  #root(): void {
    const wrong = this.#flag(5, this.random.integer(1, 11)) | this.#flag(3, this.random.integer(52, 63))
    const target = BigInt(this.chance(95) ? this.pick(CONTEXTS) : 0x9000_0000)
    this.#store(ROOT + this.pick([0, 8, 16, 24]), (target + (this.chance(94) ? 1n : 0n)) | wrong)
  }

  #context(at = this.pick(CONTEXTS) + (this.pick(SIDS) & 0x7f) * 32): void {
    const c = this.#c
    const target = BigInt(this.#right(97) ? this.pick(DIRECTORIES) : 0x9000_0000)
    const wrong = this.#mistake(3, this.random.integer(5, 8)) | this.#mistake(2, this.random.integer(52, 63))
    const low = target + (this.#right(95) ? 1n : 0n) + this.#flag(10, 1)
    this.#store(at, low | (c.PASID ? this.#flag(90, 3) : this.#mistake(3, 3)) | wrong)
    const ridPasid = BigInt(this.#right(96) ? (c.RPS ? this.pick(PASIDS) : 0) : 0x2000)
    const privileged = c.RPRIVS && c.SRS ? this.#flag(20, 20) : this.#mistake(2, 20)
    this.#store(at + 8, ridPasid | privileged | this.#mistake(2, 30))
    this.#store(at + 16, this.#mistake(2, this.random.integer(0, 63)))
  }

  #directory(at = this.pick(DIRECTORIES) + this.pick([0, 8])): void {
    const target = BigInt(this.#right(97) ? this.pick(PASID_TABLES) : 0x9000_0000)
    const wrong = this.#mistake(4, this.random.integer(2, 11))
    this.#store(at, (target + (this.#right(95) ? 1n : 0n) + this.#flag(5, 1)) | wrong)
  }

  /** One domain-id for one set of tables and rules: sharing it would mix their translations. */
  #domainOf(key: string): bigint {
    const found = this.#domains.get(key) ?? this.#domains.size + 1
    this.#domains.set(key, found)
    return BigInt(found)
  }

  #pasidEntry(at = this.pick(PASID_TABLES) + (this.pick(PASIDS) & 63) * 64): void {
    const c = this.#c
    const types = [c.FSTS ? 1 : 0, c.SSTS ? 2 : 0, c.NEST ? 3 : 0, c.NEST ? 3 : 0, c.PT ? 4 : 0].filter(
      t => t,
    )
    const type = BigInt(this.#right(95) ? this.pick(types) : this.random.integer(0, 7))
    const second = type === 2n || type === 3n
    const first = type === 1n || type === 3n
    const widths = [1n, 2n, 3n].filter(aw => (BigInt(c.SAGAW!) >> aw) & 1n)
    const aw = second ? (this.#right(96) ? this.pick(widths) : this.pick([0n, 3n, 4n])) : 0n
    const low =
      (second ? BigInt(this.pick(SECOND_TABLES)) | (c.SSADS ? this.#flag(60, 9) : this.#mistake(2, 9)) : 0n) |
      (aw << 2n) |
      (type << 6n)
    const high = first
      ? BigInt(this.#right(98) ? this.pick(FIRST_TABLES) : 0x9000_0000) |
        (c.SRS ? this.#flag(90, 0) : 0n) |
        (c.ERS ? this.#flag(90, 1) : 0n) |
        (this.#right(96) ? (c.FS5LP ? this.#flag(50, 2) : 0n) : this.#flag(100, this.pick([2, 3]))) |
        this.#flag(50, 4) |
        this.#flag(60, 5) |
        this.#flag(30, 6) |
        (c.EAFS ? this.#flag(40, 7) : 0n)
      : 0n
    const middle = c.SMPWCS ? this.#flag(85, 23) : this.#mistake(2, 23)
    const domain = this.#domainOf(`${low} ${middle} ${high}`)
    const wrong = this.#mistake(3, this.pick([10, 11]))
    this.#store(at, low | (this.#right(95) ? 1n : 0n) | this.#flag(5, 1) | wrong)
    this.#store(at + 8, middle | domain | this.#mistake(2, this.random.integer(16, 22)))
    this.#store(at + 16, high | this.#mistake(first ? 2 : 0, this.random.integer(8, 11)))
    this.#store(at + 24 + 8 * this.random.integer(0, 4), this.#mistake(2, this.random.integer(0, 63)))
  }

  /** Software changes one entry of a paging structure. */
  mutatePaging(stage = this.pick(['first', 'second'] as const)): void {
    if (stage === 'second') this.#secondStageEntry()
    else this.#firstStageEntry()
  }

  #noise(): bigint {
    // Bits 19:12 would make one of the structures above a paging structure, and hardware write into it.
    const bit = this.chance(50) ? this.random.integer(2, 11) : this.random.integer(20, 63)
    return this.chance(3) ? 1n << BigInt(bit) : 0n
  }

  #target(tables: readonly number[]): bigint {
    const kind = this.random.integer(0, 99)
    if (kind < 85) return BigInt(this.pick(tables))
    return BigInt(this.pick([0xfee0_1000, 0x9000_0000, 0x4000, 0x7000, 0x20_0000]))
  }

  #secondStageEntry(): void {
    const index = this.pick(INDICES)
    const at = this.pick(SECOND_TABLES) + index * 8
    const rights = BigInt(this.chance(85) ? 3 : this.pick([0, 1, 2]))
    // Where guest-physical addresses of tables go: most often one large page onto themselves.
    const identity = index === 4 && this.chance(80) ? 0x1_0000_0080n : undefined
    const large = this.chance(12) ? (BigInt(this.random.integer(0, 12)) << 30n) | 0x80n : undefined
    const target = identity ?? large ?? this.#target(SECOND_TABLES)
    this.#store(at, (target | rights | this.#flag(20, 8) | this.#flag(10, 9)) ^ this.#noise())
  }

  #firstStageEntry(): void {
    const at = this.pick(FIRST_TABLES) + this.pick(INDICES) * 8
    const large = this.chance(12) ? (BigInt(this.random.integer(0, 12)) << 30n) | 0x80n : undefined
    const rights =
      this.#flag(93, 0) | this.#flag(85, 1) | this.#flag(85, 2) | this.#flag(25, 5) | this.#flag(10, 6)
    const target = large ?? this.#target(FIRST_TABLES)
    this.#store(at, (target | rights | this.#flag(8, 63)) ^ this.#noise())
  }

  request(): ScalableRequest {
    let page = 0n
    for (let level = 0; level < 5; level++)
      page = page * 512n + BigInt(level === 0 ? this.pick([0, 0, 0, 0, 0, 0, 1, 511]) : this.pick(INDICES))
    // Sign-extended as 48-bit addresses more often than not.
    let address = (page << 12n) % 2n ** 57n
    if (this.chance(60)) address = (address % 2n ** 48n) | ((address >> 47n) & 1n ? ALL << 48n : 0n)
    if (this.chance(2)) address = BigInt(this.pick([0xfee0_0000, 2 ** 50, 2 ** 56]))
    const offset = BigInt(this.random.integer(0, 1023) * 4)
    const write = this.chance(50)
    return {
      sourceId: BigInt(this.pick(SIDS)),
      address: (address & ALL & ~0xfffn) + offset,
      write,
      pasid: this.chance(50) ? undefined : BigInt(this.chance(97) ? this.pick(PASIDS) : 0x2001),
      privileged: this.chance(20),
      execute: this.#c.ERS === 1 && !write && this.chance(20),
    }
  }

  /** What the unit does, in the model's terms. */
  ask(asked: ScalableRequest): { address?: bigint; reason?: number; suppressed?: boolean } {
    const { t } = this
    const { request } = t
    const withPasid = asked.pasid !== undefined
    request.begin()
    request.requesterId = Number(asked.sourceId)
    request.page = Number(asked.address >> 12n)
    request.offset = Number(asked.address & 0xfffn)
    request.write = asked.write
    request.length = 4
    request.pasid = withPasid ? Number(asked.pasid) : -1
    request.privileged = withPasid && (asked.privileged ?? false)
    request.execute = withPasid && (asked.execute ?? false)
    t.clearFaults()
    if (t.unit.translate(request)) {
      return { address: BigInt(request.physicalPage) * 4096n + (asked.address & 0xfffn) }
    }
    return { reason: request.faultReason, suppressed: (t.read32(0x34) & 2) === 0 }
  }

  /** Every present value, and what software had stored since everything was invalidated. */
  versions: Versions = address => {
    if (this.t.memory.page(Number(address >> 12n)) === undefined) return undefined
    const now = this.t.load(Number(address))
    const known = this.#history.get(address)
    return known === undefined ? [now] : [...new Set([now, ...known])]
  }

  present: Versions = address =>
    this.t.memory.page(Number(address >> 12n)) === undefined ? undefined : [this.t.load(Number(address))]

  /** Entries that software ever stored, and their values now. */
  entries(): Map<bigint, bigint> {
    const found = new Map<bigint, bigint>()
    for (const address of this.#history.keys()) found.set(address, this.t.load(Number(address)))
    return found
  }

  /** 256-bit descriptors, then a wait; checks that the queue took them. */
  submit(...descriptors: readonly (readonly [low: bigint, high: bigint])[]): void {
    const { t } = this
    let tail = Number(t.read64(0x88))
    const wait = [0x1_0000_0025n, BigInt(STATUS)] as const
    t.store(STATUS, 0)
    for (const [low, high] of [...descriptors, wait]) {
      for (let i = 0; i < 4; i++) t.store(QUEUE + tail + i * 8, [low, high, 0n, 0n][i]!)
      tail = (tail + 32) % 4096
    }
    t.write64(0x88, tail)
    if (t.load(STATUS) !== 1n) throw new Error(`the queue stopped: FSTS ${t.read32(0x34).toString(16)}`)
  }

  invalidateEverything(): void {
    this.submit([0x11n, 0n], [0x37n, 0n], [0x12n, 0n])
    this.forgetHistory()
  }

  /** Domain-id, PASID and type of translation that a request has by the tables as they are; undefined if it gets none. */
  identify({
    sourceId,
    pasid,
  }: ScalableRequest): { domain: bigint; pasid: bigint; type: bigint } | undefined {
    const { t } = this
    const load = (address: bigint): bigint => t.load(Number(address))
    const half = BigInt(ROOT) + (sourceId >> 8n) * 16n + ((sourceId & 0x80n) >> 4n)
    const context = (load(half) & ~0xfffn) + (sourceId & 127n) * 32n
    if (!CONTEXTS.includes(Number(context & ~0xfffn))) return undefined
    const effective = pasid ?? load(context + 8n) & 0xf_ffffn
    const directory = load(context) & ~0xfffn
    if (!DIRECTORIES.includes(Number(directory))) return undefined
    const table = load(directory + (effective >> 6n) * 8n) & ~0xfffn
    if (!PASID_TABLES.includes(Number(table))) return undefined
    const entry = table + (effective & 63n) * 64n
    return { domain: load(entry + 8n) & 0xffffn, pasid: effective, type: (load(entry) >> 6n) & 7n }
  }

  /** Invalidates what is cached of a request's translation, in one of the ways that cover it. */
  invalidateFor(request: ScalableRequest, secondStageChanged: boolean): void {
    const known = this.identify(request)
    if (known === undefined) {
      this.submit([0x12n, 0n])
      return
    }
    const { domain, pasid, type } = known
    const mask = BigInt(this.random.integer(0, 9))
    const page = (request.address & ~0xfffn) | mask
    const ofDomain = domain << 16n
    const global = [0x12n, 0n] as const
    const wholeDomain = [0x22n | ofDomain, 0n] as const
    const pages = [0x32n | ofDomain, page] as const
    const ofPasid = ofDomain | (pasid << 32n)
    const wholePasid = [0x26n | ofPasid, 0n] as const
    const pasidPages = [0x36n | ofPasid, page] as const
    if (type === 2n) this.submit(this.pick([global, wholeDomain, pages]))
    else if (type === 3n && secondStageChanged) this.submit(this.pick([global, wholeDomain]))
    else this.submit(this.pick([global, wholeDomain, pages, wholePasid, pasidPages]))
  }

  forgetHistory(): void {
    for (const [address, known] of this.#history) known.splice(0, known.length, this.t.load(Number(address)))
  }
}
