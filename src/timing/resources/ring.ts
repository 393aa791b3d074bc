/** A queue of small numbers that grows when it must and allocates at no other time. */
export class Ring {
  #slots = new Int32Array(16)
  #first = 0
  length = 0

  push(value: number): void {
    if (this.length === this.#slots.length) this.#grow()
    this.#slots[(this.#first + this.length++) & (this.#slots.length - 1)] = value
  }

  /** The oldest, left where it is; there must be one. */
  get first(): number {
    return this.#slots[this.#first]!
  }

  /** The oldest; there must be one. */
  shift(): number {
    const value = this.#slots[this.#first]!
    this.#first = (this.#first + 1) & (this.#slots.length - 1)
    this.length--
    return value
  }

  #grow(): void {
    const longer = new Int32Array(this.#slots.length * 2)
    for (let i = 0; i < this.length; i++)
      longer[i] = this.#slots[(this.#first + i) & (this.#slots.length - 1)]!
    this.#slots = longer
    this.#first = 0
  }
}
