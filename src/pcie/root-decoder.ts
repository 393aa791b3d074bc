/** Which host bridge an address belongs to: the claims on all root buses in one sorted map. */
import { PAGE_SIZE } from '../core/index.ts'

/** A root bus as far as address spaces are concerned. */
interface RootBus {
  readonly memory: ClaimList
  readonly io: ClaimList
}

interface ClaimList {
  forEach(receive: (base: number, end: number, claim: number) => void): void
}

export class RootDecoder<Root extends RootBus> {
  readonly #buses: readonly Root[]
  readonly #space: 'memory' | 'io'
  #stale = true
  #bases = new Float64Array(0)
  #ends = new Float64Array(0)
  #owners: Root[] = []

  constructor(buses: readonly Root[], space: 'memory' | 'io') {
    this.#buses = buses
    this.#space = space
  }

  changed(): void {
    this.#stale = true
  }

  /** The root bus on which a function claims an address; of two, the one whose claim begins lower. */
  busAt(page: number, offset: number): Root | undefined {
    if (this.#stale) this.#remake()
    const address = page * PAGE_SIZE + offset
    const bases = this.#bases
    let low = 0
    let high = bases.length - 1
    while (low <= high) {
      const middle = (low + high) >>> 1
      if (address < bases[middle]!) high = middle - 1
      else if (address >= this.#ends[middle]!) low = middle + 1
      else return this.#owners[middle]
    }
    return undefined
  }

  #remake(): void {
    const claims: { base: number; end: number; bus: Root }[] = []
    for (const bus of this.#buses) {
      bus[this.#space].forEach((base, end) => {
        claims.push({ base, end, bus })
      })
    }
    claims.sort((a, b) => a.base - b.base)
    const kept: typeof claims = []
    let covered = 0
    for (const claim of claims) {
      if (claim.base >= covered) kept.push(claim)
      covered = Math.max(covered, claim.end)
    }
    this.#bases = Float64Array.from(kept, ({ base }) => base)
    this.#ends = Float64Array.from(kept, ({ end }) => end)
    this.#owners = kept.map(({ bus }) => bus)
    this.#stale = false
  }
}
