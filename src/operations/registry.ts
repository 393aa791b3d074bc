/** Named things that a user made: topologies and platforms, kept in memory, in the order of their names. */
import { type ErrorCode, NorthbridgeError } from '../core/index.ts'

export class Registry<Item> {
  readonly #what: string
  readonly #plural: string
  readonly #limit: number
  readonly #items = new Map<string, Item | undefined>()

  /** `what` and `plural` name the items in messages; at most `limit` are kept. */
  constructor(what: string, plural: string, limit: number) {
    this.#what = what
    this.#plural = plural
    this.#limit = limit
  }

  has(name: string): boolean {
    return this.#items.has(name)
  }

  /** Throws `notFound`. */
  get(name: string): Item {
    const item = this.#items.get(name)
    if (item === undefined) throw this.#error('notFound', `There is no ${this.#what} "${name}"`)
    return item
  }

  /** Names and items by ascending name. What is only reserved is not listed. */
  entries(): readonly (readonly [name: string, item: Item])[] {
    const present = [...this.#items].filter((entry): entry is [string, Item] => entry[1] !== undefined)
    return present.sort(([a], [b]) => (a < b ? -1 : 1))
  }

  /** Takes a name while its item is being made. Throws `nameTaken`, `limitExceeded`. */
  reserve(name: string): void {
    if (this.#items.has(name)) throw this.#error('nameTaken', `A ${this.#what} "${name}" already exists`)
    if (this.#items.size >= this.#limit) {
      throw this.#error('limitExceeded', `This server keeps at most ${this.#limit} ${this.#plural}`)
    }
    this.#items.set(name, undefined)
  }

  /** Sets the item of a reserved name, or replaces it. */
  set(name: string, item: Item): void {
    if (!this.#items.has(name)) this.reserve(name)
    this.#items.set(name, item)
  }

  /** Frees a name. Throws `notFound`. */
  delete(name: string): void {
    this.get(name)
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
