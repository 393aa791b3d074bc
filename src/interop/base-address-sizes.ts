/** Sizes of base addresses, which config space does not tell: from lspci -v, from /proc/iomem, or inferred. */
import type { CapturedBar } from './captured-function.ts'
import type { ListedRegion } from './lspci/details.ts'

/** Ranges of /proc/iomem that are named after a function: first byte to size, by function address. */
export type IoMemory = ReadonlyMap<string, ReadonlyMap<number, number>>

const RANGE = /^\s*([0-9a-f]{8,16})-([0-9a-f]{8,16}) : (\S.*)$/
const FUNCTION = /^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/

export function readIoMemory(text = ''): IoMemory {
  const ranges = new Map<string, Map<number, number>>()
  for (const [first, last, name] of rangesOf(text)) {
    if (!FUNCTION.test(name)) continue
    const found = ranges.get(name) ?? new Map<number, number>()
    if (!found.has(first)) found.set(first, last - first + 1)
    ranges.set(name, found)
  }
  return ranges
}

/** Bytes of System RAM in /proc/iomem; 0 if the reader was not allowed to see addresses. */
export function systemRamOf(text = ''): number {
  let sum = 0
  for (const [first, last, name] of rangesOf(text))
    if (name === 'System RAM' && last > first) sum += last - first + 1
  return sum
}

function* rangesOf(text: string): Generator<readonly [first: number, last: number, name: string]> {
  for (const line of text.split('\n')) {
    const [, first = '', last = '', name = ''] = RANGE.exec(line) ?? []
    if (name !== '') yield [Number.parseInt(first, 16), Number.parseInt(last, 16), name.trim()]
  }
}

export interface SizedBar extends CapturedBar {
  /** Bytes, a power of two. */
  readonly size: number
  /** Whether the size was inferred from the address. */
  readonly inferred: boolean
}

const SMALLEST = { memory32: 4096, memory64: 4096, io: 4 } as const
const LARGEST_INFERRED = { memory32: 2 ** 20, memory64: 2 ** 20, io: 256 } as const

/** What is known about the size of a base address. */
export interface SizeHints {
  /** Bytes as they are told somewhere, best first. */
  readonly known: readonly (number | undefined)[]
  /** Next address that something else begins at. */
  readonly next: number | undefined
  /** Bytes that must fit: tables that a capability places behind this BAR. */
  readonly needed: number
}

export function sized(bar: CapturedBar, hints: SizeHints): SizedBar {
  const known = hints.known.find(size => size !== undefined && isPowerOfTwo(size))
  if (known !== undefined) return { ...bar, size: known, inferred: false }
  const { kind, address } = bar
  const aligned = address === 0 ? SMALLEST[kind] : lowestBit(address)
  const gap =
    hints.next === undefined ? Number.POSITIVE_INFINITY : 2 ** Math.floor(Math.log2(hints.next - address))
  const guess = Math.min(aligned, gap, LARGEST_INFERRED[kind])
  return { ...bar, size: Math.max(guess, kind === 'io' ? 4 : 16, roundUp(hints.needed)), inferred: true }
}

/** BARs that only lspci's details show, because their registers read 0. */
export const unassignedBars = (
  regions: readonly ListedRegion[],
  found: readonly CapturedBar[],
): CapturedBar[] =>
  regions
    .filter(region => region.size !== undefined && !found.some(bar => covers(bar, region.index)))
    .map(({ index, kind, prefetchable }) => ({ index, kind, prefetchable, address: 0 }))

const covers = ({ index, kind }: CapturedBar, other: number): boolean =>
  other === index || (kind === 'memory64' && other === index + 1)

const isPowerOfTwo = (size: number): boolean => size >= 4 && Number.isInteger(Math.log2(size))
const roundUp = (size: number): number => (size === 0 ? 0 : 2 ** Math.ceil(Math.log2(size)))

/** The largest power of two that divides a positive whole number below 2^53. */
function lowestBit(value: number): number {
  const low = value % 2 ** 32
  return low === 0 ? lowestBit(value / 2 ** 32) * 2 ** 32 : (low & -low) >>> 0
}
