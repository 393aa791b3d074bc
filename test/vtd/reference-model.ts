/**
 * A second, independent statement of legacy-mode translation: bigint, no caches, written from the rules and not from
 * the unit. Slow and plain.
 */

/** Reads an aligned quadword of host memory; undefined where there is none. */
export type ReadQuadword = (address: bigint) => bigint | undefined

export interface ModelUnit {
  readonly root: bigint
  readonly hostAddressWidth: bigint
  readonly guestAddressWidth: bigint
  /** Bits of a domain-id. */
  readonly domainBits: bigint
  /** Supported AW encodings. */
  readonly widths: readonly bigint[]
  readonly passThrough: boolean
  readonly snoopControl: boolean
  readonly pages2M: boolean
  readonly pages1G: boolean
}

export interface ModelRequest {
  readonly sourceId: bigint
  readonly address: bigint
  readonly write: boolean
}

/** A host address, or a reason code, and whether FPD keeps it from being recorded. */
export type ModelAnswer =
  | { readonly address: bigint }
  | { readonly reason: number; readonly suppressed: boolean }

const bits = (value: bigint, high: bigint, low: bigint): bigint =>
  (value >> low) & ((1n << (high - low + 1n)) - 1n)

/**
 * @param structures where root and context entries are read from
 * @param paging where second-stage entries are read from (the same memory, or an older state of it)
 */
export function translate(
  unit: ModelUnit,
  request: ModelRequest,
  structures: ReadQuadword,
  paging: ReadQuadword = structures,
): ModelAnswer {
  const { sourceId, address, write } = request
  const beyondHost = (value: bigint): boolean => bits(value, 63n, unit.hostAddressWidth) !== 0n
  const isInterruptRange = (value: bigint): boolean => value >= 0xfee0_0000n && value <= 0xfeef_ffffn
  const plain = (reason: number): ModelAnswer => ({ reason, suppressed: false })
  if (isInterruptRange(address)) return plain(0x29)

  const rootAddress = unit.root + (sourceId >> 8n) * 16n
  const [rootLow, rootHigh] = [structures(rootAddress), structures(rootAddress + 8n)]
  if (rootLow === undefined || rootHigh === undefined) return plain(0x08)
  if (bits(rootLow, 0n, 0n) === 0n) return plain(0x01)
  if (bits(rootLow, 11n, 1n) !== 0n || beyondHost(rootLow) || rootHigh !== 0n) return plain(0x0a)

  const contextAddress = (rootLow & ~0xfffn) + (sourceId & 0xffn) * 16n
  const [low, high] = [structures(contextAddress), structures(contextAddress + 8n)]
  if (low === undefined || high === undefined) return plain(0x09)
  const suppressed = bits(low, 1n, 1n) === 1n
  const fault = (reason: number): ModelAnswer => ({ reason, suppressed })
  if (bits(low, 0n, 0n) === 0n) return fault(0x02)
  const tt = bits(low, 3n, 2n)
  const reserved =
    bits(low, 11n, 4n) !== 0n ||
    bits(high, 7n, 7n) !== 0n ||
    bits(high, 63n, 24n) !== 0n ||
    bits(high, 23n, 8n) >> unit.domainBits !== 0n ||
    (tt !== 2n && beyondHost(low))
  if (reserved) return fault(0x0b)
  const aw = bits(high, 2n, 0n)
  if (!unit.widths.includes(aw)) return fault(0x03)
  if (tt === 1n || tt === 3n || (tt === 2n && !unit.passThrough)) return fault(0x03)

  let host: bigint
  if (tt === 2n) {
    if (beyondHost(address)) return fault(0x04)
    host = address
  } else {
    const width = 30n + 9n * aw < unit.guestAddressWidth ? 30n + 9n * aw : unit.guestAddressWidth
    if (address >> width !== 0n) return fault(0x04)
    const result = walk(unit, low & ~0xfffn, aw + 2n, address, write, paging)
    if (typeof result === 'number') return fault(result)
    host = result
  }
  return isInterruptRange(host) ? fault(0x0e) : { address: host }
}

function walk(
  unit: ModelUnit,
  top: bigint,
  levels: bigint,
  address: bigint,
  write: boolean,
  read: ReadQuadword,
): bigint | number {
  let table = top
  for (let level = levels; ; level--) {
    const span = 12n + 9n * (level - 1n)
    const entry = read(table + bits(address, span + 8n, span) * 8n)
    if (entry === undefined) return level === levels ? 0x03 : 0x07
    if (bits(entry, write ? 1n : 0n, write ? 1n : 0n) === 0n) return write ? 0x05 : 0x06
    if (bits(entry, 51n, unit.hostAddressWidth) !== 0n || bits(entry, 62n, 62n) !== 0n) return 0x0c
    const ps = bits(entry, 7n, 7n) === 1n
    const leaf = level === 1n || (ps && level <= 3n)
    if (!leaf) {
      if (ps || bits(entry, 11n, 11n) === 1n) return 0x0c
      table = bits(entry, 51n, 12n) << 12n
      continue
    }
    if (bits(entry, 11n, 11n) === 1n && !unit.snoopControl) return 0x0c
    if ((level === 2n && !unit.pages2M) || (level === 3n && !unit.pages1G)) return 0x0c
    if (span > 12n && bits(entry, span - 1n, 12n) !== 0n) return 0x0c
    const offset = bits(address, span - 1n, 0n)
    return (bits(entry, 51n, span) << span) + offset
  }
}
