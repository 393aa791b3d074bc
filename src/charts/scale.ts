/** Where values lie on an axis, and at which of them it is marked. */

export type ScaleKind = 'linear' | 'log'

export interface Tick {
  readonly at: number
  readonly label: string
}

export interface Scale {
  /** Pixels. */
  at(value: number): number
  readonly ticks: readonly Tick[]
}

/** Two ends: of the values, or of the pixels. */
export type Range = readonly [from: number, to: number]

/** Most ticks that an axis of the usual size has room for. */
const MOST_TICKS = 8

/** A linear scale begins and ends at a tick, a logarithmic one at the least and the largest of its positive values. */
export function scaleOf(kind: ScaleKind, values: readonly number[], pixels: Range): Scale {
  return kind === 'log' ? logarithmic(values, pixels) : linear(values, pixels)
}

function linear(values: readonly number[], [left, right]: Range): Scale {
  const low = Math.min(0, ...values)
  const high = Math.max(...values, low + Number.MIN_VALUE)
  const step = niceStep((high - low) / (MOST_TICKS - 2))
  const from = Math.floor(low / step)
  const to = Math.max(from + 1, Math.ceil(high / step))
  const at = (value: number): number => left + ((value / step - from) / (to - from)) * (right - left)
  const ticks = Array.from({ length: to - from + 1 }, (_, i) => (from + i) * step)
  return { at, ticks: ticks.map(value => ({ at: at(value), label: shortNumber(value) })) }
}

/** 1, 2 or 5 times a power of ten, not below `least`. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least))
  return [1, 2, 5, 10].map(digit => digit * power).find(step => step >= least * (1 - 1e-9))!
}

/** Decades up to which an axis is marked at 2 and 5 as well. */
const FINE = 3

function logarithmic(values: readonly number[], [left, right]: Range): Scale {
  const low = Math.min(...values)
  const high = Math.max(...values, low * (1 + Number.EPSILON))
  const at = (value: number): number => left + (Math.log(value / low) / Math.log(high / low)) * (right - left)
  // Sizes and counts that double are marked by powers of two, everything else by powers of ten.
  const binary = values.every(value => Number.isInteger(Math.log2(value)))
  const marked = binary ? powersOfTwo(low, high) : tens(low, high)
  const label = binary ? binaryNumber : shortNumber
  return { at, ticks: marked.map(value => ({ at: at(value), label: label(value) })) }
}

function powersOfTwo(low: number, high: number): readonly number[] {
  const [from, to] = [Math.ceil(Math.log2(low)), Math.floor(Math.log2(high))]
  const every = Math.ceil((to - from + 1) / MOST_TICKS)
  return Array.from({ length: Math.floor((to - from) / every) + 1 }, (_, i) => 2 ** (from + i * every))
}

function tens(low: number, high: number): readonly number[] {
  const digits = Math.log10(high / low) < FINE ? [1, 2, 5] : [1]
  const [from, to] = [Math.floor(Math.log10(low)), Math.floor(Math.log10(high))]
  return Array.from({ length: to - from + 1 }, (_, i) => digits.map(digit => digit * 10 ** (from + i)))
    .flat()
    .filter(value => value >= low && value <= high)
}

const DECIMAL = ['', 'k', 'M', 'G', 'T']
const BINARY = ['', 'Ki', 'Mi', 'Gi', 'Ti']

/** A number with at most three significant digits and a metric prefix: `12.5 k` is `12.5k`. */
export function shortNumber(value: number): string {
  const size = Math.abs(value)
  if (size < 10_000) return String(Number(value.toPrecision(size >= 1000 ? 4 : 3)))
  const prefix = Math.min(DECIMAL.length - 1, Math.floor(Math.log10(size * 1.0005) / 3))
  return `${Number((value / 1000 ** prefix).toPrecision(3))}${DECIMAL[prefix]}`
}

/** A power of two: `65536` is `64Ki`. */
function binaryNumber(value: number): string {
  if (value < 1024) return String(value)
  const prefix = Math.min(BINARY.length - 1, Math.floor(Math.log2(value) / 10))
  return `${value / 1024 ** prefix}${BINARY[prefix]}`
}
