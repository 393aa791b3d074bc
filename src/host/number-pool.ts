/** Numbers handed out lowest first, and taken back: ids of groups and domains. */
import { assert } from '../core/index.ts'

export class NumberPool {
  readonly #used = new Set<number>()
  readonly #first: number
  /** No number from the pool's first up to here is free. */
  #lowest: number
  readonly #end: number

  /** @param end first number beyond the pool. */
  constructor(first: number, end: number = Number.POSITIVE_INFINITY) {
    this.#first = first
    this.#lowest = first
    this.#end = end
  }

  /** Undefined if every number is in use. */
  take(): number | undefined {
    while (this.#used.has(this.#lowest)) this.#lowest++
    if (this.#lowest >= this.#end) return undefined
    this.#used.add(this.#lowest)
    return this.#lowest++
  }

  release(number: number): void {
    assert(this.#used.delete(number), 'only a number that was taken is given back')
    this.#lowest = Math.min(this.#lowest, number)
  }

  get used(): number {
    return this.#used.size
  }

  save(): readonly number[] {
    return [...this.#used].sort((a, b) => a - b)
  }

  load(used: readonly number[]): void {
    this.#used.clear()
    for (const number of used) this.#used.add(number)
    this.#lowest = this.#first
  }
}
