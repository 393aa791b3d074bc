/**
 * Freed addresses kept for the processor that freed them, in magazines: two for each processor, full ones in a depot
 * that processors share. Only what these have not comes from the tree.
 */
import type { AddressTree } from './address-tree.ts'

/** Where an address came from or went to. */
export type Source = 'magazine' | 'depot' | 'tree'

class Magazine {
  readonly pages: number[] = []
}

class Rounds {
  loaded = new Magazine()
  previous = new Magazine()

  exchange(): void {
    const { loaded } = this
    this.loaded = this.previous
    this.previous = loaded
  }
}

export class AddressCache {
  readonly #tree: AddressTree
  readonly #magazineSize: number
  readonly #depotSize: number
  /** By size of the ranges, then by processor. */
  readonly #rounds = new Map<number, Rounds[]>()
  readonly #depots = new Map<number, Magazine[]>()
  /** Of the last operation. */
  source: Source = 'magazine'

  constructor(tree: AddressTree, magazineSize: number, depotSize: number) {
    this.#tree = tree
    this.#magazineSize = magazineSize
    this.#depotSize = depotSize
  }

  /** First page of a range, or -1. */
  allocate(processor: number, pages: number): number {
    const rounds = this.#roundsOf(processor, pages)
    this.source = 'magazine'
    if (rounds.loaded.pages.length === 0 && rounds.previous.pages.length > 0) rounds.exchange()
    if (rounds.loaded.pages.length === 0) {
      const full = this.#depotOf(pages).pop()
      if (full === undefined) {
        this.source = 'tree'
        return this.#tree.allocate(pages)
      }
      this.source = 'depot'
      rounds.loaded = full
    }
    return rounds.loaded.pages.pop()!
  }

  free(processor: number, page: number, pages: number): void {
    const rounds = this.#roundsOf(processor, pages)
    this.source = 'magazine'
    if (rounds.loaded.pages.length === this.#magazineSize) {
      if (rounds.previous.pages.length < this.#magazineSize) rounds.exchange()
      else this.#putAway(rounds, pages)
    }
    rounds.loaded.pages.push(page)
  }

  /** Both magazines are full: one goes to the depot, or if that is full too, its addresses to the tree. */
  #putAway(rounds: Rounds, pages: number): void {
    const depot = this.#depotOf(pages)
    this.source = 'depot'
    if (depot.length < this.#depotSize) depot.push(rounds.loaded)
    else {
      this.source = 'tree'
      let visits = 0
      for (const page of rounds.loaded.pages) {
        this.#tree.free(page)
        visits += this.#tree.visits
      }
      this.#tree.visits = visits
    }
    rounds.loaded = new Magazine()
  }

  #roundsOf(processor: number, pages: number): Rounds {
    let all = this.#rounds.get(pages)
    if (all === undefined) this.#rounds.set(pages, (all = []))
    return (all[processor] ??= new Rounds())
  }

  #depotOf(pages: number): Magazine[] {
    let depot = this.#depots.get(pages)
    if (depot === undefined) this.#depots.set(pages, (depot = []))
    return depot
  }
}
