/** "EPT Translation Mechanism" for two levels, slowly and in whole 64-bit values; nothing of it is shared with src. */

/** An aligned 64-bit word of the memory that tables lie in. */
export type ReadQword = (address: bigint) => bigint

export type Walk =
  | { readonly kind: 'mapped'; readonly address: bigint; readonly rights: bigint; readonly type: bigint }
  /** `rights`: of the entries on the way, 0 where one was not present. */
  | { readonly kind: 'violation'; readonly rights: bigint }
  | { readonly kind: 'misconfiguration' }

const MAXIMUM_WIDTH = 46n
const bits = (value: bigint, high: bigint, low: bigint): bigint =>
  (value >> low) & ((1n << (high - low + 1n)) - 1n)

/** "EPT Misconfigurations": execute-only is supported, mode-based execute control is not. */
function misconfigured(entry: bigint, level: number): boolean {
  const [read, write] = [bits(entry, 0n, 0n), bits(entry, 1n, 1n)]
  if (read === 0n && write === 1n) return true
  if (bits(entry, 51n, MAXIMUM_WIDTH) !== 0n) return true
  if (level === 4) return bits(entry, 7n, 3n) !== 0n
  const leaf = level === 1 || bits(entry, 7n, 7n) === 1n
  if (!leaf) return bits(entry, 6n, 3n) !== 0n
  if ([2n, 3n, 7n].includes(bits(entry, 5n, 3n))) return true
  return level > 1 && bits(entry, level === 2 ? 20n : 29n, 12n) !== 0n
}

/** @param wanted bits 2:0: the access; 0 asks only what is there. */
export function walk(read: ReadQword, root: bigint, address: bigint, wanted: bigint): Walk {
  if (address >> 48n !== 0n) return { kind: 'violation', rights: 0n }
  let table = root
  let rights = 7n
  for (let level = 4; ; level--) {
    const shift = BigInt(12 + 9 * (level - 1))
    const entry = read(table + bits(address, shift + 8n, shift) * 8n)
    if (bits(entry, 2n, 0n) === 0n) return { kind: 'violation', rights: 0n }
    if (misconfigured(entry, level)) return { kind: 'misconfiguration' }
    rights &= bits(entry, 2n, 0n)
    const frame = entry & 0x000f_ffff_ffff_f000n
    if (level > 1 && (level === 4 || bits(entry, 7n, 7n) === 0n)) {
      table = frame
      continue
    }
    if ((rights & wanted) !== wanted) return { kind: 'violation', rights }
    return {
      kind: 'mapped',
      address: frame + bits(address, shift - 1n, 0n),
      rights,
      type: bits(entry, 5n, 3n),
    }
  }
}

export interface Leaf {
  readonly address: bigint
  readonly size: bigint
  readonly frame: bigint
  readonly rights: bigint
  readonly type: bigint
}

/** Every page that tables map. */
export function leaves(read: ReadQword, root: bigint): Leaf[] {
  const found: Leaf[] = []
  const visit = (table: bigint, level: number, base: bigint, above: bigint): void => {
    const size = 1n << BigInt(12 + 9 * (level - 1))
    for (let i = 0n; i < 512n; i++) {
      const entry = read(table + i * 8n)
      const rights = above & bits(entry, 2n, 0n)
      if (bits(entry, 2n, 0n) === 0n) continue
      const frame = entry & 0x000f_ffff_ffff_f000n
      const address = base + i * size
      if (level > 1 && bits(entry, 7n, 7n) === 0n) visit(frame, level - 1, address, rights)
      else found.push({ address, size, frame, rights, type: bits(entry, 5n, 3n) })
    }
  }
  visit(root, 4, 0n, 7n)
  return found
}
