/** What the guest kernel hands out to devices: addresses in a device window, and interrupt vectors. */
import type { Saved } from '../core/index.ts'

/** Size-aligned, lowest first. Sizes are powers of two. */
export class AddressWindow {
  readonly #base: number
  readonly #end: number
  /** Ascending. */
  #used: { readonly base: number; readonly size: number }[] = []

  constructor({ base, size }: { readonly base: number; readonly size: number }) {
    this.#base = base
    this.#end = base + size
  }

  /** undefined if no place is left. */
  allocate(size: number): number | undefined {
    let base = align(this.#base, size)
    let at = 0
    for (const used of this.#used) {
      if (base + size <= used.base) break
      base = Math.max(base, align(used.base + used.size, size))
      at++
    }
    if (base + size > this.#end) return undefined
    this.#used.splice(at, 0, { base, size })
    return base
  }

  free(base: number): void {
    this.#used = this.#used.filter(used => used.base !== base)
  }

  save(): Saved {
    return this.#used.map(({ base, size }) => [base, size])
  }

  load(saved: Saved): void {
    this.#used = (saved as readonly (readonly [number, number])[]).map(([base, size]) => ({ base, size }))
  }
}

const align = (value: number, size: number): number => Math.ceil(value / size) * size

export class VectorSpace {
  readonly #first: number
  readonly #used: Uint8Array

  /** @param first and last vector that may be given out. */
  constructor(first: number, last: number) {
    this.#first = first
    this.#used = new Uint8Array(last - first + 1)
  }

  /** The lowest run of `count` free vectors that starts at a multiple of `alignment`; -1 if there is none. */
  allocate(count: number, alignment = 1): number {
    for (let vector = align(this.#first, alignment); this.#fits(vector, count); vector += alignment) {
      if (this.#isFree(vector, count)) {
        this.#used.fill(1, vector - this.#first, vector - this.#first + count)
        return vector
      }
    }
    return -1
  }

  free(vector: number, count: number): void {
    this.#used.fill(0, vector - this.#first, vector - this.#first + count)
  }

  #fits(vector: number, count: number): boolean {
    return vector - this.#first + count <= this.#used.length
  }

  #isFree(vector: number, count: number): boolean {
    return this.#used.subarray(vector - this.#first, vector - this.#first + count).every(used => used === 0)
  }

  save(): Saved {
    return this.#used.slice()
  }

  load(saved: Saved): void {
    this.#used.set(saved as Uint8Array)
  }
}
