/** Numbers with units, as people read them. */
import { shortNumber } from '../../charts/index.ts'

export interface Unit {
  readonly name: string
  /** How many of the plain unit it is. */
  readonly size: number
}

/** Larger units of a plain one. */
const LARGER: Readonly<Record<string, readonly Unit[]>> = {
  ns: [
    { name: 'µs', size: 1e3 },
    { name: 'ms', size: 1e6 },
    { name: 's', size: 1e9 },
  ],
  '1/s': [
    { name: 'k/s', size: 1e3 },
    { name: 'M/s', size: 1e6 },
  ],
}

/** The largest unit in which the largest of the values is 1 or more: all of them can then be read side by side. */
export function unitFor(unit: string, values: readonly number[]): Unit {
  const most = Math.max(0, ...values.map(Math.abs))
  return (LARGER[unit] ?? []).findLast(({ size }) => most >= size) ?? { name: unit, size: 1 }
}

/** What heads a column: `throughput Gb/s`; a metric that counts processors needs no unit. */
export const headOf = (name: string, unit: Unit): string =>
  unit.name === 'processors' && /processors$/i.test(name) ? name : `${name} ${unit.name}`

/** A value in a unit, without its name. */
export const inUnit = (value: number, { size }: Unit): string => shortNumber(value / size)

/** A value with the unit that suits it: `12.5 µs`, `0.98 per operation`. */
export function quantity(value: number, unit: string): string {
  const suited = unitFor(unit, [value])
  return `${inUnit(value, suited)} ${spoken(suited.name)}`
}

/** `1/operation` is a good head of a column, and a bad word in a sentence. */
const spoken = (unit: string): string => (unit === '1/s' ? 'per second' : unit.replace(/^1\//, 'per '))

/** `+12 %`, of the first. */
export const change = (from: number, to: number): string =>
  from === 0
    ? to === 0
      ? '±0 %'
      : 'from nothing'
    : `${to < from ? '−' : '+'}${shortNumber(Math.abs(to / from - 1) * 100)} %`
