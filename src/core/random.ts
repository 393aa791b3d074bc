/** Seeded random numbers: the only source of chance below the faces. pure-rand: kept, pure, its state can be saved. */
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus, xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus'

export class Random {
  #generator

  constructor(seed: number) {
    this.#generator = xoroshiro128plus(seed)
  }

  /** A whole number, `low` to `high` inclusive. */
  integer(low: number, high: number): number {
    return uniformInt(this.#generator, low, high)
  }

  save(): readonly number[] {
    return [...this.#generator.getState()]
  }

  load(state: readonly number[]): void {
    this.#generator = xoroshiro128plusFromState(state)
  }
}
