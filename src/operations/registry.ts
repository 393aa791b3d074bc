/** Named things that a user made: topologies and platforms, kept in memory, in the order of their names. */
import { type ErrorCode, NorthbridgeError } from '../core/index.ts'

export class Registry<Item> {
  readonly #what: string
  readonly #plural: string
  readonly #limit: () => number
  readonly #items = new Map<string, Item | undefined>()
  /** Names whose items exist but cannot be had, and why. */
  readonly #refused = new Map<string, string>()

  /** `what` and `plural` name the items in messages; at most `limit()` are kept. */
  constructor(what: string, plural: string, limit: () => number) {
    this.#what = what
    this.#plural = plural
    this.#limit = limit
  }

  has(name: string): boolean {
    return this.#items.has(name)
  }

  /** Throws `notFound`, `worldUnavailable`. */
  get(name: string): Item {
    const item = this.#items.get(name)
    const reason = this.#refused.get(name)
    if (reason !== undefined) {
      throw this.#error('worldUnavailable', `The ${this.#what} "${name}" cannot go on: ${reason}`)
    }
    if (item === undefined) throw this.#error('notFound', `There is no ${this.#what} "${name}"`)
    return item
  }

  /** Undefined if there is none, it is still being made, or it cannot be had. */
  find(name: string): Item | undefined {
    return this.#items.get(name)
  }

  /** Names and items by ascending name. What is only reserved is not listed. */
  entries(): readonly (readonly [name: string, item: Item])[] {
    const present = [...this.#items].filter((entry): entry is [string, Item] => entry[1] !== undefined)
    return present.sort(([a], [b]) => (a < b ? -1 : 1))
  }

  /** Items in no certain order. What is only reserved is left out. */
  *values(): Generator<Item> {
    for (const item of this.#items.values()) if (item !== undefined) yield item
  }

  /** Takes a name while its item is being made. Throws `nameTaken`, `limitExceeded`. */
  reserve(name: string): void {
    if (this.#items.has(name)) throw this.#error('nameTaken', `A ${this.#what} "${name}" already exists`)
    const limit = this.#limit()
    if (this.#items.size >= limit) {
      throw this.#error('limitExceeded', `This server keeps at most ${limit} ${this.#plural}`)
    }
    this.#items.set(name, undefined)
  }

  /** Sets the item of a reserved or refused name, or replaces it. */
  set(name: string, item: Item): void {
    if (!this.#items.has(name)) this.reserve(name)
    this.#refused.delete(name)
    this.#items.set(name, item)
  }

  /** Keeps a name whose item exists somewhere but cannot be had. */
  refuse(name: string, reason: string): void {
    this.#items.set(name, undefined)
    this.#refused.set(name, reason)
  }

  /** Frees a name. Throws `notFound`. */
  delete(name: string): void {
    if (!this.#refused.delete(name)) this.get(name)
    this.#items.delete(name)
  }

  /** Frees a name whose item could not be made. */
  release(name: string): void {
    this.#items.delete(name)
  }

  #error(code: ErrorCode, message: string): NorthbridgeError {
    return new NorthbridgeError(code, message)
  }
}
