/**
 * One bus: the root bus of a host bridge, or the secondary side of a bridge. It knows which functions sit on it, and
 * which of them claims a memory address, from a sorted map that is remade after decoding changed.
 */
import { assert } from '../core/index.ts'
import type { BusKind, BusNode, FunctionNode, HostNode } from './parts.ts'

/** Addresses above are wider than any physical address and match nothing. */
const ADDRESS_LIMIT = 2 ** 52

interface Claim<Member> {
  base: number
  readonly end: number
  readonly owner: Member
  readonly part: number
}

export class Bus<Member extends FunctionNode> implements BusNode {
  readonly kind: BusKind
  readonly host: HostNode
  readonly bridge: Member | undefined
  /** In ascending order of device and function number, virtual functions not among them. */
  readonly functions: Member[] = []
  readonly #byDevfn: (Member | undefined)[] = []
  /** Functions with a bus behind them. */
  readonly bridges: Member[] = []
  #stale = true
  #bases = new Float64Array(0)
  #ends = new Float64Array(0)
  #owners: Member[] = []
  #parts: number[] = []

  constructor(kind: BusKind, host: HostNode, bridge?: Member) {
    this.kind = kind
    this.host = host
    this.bridge = bridge
  }

  /** Bus number as software has programmed it (strapped, for a root bus). */
  get number(): number {
    return this.bridge === undefined ? this.host.bus : this.bridge.secondaryBus
  }

  add(fn: Member): void {
    assert(this.#byDevfn[fn.devfn] === undefined, 'one function per device and function number')
    this.#byDevfn[fn.devfn] = fn
    this.functions.push(fn)
    this.functions.sort((a, b) => a.devfn - b.devfn)
    if (fn.secondary !== undefined) this.bridges.push(fn)
    this.#stale = true
  }

  at(devfn: number): Member | undefined {
    return this.#byDevfn[devfn]
  }

  decodingChanged(): void {
    this.#stale = true
  }

  claim(address: number): number {
    if (this.#stale) this.#remake()
    const bases = this.#bases
    let low = 0
    let high = bases.length - 1
    while (low <= high) {
      const middle = (low + high) >>> 1
      if (address < bases[middle]!) high = middle - 1
      else if (address >= this.#ends[middle]!) low = middle + 1
      else return middle
    }
    return -1
  }

  claimOwner(claim: number): Member {
    return this.#owners[claim]!
  }

  claimPart(claim: number): number {
    return this.#parts[claim]!
  }

  claimBase(claim: number): number {
    return this.#bases[claim]!
  }

  /**
   * Software should never let two ranges overlap. Where it does, the one that begins lower answers (of two equal ones
   * the lower function), which keeps the map free of choice.
   */
  #remake(): void {
    const claims: Claim<Member>[] = []
    for (const owner of this.functions) {
      owner.claims((base, end, part) => {
        if (end > base && end <= ADDRESS_LIMIT) claims.push({ base, end, owner, part })
      })
    }
    claims.sort((a, b) => a.base - b.base)
    const kept: Claim<Member>[] = []
    let covered = 0
    for (const claim of claims) {
      if (claim.base >= covered) kept.push(claim)
      covered = Math.max(covered, claim.end)
    }
    this.#bases = Float64Array.from(kept, claim => claim.base)
    this.#ends = Float64Array.from(kept, claim => claim.end)
    this.#owners = kept.map(claim => claim.owner)
    this.#parts = kept.map(claim => claim.part)
    this.#stale = false
  }
}
