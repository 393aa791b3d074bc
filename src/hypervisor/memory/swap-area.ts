/**
 * Where contents of a guest's memory wait that have no host page: a file of one virtual machine on a disk outside the
 * modelled machine, large enough for all of its memory that is not reserved.
 */
import { assert, opened, PAGE_SIZE, type Saved } from '../../core/index.ts'

type SavedArea = {
  readonly version: 1
  readonly capacity: number
  readonly next: number
  readonly places: readonly (readonly [place: number, bytes: Uint8Array])[]
}

export class SwapArea {
  /** Pages that fit. */
  readonly capacity: number
  /** By place. */
  readonly #places = new Map<number, Uint8Array>()
  #next = 0

  constructor(capacity: number, saved?: Saved) {
    this.capacity = capacity
    if (saved === undefined) return
    const { next, places } = opened<SavedArea>(saved, 'a swap area', 1)
    this.#next = next
    for (const [place, bytes] of places) this.#places.set(place, bytes.slice())
  }

  /** Pages in it. */
  get used(): number {
    return this.#places.size
  }

  get full(): boolean {
    return this.#places.size >= this.capacity
  }

  /** Keeps a page; returns its place. */
  put(page: Uint8Array): number {
    assert(!this.full && page.length === PAGE_SIZE, 'a swap area takes whole pages while there is room')
    const place = this.#next++
    this.#places.set(place, page.slice())
    return place
  }

  /** Gives a page back; its place is free then. */
  take(place: number): Uint8Array {
    const bytes = this.peek(place)
    this.#places.delete(place)
    return bytes
  }

  peek(place: number): Uint8Array {
    const bytes = this.#places.get(place)
    assert(bytes !== undefined, 'a swapped page has its place')
    return bytes
  }

  save(): SavedArea {
    return {
      version: 1,
      capacity: this.capacity,
      next: this.#next,
      places: [...this.#places].sort(([a], [b]) => a - b).map(([place, bytes]) => [place, bytes.slice()]),
    }
  }
}
