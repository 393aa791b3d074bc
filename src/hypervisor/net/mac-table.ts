/**
 * "Filtering Database" (IEEE 802.1Q): which port an address of a VLAN was last seen behind. Four entries to a set, as in
 * switch silicon: a fifth address of a set takes the place of the one unheard longest, and that is flooded again.
 */

const WAYS = 4
const SETS = 1024
const ENTRIES = SETS * WAYS
const NONE = -1

/** An entry by name. */
export interface LearnedAddress {
  /** The address as `net/formats/mac-address.ts` has it. */
  readonly low: number
  readonly high: number
  readonly vlan: number
  readonly port: number
  /** When it was last heard, nanoseconds. */
  readonly heard: number
}

export type SavedMacTable = {
  readonly ageing: number
  /** Five numbers each: place, low, high and VLAN, port, when it was heard. */
  readonly entries: Float64Array
}

export class MacTable {
  /** Nanoseconds after which an address that is not heard is forgotten ("Ageing Time": 300 s unless set). */
  ageing: number
  readonly #low = new Uint32Array(ENTRIES)
  /** Bytes 4 and 5 of the address in bits 15:0, the VLAN above. */
  readonly #high = new Uint32Array(ENTRIES)
  readonly #port = new Int16Array(ENTRIES).fill(NONE)
  readonly #heard = new Float64Array(ENTRIES)

  constructor(ageing: number) {
    this.ageing = ageing
  }

  /** Notes that an address was heard behind a port. Returns the port it was behind before; -1 if it was not known. */
  learn(low: number, high: number, vlan: number, port: number, now: number): number {
    const key = ((vlan << 16) | high) >>> 0
    const at = this.#find(low, key, now)
    const entry = at === NONE ? this.#victim(low, key, now) : at
    const before = at === NONE ? NONE : this.#port[at]!
    this.#low[entry] = low
    this.#high[entry] = key
    this.#port[entry] = port
    this.#heard[entry] = now
    return before
  }

  /** The port of an address; -1 if none is known. */
  lookUp(low: number, high: number, vlan: number, now: number): number {
    const at = this.#find(low, ((vlan << 16) | high) >>> 0, now)
    return at === NONE ? NONE : this.#port[at]!
  }

  #find(low: number, key: number, now: number): number {
    const first = setOf(low, key)
    for (let at = first; at < first + WAYS; at++) {
      if (this.#port[at] !== NONE && this.#low[at] === low && this.#high[at] === key) {
        return now - this.#heard[at]! <= this.ageing ? at : NONE
      }
    }
    return NONE
  }

  /** Where a new entry goes: its own stale place, a free one, or that of the entry unheard longest. */
  #victim(low: number, key: number, now: number): number {
    const first = setOf(low, key)
    let oldest = first
    for (let at = first; at < first + WAYS; at++) {
      if (this.#port[at] !== NONE && this.#low[at] === low && this.#high[at] === key) return at
      if (this.#port[oldest] === NONE) continue
      if (this.#port[at] === NONE || this.#heard[at]! < this.#heard[oldest]!) oldest = at
    }
    if (now - this.#heard[oldest]! > this.ageing) this.#port[oldest] = NONE
    return oldest
  }

  /** Forgets everything behind a port. */
  forget(port: number): void {
    for (let at = 0; at < ENTRIES; at++) if (this.#port[at] === port) this.#port[at] = NONE
  }

  /** What is known, by VLAN and address. */
  entries(now: number): LearnedAddress[] {
    const found: LearnedAddress[] = []
    for (let at = 0; at < ENTRIES; at++) {
      const heard = this.#heard[at]!
      if (this.#port[at] === NONE || now - heard > this.ageing) continue
      const key = this.#high[at]!
      const high = key & 0xffff
      found.push({ low: this.#low[at]!, high, vlan: key >>> 16, port: this.#port[at]!, heard })
    }
    return found.sort((a, b) => a.vlan - b.vlan || a.high - b.high || a.low - b.low)
  }

  save(): SavedMacTable {
    const used: number[] = []
    for (let at = 0; at < ENTRIES; at++) {
      if (this.#port[at] === NONE) continue
      used.push(at, this.#low[at]!, this.#high[at]!, this.#port[at]!, this.#heard[at]!)
    }
    return { ageing: this.ageing, entries: Float64Array.from(used) }
  }

  load({ ageing, entries }: SavedMacTable): void {
    this.ageing = ageing
    this.#port.fill(NONE)
    for (let i = 0; i < entries.length; i += 5) {
      const at = entries[i]!
      this.#low[at] = entries[i + 1]!
      this.#high[at] = entries[i + 2]!
      this.#port[at] = entries[i + 3]!
      this.#heard[at] = entries[i + 4]!
    }
  }
}

/** First entry of the set of a key. */
function setOf(low: number, key: number): number {
  const mixed = Math.imul(low ^ Math.imul(key, 0x9e37_79b1), 0x85eb_ca6b)
  return ((mixed >>> 16) % SETS) * WAYS
}
