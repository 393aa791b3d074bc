/** Which function of a bus claims which addresses of one address space: a sorted map, remade after decoding changed. */
import { PAGE_SIZE } from '../core/index.ts'
import type { ClaimReceiver, FunctionNode } from './parts.ts'
import type { MemoryRequest } from './request.ts'

/** Addresses above are wider than any physical address and match nothing. */
const ADDRESS_LIMIT = 2 ** 52

interface Claim<Member> {
  readonly base: number
  readonly end: number
  readonly owner: Member
  readonly part: number
}

export class AddressDecoder<Member extends FunctionNode> {
  readonly #functions: readonly Member[]
  readonly #claimsOf: (fn: Member, receive: ClaimReceiver) => void
  #stale = true
  #bases = new Float64Array(0)
  #ends = new Float64Array(0)
  #owners: Member[] = []
  #parts: number[] = []
  /** Nothing is claimed below, or from there on: most requests are for memory, and end the search here. */
  #lowest = ADDRESS_LIMIT
  #highest = 0

  /** @param functions those of the bus, in ascending order. @param claimsOf tells what one of them decodes. */
  constructor(functions: readonly Member[], claimsOf: (fn: Member, receive: ClaimReceiver) => void) {
    this.#functions = functions
    this.#claimsOf = claimsOf
  }

  changed(): void {
    this.#stale = true
  }

  /** Index of the claim on an address, -1 if nobody claims it. Valid until decoding changes. */
  claim(address: number): number {
    return this.claimAt(Math.floor(address / PAGE_SIZE), address % PAGE_SIZE)
  }

  claimOfRequest(request: MemoryRequest): number {
    return this.claimAt(request.page, request.offset)
  }

  /** The same in two parts: a number as wide as an address would be boxed on its way through a call. */
  claimAt(page: number, offset: number): number {
    if (this.#stale) this.#remake()
    const address = page * PAGE_SIZE + offset
    if (address < this.#lowest || address >= this.#highest) return -1
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

  /** How far into a claim an address lies: it fits a small integer where neither the base nor the address does. */
  claimOffset(claim: number, page: number, offset: number): number {
    return page * PAGE_SIZE + offset - this.#bases[claim]!
  }

  /** Every claim, ascending. */
  forEach(receive: (base: number, end: number, claim: number) => void): void {
    if (this.#stale) this.#remake()
    for (let claim = 0; claim < this.#bases.length; claim++) {
      receive(this.#bases[claim]!, this.#ends[claim]!, claim)
    }
  }

  /**
   * Software should never let two ranges overlap. Where it does, the one that begins lower answers (of two equal ones
   * the lower function), which keeps the map free of choice.
   */
  #remake(): void {
    const claims: Claim<Member>[] = []
    for (const owner of this.#functions) {
      this.#claimsOf(owner, (base, end, part) => {
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
    this.#lowest = kept[0]?.base ?? ADDRESS_LIMIT
    this.#highest = kept.at(-1)?.end ?? 0
    this.#stale = false
  }
}
