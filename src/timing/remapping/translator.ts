/**
 * The translations of one function for one purpose. Nearly all of them go to the large page that the last one went to,
 * and hit the same entry of the IOTLB. A hit changes nothing in the unit, whose replacement is first in, first out; so as
 * long as nothing else has changed either, the unit need not be asked to know that it hits once more.
 */
import type { PageNumber, RequesterId } from '../../core/index.ts'
import type { Remapping } from './remapping.ts'

export class Translator {
  readonly #remapping: Remapping
  readonly #requester: RequesterId
  readonly #write: boolean
  readonly #leaves
  /** Pages that the entry used last translates, as of {@link Remapping.changes}. */
  #first = 0
  #end = 0
  #asOf = -1

  constructor(remapping: Remapping, requester: RequesterId, write: boolean) {
    this.#remapping = remapping
    this.#requester = requester
    this.#write = write
    this.#leaves = remapping.leavesOf(requester)
  }

  /** Translates a request that comes at a time. Returns the table reads that it takes; 0 for a hit of the IOTLB. */
  translate(page: PageNumber, came: number): number {
    const remapping = this.#remapping
    if (page >= this.#first && page < this.#end && remapping.changes === this.#asOf) return 0
    const reads = remapping.translate(this.#requester, page, this.#write, came)
    const { leaf } = this.#leaves
    if (leaf !== undefined) {
      this.#first = page - (page % leaf)
      this.#end = this.#first + leaf
      this.#asOf = remapping.changes
    }
    return reads
  }
}
