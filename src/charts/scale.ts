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

/** A scale that begins and ends at a tick. A logarithmic one is for positive values. */
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

function logarithmic(values: readonly number[], [left, right]: Range): Scale {
  const [low, high] = [Math.min(...values), Math.max(...values)]
  // Sizes and counts that double are marked by powers of two, everything else by powers of ten.
  const base = values.every(value => Number.isInteger(Math.log2(value))) ? 2 : 10
  const power = (value: number): number => Math.log(value) / Math.log(base)
  const from = Math.floor(power(low) + 1e-9)
  const to = Math.max(from + 1, Math.ceil(power(high) - 1e-9))
  const at = (value: number): number => left + ((power(value) - from) / (to - from)) * (right - left)
  const every = Math.ceil((to - from) / MOST_TICKS)
  const ticks = Array.from(
    { length: Math.floor((to - from) / every) + 1 },
    (_, i) => base ** (from + i * every),
  )
  return {
    at,
    ticks: ticks.map(value => ({
      at: at(value),
      label: base === 2 ? binaryNumber(value) : shortNumber(value),
    })),
  }
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
