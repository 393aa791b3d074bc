/**
 * A second, independent statement of scalable-mode translation: bigint, no caches, written from the rules and not from
 * the unit. Where the rules leave a choice (which of two conditions is reported; which version of a changed entry a
 * cache still holds) it asks `choose`, and `outcomes` follows every branch.
 */

/** Versions of an aligned quadword of host memory that may be seen, one of them the present one; undefined: no memory. */
export type Versions = (address: bigint) => readonly bigint[] | undefined
/** Picks one of `count` ways to go on. */
export type Choose = (count: number) => number

export interface ScalableUnit {
  readonly root: bigint
  readonly hostAddressWidth: bigint
  /** CAP and ECAP fields by name. */
  readonly c: Readonly<Record<string, number>>
}

export interface ScalableRequest {
  readonly sourceId: bigint
  readonly address: bigint
  readonly write: boolean
  /** undefined: without PASID. */
  readonly pasid?: bigint | undefined
  readonly privileged?: boolean
  readonly execute?: boolean
}

/** A host address, or a reason code and whether FPD keeps it from being recorded; `updates`: bits set in entries. */
export interface ScalableAnswer {
  readonly address?: bigint
  readonly reason?: number
  readonly suppressed?: boolean
  readonly updates: ReadonlyMap<bigint, bigint>
}

const bits = (value: bigint, high: bigint, low: bigint): bigint =>
  (value >> low) & ((1n << (high - low + 1n)) - 1n)
const bit = (value: bigint, n: bigint): boolean => bits(value, n, n) === 1n
const isInterruptRange = (value: bigint): boolean => value >= 0xfee0_0000n && value <= 0xfeef_ffffn

class Fault extends Error {
  readonly reason: number
  constructor(reason: number) {
    super(reason.toString(16))
    this.reason = reason
  }
}

/** More branches than this are not followed. */
const MOST_BRANCHES = 4000

/** What `run` returns on every way through the choices it makes; undefined if there are too many. */
export function explore<T>(run: (choose: Choose) => T): readonly T[] | undefined {
  const found: T[] = []
  const path: { taken: number; of: number }[] = []
  while (found.length < MOST_BRANCHES) {
    let depth = 0
    found.push(
      run(count => {
        if (count <= 1) return 0
        if (depth === path.length) path.push({ taken: 0, of: count })
        return path[depth++]!.taken
      }),
    )
    while (path.length > 0 && path.at(-1)!.taken + 1 === path.at(-1)!.of) path.pop()
    if (path.length === 0) return found
    path.at(-1)!.taken++
  }
  return undefined
}

/** Every answer that the rules allow; undefined if there are too many ways to come by one. */
export const outcomes = (
  unit: ScalableUnit,
  request: ScalableRequest,
  versions: Versions,
): readonly ScalableAnswer[] | undefined =>
  explore(choose => new Walk(unit, request, versions, choose).answer())

/** What a PASID-table entry says, as the walk needs it. */
interface Entry {
  readonly secondRoot: bigint
  readonly secondLevels: bigint
  readonly secondAccessedDirty: boolean
  readonly firstRoot: bigint
  readonly firstLevels: bigint
  readonly snooped: boolean
  readonly writeProtect: boolean
  readonly noExecute: boolean
  readonly supervisorNoUserExecute: boolean
  readonly extendedAccessed: boolean
}

class Walk {
  readonly #unit: ScalableUnit
  readonly #request: ScalableRequest
  readonly #versions: Versions
  readonly #choose: Choose
  readonly #updates = new Map<bigint, bigint>()
  #disabled = false

  constructor(unit: ScalableUnit, request: ScalableRequest, versions: Versions, choose: Choose) {
    this.#unit = unit
    this.#request = request
    this.#versions = versions
    this.#choose = choose
  }

  answer(): ScalableAnswer {
    const { address, pasid } = this.#request
    if (pasid === undefined && isInterruptRange(address)) {
      return { reason: 0x29, suppressed: false, updates: new Map() }
    }
    try {
      return { address: this.#translate(), updates: this.#updates }
    } catch (fault) {
      if (!(fault instanceof Fault)) throw fault
      const unqualified = [0x38, 0x39, 0x3a, 0x40, 0x50, 0x58]
      const suppressed = this.#disabled && !unqualified.includes(fault.reason)
      return { reason: fault.reason, suppressed, updates: new Map() }
    }
  }

  #fail(reason: number): never {
    throw new Fault(reason)
  }

  /** One of two or more reports of the same trouble. */
  #failOneOf(...reasons: readonly number[]): never {
    throw new Fault(reasons[this.#choose(reasons.length)]!)
  }

  #read(address: bigint, reason: number): bigint {
    const all = this.#beyondHost(address) ? undefined : this.#versions(address)
    if (all === undefined) this.#fail(reason)
    return all[this.#choose(all.length)]!
  }

  #beyondHost(value: bigint): boolean {
    return bits(value, 63n, this.#unit.hostAddressWidth) !== 0n
  }

  #translate(): bigint {
    const { c } = this.#unit
    const { sourceId, address, pasid } = this.#request
    const devfn = sourceId & 0xffn
    const half = this.#unit.root + (sourceId >> 8n) * 16n + (devfn >= 128n ? 8n : 0n)
    const root = this.#read(half, 0x38)
    if (!bit(root, 0n)) this.#fail(0x39)
    if (bits(root, 11n, 1n) !== 0n || this.#beyondHost(root)) this.#fail(0x3a)

    const at = (root & ~0xfffn) + (devfn & 127n) * 32n
    const [low, high, third, fourth] = [0n, 8n, 16n, 24n].map(i => this.#read(at + i, 0x40)) as [
      bigint,
      bigint,
      bigint,
      bigint,
    ]
    this.#disabled = bit(low, 1n)
    if (!bit(low, 0n)) this.#fail(0x41)
    const ridPasid = bits(high, 19n, 0n)
    const reserved =
      bits(low, 8n, 5n) !== 0n ||
      this.#beyondHost(low) ||
      (bit(low, 2n) && !c.DT) ||
      (bit(low, 3n) && !c.PASID) ||
      (bit(low, 4n) && !c.PRS) ||
      (ridPasid !== 0n && !c.RPS) ||
      (bit(high, 20n) && !c.RPRIVS) ||
      bits(high, 63n, 21n) !== 0n ||
      (third | fourth) !== 0n
    if (reserved) this.#fail(0x42)
    const limit = 1n << (bits(low, 11n, 9n) + 13n)
    if (ridPasid >= limit && (pasid === undefined || this.#choose(2) === 0)) this.#failOneOf(0x43, 0x48)
    if (pasid !== undefined && !bit(low, 3n)) this.#fail(0x45)
    if (pasid !== undefined && pasid >= limit) this.#fail(0x46)
    const effective = pasid ?? ridPasid
    const privileged = pasid === undefined ? bit(high, 20n) : (this.#request.privileged ?? false)

    const directory = this.#read(this.#directoryOf(half, low) + (effective >> 6n) * 8n, 0x50)
    this.#disabled ||= bit(directory, 1n)
    if (!bit(directory, 0n)) this.#fail(0x51)
    if (bits(directory, 11n, 2n) !== 0n || this.#beyondHost(directory)) this.#fail(0x52)
    const entryAt = (directory & ~0xfffn) + (effective & 63n) * 64n
    const q = [0n, 8n, 16n, 24n, 32n, 40n, 48n, 56n].map(i => this.#read(entryAt + i, 0x58))
    this.#disabled ||= bit(q[0]!, 1n)
    if (!bit(q[0]!, 0n)) this.#fail(0x59)
    if (this.#entryReserved(q)) this.#fail(0x5a)
    const type = bits(q[0]!, 8n, 6n)
    const entry = this.#entry(q, type)
    const execute = pasid !== undefined && (this.#request.execute ?? false)
    if (execute && !bit(q[2]!, 1n)) this.#fail(0x5c)
    if (privileged && !bit(q[2]!, 0n)) this.#fail(0x5d)

    let host: bigint
    if (type === 4n) {
      if (this.#beyondHost(address)) this.#fail(0x83)
      host = address
    } else if (type === 2n) {
      host = this.#second(entry, address, this.#request.write ? 'write' : 'read')
    } else {
      host = this.#first(entry, type === 3n, privileged, execute)
    }
    if (isInterruptRange(host)) this.#fail(0x87)
    return host
  }

  /**
   * Where the PASID directory is. A cached PASID-table entry may have been found by another version of root or context
   * entry than those that judge the request.
   */
  #directoryOf(half: bigint, context: bigint): bigint {
    const root = this.#read(half, 0x38)
    const at = (root & ~0xfffn) + (this.#request.sourceId & 127n) * 32n
    const low = this.#versions(at) === undefined ? context : this.#read(at, 0x40)
    return (bit(root, 0n) && bit(low, 0n) ? low : context) & ~0xfffn
  }

  #entryReserved(q: readonly bigint[]): boolean {
    const { c } = this.#unit
    const [a, b, d] = q as [bigint, bigint, bigint]
    const passThrough = bits(a, 8n, 6n) === 4n
    return (
      bit(a, 5n) ||
      bits(a, 11n, 10n) !== 0n ||
      (!c.SSTS && (bits(a, 4n, 2n) | bits(a, 9n, 9n) | bits(a, 63n, 12n)) !== 0n) ||
      (bit(a, 9n) && !c.SSADS && !passThrough) ||
      (this.#beyondHost(a) && !passThrough) ||
      bits(b, 22n, 16n) !== 0n ||
      bits(b, 15n, 0n) >> BigInt(4 + 2 * (c.ND ?? 0)) !== 0n ||
      (bit(b, 23n) && !c.SMPWCS) ||
      (bit(b, 24n) && !c.SC) ||
      (!c.MTS && (bits(b, 31n, 25n) | bits(b, 63n, 32n)) !== 0n) ||
      (!c.FSTS && d !== 0n) ||
      bits(d, 11n, 8n) !== 0n ||
      q.slice(3).some(value => value !== 0n)
    )
  }

  #entry(q: readonly bigint[], type: bigint): Entry {
    const { c } = this.#unit
    const [a, b, d] = q as [bigint, bigint, bigint]
    const supported = [0, c.FSTS, c.SSTS, c.NEST, c.PT, 0, 0, 0][Number(type)]
    if (!supported) this.#fail(0x5b)
    const aw = bits(a, 4n, 2n)
    const flpm = bits(d, 3n, 2n)
    const usesSecond = type === 2n || type === 3n
    const usesFirst = type === 1n || type === 3n
    if (usesSecond && (aw < 1n || aw > 3n || !bit(BigInt(c.SAGAW!), aw))) this.#fail(0x5b)
    if (usesFirst && (flpm > 1n || (flpm === 1n && !c.FS5LP))) this.#fail(0x5b)
    return {
      secondRoot: a & ~0xfffn,
      secondLevels: aw + 2n,
      secondAccessedDirty: bit(a, 9n),
      firstRoot: d & ~0xfffn,
      firstLevels: flpm + 4n,
      snooped: bit(b, 23n) && c.SMPWCS === 1,
      writeProtect: bit(d, 4n),
      noExecute: bit(d, 5n),
      supervisorNoUserExecute: bit(d, 6n),
      extendedAccessed: bit(d, 7n),
    }
  }

  /** Bits to be set in an entry: nothing if they are all there already. */
  #update(address: bigint, value: bigint, wanted: bigint, entry: Entry, reason: number): void {
    if ((value & wanted) === wanted) return
    if (!entry.snooped) this.#fail(reason)
    this.#updates.set(address, (this.#updates.get(address) ?? value) | wanted)
  }

  /** "Second-Stage Translation". `denied` replaces 79h, 85h and 86h for accesses to first-stage tables. */
  #second(
    entry: Entry,
    address: bigint,
    access: 'read' | 'write' | 'update',
    denied?: number,
    beyond: readonly number[] = [0x84],
  ): bigint {
    const { c, hostAddressWidth } = this.#unit
    const own = 12n + 9n * entry.secondLevels
    const width = own < BigInt(c.MGAW! + 1) ? own : BigInt(c.MGAW! + 1)
    if (address >> width !== 0n) this.#failOneOf(...beyond)
    const wants = access === 'read' ? 1n : access === 'write' ? 2n : 3n
    const lacking = (): never =>
      denied === undefined ? this.#fail(access === 'write' ? 0x85 : 0x86) : this.#fail(denied)
    const used: { at: bigint; value: bigint; leaf: boolean }[] = []
    let rights = 3n
    let table = entry.secondRoot
    for (let level = entry.secondLevels; ; level--) {
      const span = 12n + 9n * (level - 1n)
      const at = table + bits(address, span + 8n, span) * 8n
      const value = this.#read(at, level === entry.secondLevels ? 0x7b : 0x78)
      rights &= value
      if (rights === 0n) {
        if (denied === undefined) this.#fail(0x79)
        this.#failOneOf(denied, 0x79)
      }
      // Whether a missing right is noticed here or at the end of the walk is not laid down.
      const lacks = (rights & wants) !== wants
      if (lacks && this.#choose(2) === 0) lacking()
      const leaf = level === 1n || (level <= 3n && bit(value, 7n))
      const supported = level === 1n || level > 3n || bit(BigInt(c.SSLPS!), level - 2n)
      const reserved =
        bits(value, 51n, hostAddressWidth) !== 0n ||
        bit(value, 62n) ||
        (bit(value, 11n) && !(leaf && c.SC)) ||
        (level > 3n && bit(value, 7n)) ||
        (leaf && (!supported || (span > 12n && bits(value, span - 1n, 12n) !== 0n)))
      if (reserved) this.#fail(0x7a)
      used.push({ at, value, leaf })
      if (!leaf) {
        table = bits(value, 51n, 12n) << 12n
        continue
      }
      if (lacks) lacking()
      if (entry.secondAccessedDirty) {
        for (const { at: place, value: old, leaf: isLeaf } of used) {
          this.#update(place, old, isLeaf && access !== 'read' ? 0x300n : 0x100n, entry, 0x7c)
        }
      }
      return (bits(value, 51n, span) << span) + bits(address, span - 1n, 0n)
    }
  }

  /** "First-Stage Translation", and "Nested Translation" if its addresses are guest-physical. */
  #first(entry: Entry, nested: boolean, privileged: boolean, execute: boolean): bigint {
    const { c, hostAddressWidth } = this.#unit
    const { address, write } = this.#request
    const top = 11n + 9n * entry.firstLevels
    const sign = bits(address, 63n, top)
    if (sign !== 0n && sign !== (1n << (64n - top)) - 1n) this.#fail(0x80)
    const used: { at: bigint; guestAt: bigint; value: bigint; leaf: boolean; level: bigint }[] = []
    let table = entry.firstRoot
    let user = true
    let writable = true
    let disabled = false
    for (let level = entry.firstLevels; ; level--) {
      const span = 12n + 9n * (level - 1n)
      const guestAt = table + bits(address, span + 8n, span) * 8n
      const isTop = level === entry.firstLevels
      const at = nested ? this.#second(entry, guestAt, 'read', isTop ? 0x75 : 0x76, [0x74]) : guestAt
      if (isInterruptRange(at) && this.#choose(2) === 0) this.#fail(0x87)
      const value = this.#read(at, isTop ? 0x73 : 0x70)
      if (!bit(value, 0n)) this.#fail(0x71)
      const leaf = level === 1n || (level <= 3n && bit(value, 7n))
      const reserved =
        (hostAddressWidth < 52n && bits(value, 51n, hostAddressWidth) !== 0n) ||
        (level > 3n && bit(value, 7n)) ||
        (level === 3n && leaf && !c.FS1GP) ||
        (leaf && level > 1n && bits(value, span - 1n, 13n) !== 0n) ||
        (bit(value, 63n) && !entry.noExecute)
      if (reserved) this.#fail(0x72)
      user &&= bit(value, 2n)
      writable &&= bit(value, 1n)
      disabled ||= bit(value, 63n)
      // As for the second stage: rights may be judged entry by entry or at the end.
      const trouble: number[] = []
      if (!privileged && !user) trouble.push(0x81)
      if (execute && (disabled || (leaf && privileged && user && entry.supervisorNoUserExecute))) {
        trouble.push(0x82)
      }
      if (write && !writable && (!privileged || entry.writeProtect)) trouble.push(0x85)
      if (trouble.length > 0 && (leaf || this.#choose(2) === 0)) this.#failOneOf(...trouble)
      used.push({ at, guestAt, value, leaf, level })
      if (!leaf) {
        table = bits(value, 51n, 12n) << 12n
        continue
      }
      const guest = (bits(value, 51n, span) << span) + bits(address, span - 1n, 0n)
      // The leaf's address is translated before or after the accessed bits are seen to: both reports are good.
      const host = (): bigint =>
        nested ? this.#second(entry, guest, write ? 'write' : 'read', undefined, [0x84, 0x74]) : guest
      const early = nested && this.#choose(2) === 0 ? host() : undefined
      for (const each of used) this.#mark(entry, nested, each, write)
      return early ?? host()
    }
  }

  #mark(
    entry: Entry,
    nested: boolean,
    { at, guestAt, value, leaf }: { at: bigint; guestAt: bigint; value: bigint; leaf: boolean },
    write: boolean,
  ): void {
    const wanted = 0x20n | (leaf && write ? 0x40n : 0n) | (entry.extendedAccessed ? 0x400n : 0n)
    if ((value & wanted) === wanted) return
    // That the walk is not snooped may be noticed before or after what the second stage says to the update.
    if (!entry.snooped && this.#choose(2) === 0) this.#fail(0x90)
    if (nested) this.#second(entry, guestAt, 'update', 0x77)
    this.#update(at, value, wanted, entry, 0x90)
  }
}
