/** Curves over an axis of numbers: what a model says as lines, what was measured as marks. */
import { chart, colourOf, legend, mark } from './look.ts'
import { type Scale, type ScaleKind, scaleOf, shortNumber } from './scale.ts'
import { element, escapeMarkup, textElement } from './svg.ts'

export interface LineSeries {
  readonly name: string
  readonly points: readonly (readonly [x: number, y: number])[]
  /** Marks alone are for measurements; default: both. */
  readonly drawn?: 'line' | 'marks' | 'both'
  /** Series with one number share a colour; default: each has its own. */
  readonly colour?: number
}

export interface ChartAxis {
  readonly label: string
  readonly scale?: ScaleKind
}

export interface LineChart {
  readonly title: string
  readonly x: ChartAxis
  readonly y: ChartAxis
  readonly series: readonly LineSeries[]
  readonly width?: number
  readonly height?: number
}

const MARGIN = { left: 62, right: 18, bottom: 46 }

export function lineChart({ title, x, y, series, width = 720, height = 380 }: LineChart): string {
  const names = legend(
    series.map(({ name, drawn, colour }, i) => ({
      name: escapeMarkup(name),
      sign: (atX, atY) => sign(colour ?? i, drawn ?? 'both', atX, atY),
    })),
    MARGIN.left,
    30,
    width - MARGIN.left - MARGIN.right,
  )
  const frame = {
    left: MARGIN.left,
    right: width - MARGIN.right,
    top: 40 + names.height,
    bottom: height + names.height - MARGIN.bottom,
  }
  const points = series.flatMap(each => each.points)
  const across = scaleOf(
    x.scale ?? 'linear',
    points.map(([at]) => at),
    [frame.left, frame.right],
  )
  const up = scaleOf(
    y.scale ?? 'linear',
    points.map(([, at]) => at),
    [frame.bottom, frame.top],
  )
  const about = `${title}: ${y.label} over ${x.label}`
  return chart(
    width,
    height + names.height,
    about,
    textElement({ x: MARGIN.left, y: 20, 'font-size': 14, 'font-weight': 600 }, title),
    names.drawing,
    horizontalGrid(up, frame),
    verticalTicks(across, frame),
    textElement(
      { x: (frame.left + frame.right) / 2, y: frame.bottom + 38, 'text-anchor': 'middle' },
      x.label,
    ),
    verticalLabel(y.label, (frame.top + frame.bottom) / 2),
    ...series.map((each, i) => curve(each, i, across, up)),
  )
}

export interface Frame {
  readonly left: number
  readonly right: number
  readonly top: number
  readonly bottom: number
}

export const horizontalGrid = ({ ticks }: Scale, { left, right }: Frame): string =>
  ticks
    .map(
      ({ at, label }) =>
        element('line', { x1: left, x2: right, y1: at, y2: at, class: 'grid' }) +
        textElement({ x: left - 8, y: at + 4, 'text-anchor': 'end', class: 'quiet' }, label),
    )
    .join('')

const verticalTicks = ({ ticks }: Scale, { left, right, bottom }: Frame): string =>
  element('line', { x1: left, x2: right, y1: bottom, y2: bottom, class: 'axis' }) +
  ticks
    .map(
      ({ at, label }) =>
        element('line', { x1: at, x2: at, y1: bottom, y2: bottom + 5, class: 'axis' }) +
        textElement({ x: at, y: bottom + 19, 'text-anchor': 'middle', class: 'quiet' }, label),
    )
    .join('')

export const verticalLabel = (label: string, middle: number): string =>
  textElement(
    { transform: `translate(14 ${Math.round(middle)}) rotate(-90)`, 'text-anchor': 'middle' },
    label,
  )

function curve(
  { name, points, drawn = 'both', colour }: LineSeries,
  i: number,
  across: Scale,
  up: Scale,
): string {
  const ink = colourOf(colour ?? i)
  const placed = points.map(([x, y]) => [across.at(x), up.at(y)] as const)
  const path = placed.map(([x, y], n) => `${n === 0 ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`).join('')
  const line = element('path', {
    d: path,
    fill: 'none',
    stroke: ink,
    'stroke-width': 2,
    'stroke-linejoin': 'round',
  })
  const marks = placed.map(([x, y], n) =>
    element(
      'path',
      { d: mark(colour ?? i, x, y), fill: ink },
      element(
        'title',
        {},
        escapeMarkup(`${name}: ${shortNumber(points[n]![1])} at ${shortNumber(points[n]![0])}`),
      ),
    ),
  )
  return (drawn === 'marks' ? '' : line) + (drawn === 'line' ? '' : marks.join(''))
}

const sign = (index: number, drawn: 'line' | 'marks' | 'both', x: number, y: number): string =>
  (drawn === 'marks'
    ? ''
    : element('line', { x1: x - 8, x2: x + 8, y1: y, y2: y, stroke: colourOf(index), 'stroke-width': 2 })) +
  (drawn === 'line' ? '' : element('path', { d: mark(index, x, y), fill: colourOf(index) }))
