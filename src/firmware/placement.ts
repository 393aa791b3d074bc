/**
 * Placing blocks in a range of addresses: those with a fixed address stay there, the others go into the first gap
 * that holds them, largest alignment first.
 */

export interface Range {
  /** First and last byte. */
  readonly base: number
  readonly limit: number
}

export interface Block {
  /** Bytes. */
  readonly size: number
  /** A power of two. */
  readonly alignment: number
  /** The address it must have. */
  readonly fixed?: number | undefined
}

const alignUp = (value: number, alignment: number): number => Math.ceil(value / alignment) * alignment
const alignDown = (value: number, alignment: number): number => Math.floor(value / alignment) * alignment

/** The blocks whose fixed address lies outside every range, is not aligned, or meets an earlier block's. */
export function misplaced<B extends Block>(blocks: readonly B[], ranges: readonly Range[]): B[] {
  const accepted: B[] = []
  return blocks.filter(block => {
    const { fixed, size } = block
    if (fixed === undefined) return false
    const fits =
      fixed % block.alignment === 0 &&
      ranges.some(({ base, limit }) => fixed >= base && fixed + size - 1 <= limit) &&
      accepted.every(other => fixed + size <= other.fixed! || fixed >= other.fixed! + other.size)
    if (fits) accepted.push(block)
    return !fits
  })
}

/**
 * Addresses for all blocks, in their order; undefined for a block that finds no room. Fixed blocks must have been
 * checked by {@link misplaced}.
 */
export function place(blocks: readonly Block[], { base, limit }: Range): (number | undefined)[] {
  const addresses: (number | undefined)[] = blocks.map(({ fixed }) => fixed)
  const taken = blocks.flatMap(({ fixed, size }) =>
    fixed === undefined ? [] : [{ base: fixed, end: fixed + size }],
  )
  taken.sort((a, b) => a.base - b.base)
  const order = [...blocks.keys()].filter(i => blocks[i]!.fixed === undefined)
  order.sort(
    (a, b) => blocks[b]!.alignment - blocks[a]!.alignment || blocks[b]!.size - blocks[a]!.size || a - b,
  )
  let address = 0
  let slot = 0
  for (const [turn, i] of order.entries()) {
    const { size, alignment } = blocks[i]!
    const before = blocks[order[turn - 1] ?? -1]
    // What had no room for a block like this one has none now: alike blocks go on where the last one was put.
    if (before?.size !== size || before.alignment !== alignment) {
      address = alignUp(base, alignment)
      slot = 0
    }
    for (; slot < taken.length && taken[slot]!.base < address + size; slot++) {
      address = Math.max(address, alignUp(taken[slot]!.end, alignment))
    }
    if (address + size - 1 > limit) continue
    addresses[i] = address
    taken.splice(slot, 0, { base: address, end: address + size })
  }
  return addresses
}

/** The smallest window of a granularity that covers these blocks where they are. */
export function hull(
  blocks: readonly Block[],
  addresses: readonly (number | undefined)[],
  granularity: number,
): Range {
  let base = Number.POSITIVE_INFINITY
  let end = 0
  for (const [i, { size }] of blocks.entries()) {
    const address = addresses[i]
    if (address === undefined) continue
    base = Math.min(base, address)
    end = Math.max(end, address + size)
  }
  return { base: alignDown(base, granularity), limit: alignUp(end, granularity) - 1 }
}
