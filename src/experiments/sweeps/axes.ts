/** Axes of a document, and the points that their combinations are. */
import { type Issue, NorthbridgeError } from '../../core/index.ts'
import { MOST_POINTS, type SweepAxis } from './document.ts'
import { over, type Settings, settingAt } from './settings.ts'

/** One value of an axis: what it is called, and what it sets. */
export interface AxisValue {
  readonly label: string
  readonly settings: Settings
}

export interface Axis {
  readonly name: string
  readonly values: readonly AxisValue[]
  /** The values as numbers, if they all are. */
  readonly numbers: readonly number[] | null
  /** Values multiply: a plot along it is logarithmic. */
  readonly multiplies: boolean
}

/** Where a point lies: the label of its value on every axis. */
export type Labels = Readonly<Record<string, string>>

export function axisOf(axis: SweepAxis): Axis {
  if ('cases' in axis) {
    const values = Object.entries(axis.cases).map(([label, set]) => ({
      label,
      settings: Object.entries(set).reduce<Settings>(
        (settings, [pointer, value]) => over(settingAt(pointer, value), settings),
        {},
      ),
    }))
    return { name: axis.name, values, numbers: null, multiplies: false }
  }
  const values = 'values' in axis ? axis.values : numbersOf(axis)
  const numbers = values.every(value => typeof value === 'number') ? values : null
  return {
    name: axis.name ?? axis.field.slice(axis.field.lastIndexOf('/') + 1),
    values: values.map(value => ({ label: String(value), settings: settingAt(axis.field, value) })),
    numbers,
    multiplies: numbers !== null && spread(numbers),
  }
}

type RangeAxis = Extract<SweepAxis, { from: number }>

function numbersOf({ from, to, step, times }: RangeAxis): readonly number[] {
  const values: number[] = []
  // Steps are multiplied out: sums of fractions drift.
  const at = (n: number): number => (step === undefined ? from * times! ** n : from + n * step)
  for (let n = 0; n <= MOST_POINTS && at(n) <= to * (1 + 1e-12); n++)
    values.push(Number(at(n).toPrecision(12)))
  return values
}

/** Positive numbers over more than one order of magnitude, whose middle is nearer to the geometric mean of the ends. */
function spread(numbers: readonly number[]): boolean {
  const [first, middle, last] = [numbers[0]!, numbers[numbers.length >>> 1]!, numbers.at(-1)!]
  const from = (mean: number): number => Math.abs(Math.log(middle / mean))
  return first > 0 && last / first > 10 && from(Math.sqrt(first * last)) < from((first + last) / 2)
}

/** Every combination of the axes' values, the last axis changing fastest. Throws `invalidDocument`. */
export function pointsOf(axes: readonly Axis[]): readonly { at: Labels; settings: Settings }[] {
  judgeAxes(axes)
  return axes.reduce<readonly { at: Labels; settings: Settings }[]>(
    (points, { name, values }) =>
      points.flatMap(({ at, settings }) =>
        values.map(value => ({
          at: { ...at, [name]: value.label },
          settings: over(value.settings, settings),
        })),
      ),
    [{ at: {}, settings: {} }],
  )
}

function judgeAxes(axes: readonly Axis[]): void {
  const issues: Issue[] = []
  axes.forEach(({ name, values }, i) => {
    if (axes.findIndex(other => other.name === name) < i)
      issues.push({ path: `/axes/${i}`, message: `is called "${name}" as another axis is: give it a name` })
    const twice = values.find(({ label }, n) => values.findIndex(other => other.label === label) < n)
    if (twice !== undefined) issues.push({ path: `/axes/${i}`, message: `has "${twice.label}" twice` })
  })
  const points = axes.reduce((product, { values }) => product * values.length, 1)
  if (points > MOST_POINTS)
    issues.push({ path: '/axes', message: `make ${points} points; at most ${MOST_POINTS} are simulated` })
  if (issues.length > 0)
    throw new NorthbridgeError('invalidDocument', `experiment: ${issues[0]!.path} ${issues[0]!.message}`, {
      issues,
    })
}

/** `vms 4, model sriov`: a point in words. */
export const tellLabels = (at: Labels): string =>
  Object.entries(at)
    .map(([name, label]) => `${name} ${label}`)
    .join(', ') || 'the only point'
