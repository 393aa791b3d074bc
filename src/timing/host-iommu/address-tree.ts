/**
 * I/O virtual addresses from a tree of used ranges, as older kernels hand them out: from the top of the space downwards,
 * going on below where the last one was found, past every range that is in the way. It counts the nodes it visits.
 */
import { assert } from '../../core/index.ts'

const NONE = -1
const FIRST_CAPACITY = 64
const GOLDEN = 0x9e37_79b1

export class AddressTree {
  /** Nodes visited by the last operation. */
  visits = 0
  used = 0
  readonly #limit: number
  // Nodes, by number: first page and pages; neighbours by address; children in a tree that chance balances (treap).
  #first = new Float64Array(FIRST_CAPACITY)
  #pages = new Float64Array(FIRST_CAPACITY)
  #below = new Int32Array(FIRST_CAPACITY)
  #above = new Int32Array(FIRST_CAPACITY)
  #left = new Int32Array(FIRST_CAPACITY)
  #right = new Int32Array(FIRST_CAPACITY)
  #root = NONE
  #highest = NONE
  /** Where the next search begins: everything from here up was full when it was looked at. */
  #searched = NONE
  #unused = NONE
  #made = 0

  /** @param limit pages of the space. */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** First page of the highest free range below the last one found that has so many pages, aligned to that power of two. -1: none. */
  allocate(pages: number): number {
    this.visits = 0
    const page = this.#search(this.#searched, pages)
    return page >= 0 || this.#searched === NONE ? page : this.#search(NONE, pages)
  }

  /** @param from the lowest node that is known to have nothing free above it; NONE: begin at the top. */
  #search(from: number, pages: number): number {
    let above = from
    let ceiling = from === NONE ? this.#limit : this.#first[from]!
    for (;;) {
      const below = above === NONE ? this.#highest : this.#below[above]!
      this.visits++
      const page = Math.floor((ceiling - pages) / pages) * pages
      const floor = below === NONE ? 0 : this.#first[below]! + this.#pages[below]!
      if (page >= floor) return this.#insert(page, pages, below, above)
      if (below === NONE) return -1
      above = below
      ceiling = this.#first[below]!
    }
  }

  #insert(page: number, pages: number, below: number, above: number): number {
    const node = this.#take()
    this.#first[node] = page
    this.#pages[node] = pages
    this.#below[node] = below
    this.#above[node] = above
    if (below !== NONE) this.#above[below] = node
    if (above === NONE) this.#highest = node
    else this.#below[above] = node
    this.#left[node] = NONE
    this.#right[node] = NONE
    this.#root = this.#join(this.#root, node)
    this.#searched = node
    this.used++
    return page
  }

  /** Gives back the range that begins at a page. Returns its pages. */
  free(page: number): number {
    this.visits = 0
    const node = this.#find(page)
    const below = this.#below[node]!
    const above = this.#above[node]!
    if (below !== NONE) this.#above[below] = above
    if (above === NONE) this.#highest = below
    else this.#below[above] = below
    // There is room above the place where the search would begin: it begins there.
    if (this.#searched !== NONE && page >= this.#first[this.#searched]!) this.#searched = above
    this.#root = this.#without(this.#root, page)
    this.#left[node] = this.#unused
    this.#unused = node
    this.used--
    return this.#pages[node]!
  }

  #find(page: number): number {
    let node = this.#root
    while (node !== NONE && this.#first[node] !== page) {
      this.visits++
      node = page < this.#first[node]! ? this.#left[node]! : this.#right[node]!
    }
    this.visits++
    assert(node !== NONE, 'what is given back was handed out')
    return node
  }

  #take(): number {
    const node = this.#unused
    if (node !== NONE) {
      this.#unused = this.#left[node]!
      return node
    }
    if (this.#made === this.#first.length) this.#grow()
    return this.#made++
  }

  /** Heap order of the tree: a number by chance that is a node's own. */
  #rank(node: number): number {
    return Math.imul(node + 1, GOLDEN) >>> 0
  }

  #join(root: number, node: number): number {
    if (root === NONE) return node
    this.visits++
    const page = this.#first[node]!
    if (this.#rank(node) > this.#rank(root)) {
      this.#split(root, page)
      this.#left[node] = this.#lower
      this.#right[node] = this.#upper
      return node
    }
    if (page < this.#first[root]!) this.#left[root] = this.#join(this.#left[root]!, node)
    else this.#right[root] = this.#join(this.#right[root]!, node)
    return root
  }

  // The halves of the last split.
  #lower = NONE
  #upper = NONE

  #split(root: number, page: number): void {
    if (root === NONE) {
      this.#lower = NONE
      this.#upper = NONE
    } else if (this.#first[root]! < page) {
      this.#split(this.#right[root]!, page)
      this.#right[root] = this.#lower
      this.#lower = root
    } else {
      this.#split(this.#left[root]!, page)
      this.#left[root] = this.#upper
      this.#upper = root
    }
  }

  #without(root: number, page: number): number {
    if (this.#first[root] === page) return this.#merge(this.#left[root]!, this.#right[root]!)
    if (page < this.#first[root]!) this.#left[root] = this.#without(this.#left[root]!, page)
    else this.#right[root] = this.#without(this.#right[root]!, page)
    return root
  }

  #merge(lower: number, upper: number): number {
    if (lower === NONE) return upper
    if (upper === NONE) return lower
    if (this.#rank(lower) > this.#rank(upper)) {
      this.#right[lower] = this.#merge(this.#right[lower]!, upper)
      return lower
    }
    this.#left[upper] = this.#merge(lower, this.#left[upper]!)
    return upper
  }

  #grow(): void {
    const capacity = this.#first.length * 2
    const longer = <Numbers extends Float64Array | Int32Array>(old: Numbers, made: Numbers): Numbers => {
      made.set(old)
      return made
    }
    this.#first = longer(this.#first, new Float64Array(capacity))
    this.#pages = longer(this.#pages, new Float64Array(capacity))
    this.#below = longer(this.#below, new Int32Array(capacity))
    this.#above = longer(this.#above, new Int32Array(capacity))
    this.#left = longer(this.#left, new Int32Array(capacity))
    this.#right = longer(this.#right, new Int32Array(capacity))
  }
}
