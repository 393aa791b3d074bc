/** Bars side by side, each of stacked parts: what a total is made of. */

import { horizontalGrid, verticalLabel } from './line-chart.ts'
import { chart, colourOf, legend, textWidth } from './look.ts'
import { scaleOf, shortNumber } from './scale.ts'
import { element, escapeMarkup, textElement } from './svg.ts'

export interface Bar {
  readonly label: string
  /** One number for each part, in the order of the parts. */
  readonly values: readonly number[]
}

export interface BarChart {
  readonly title: string
  readonly y: { readonly label: string }
  /** Names of the parts; a chart of plain bars has one. */
  readonly parts: readonly string[]
  readonly bars: readonly Bar[]
  readonly width?: number
  readonly height?: number
}

const LEFT = 62
const RIGHT = 18
const LEVEL_BELOW = 30
/** A label that takes a larger share of the room of its bar is written aslant. */
const LEVEL_ROOM = 0.95
/** Of 35 degrees. */
const SINE = 0.574
const COSINE = 0.82

export function barChart({ title, y, parts, bars, width = 720, height = 380 }: BarChart): string {
  const longest = Math.max(0, ...bars.map(({ label }) => textWidth(label)))
  const aslant = longest > ((width - LEFT - RIGHT) / Math.max(1, bars.length)) * LEVEL_ROOM
  // A label that is written aslant ends below its bar and begins further to the left.
  const left = aslant ? Math.max(LEFT, Math.min(width / 4, longest * COSINE)) : LEFT
  const below = aslant ? Math.min(height / 2, longest * SINE + 24) : LEVEL_BELOW
  const shown = parts.length > 1 ? parts : []
  const names = legend(
    shown.map((name, i) => ({
      name: escapeMarkup(name),
      sign: (x, at) => element('rect', { x: x - 6, y: at - 6, width: 12, height: 12, fill: colourOf(i) }),
    })),
    left,
    30,
    width - left - RIGHT,
  )
  const total = height + names.height + below - LEVEL_BELOW
  const room = (width - left - RIGHT) / Math.max(1, bars.length)
  const frame = { left, right: width - RIGHT, top: 40 + names.height, bottom: total - below }
  const up = scaleOf(
    'linear',
    bars.map(bar => sum(bar.values)),
    [frame.bottom, frame.top],
  )
  const thick = Math.min(64, room * 0.7)
  const drawn = bars.map((bar, n) => {
    const middle = frame.left + room * (n + 0.5)
    return (
      column(bar, parts, middle - thick / 2, thick, up.at) + barLabel(bar.label, middle, frame.bottom, aslant)
    )
  })
  return chart(
    width,
    total,
    `${title}: ${y.label}`,
    textElement({ x: left, y: 20, 'font-size': 14, 'font-weight': 600 }, title),
    names.drawing,
    horizontalGrid(up, frame),
    verticalLabel(y.label, (frame.top + frame.bottom) / 2),
    ...drawn,
    element('line', { x1: frame.left, x2: frame.right, y1: up.at(0), y2: up.at(0), class: 'axis' }),
  )
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

function column(
  { label, values }: Bar,
  parts: readonly string[],
  x: number,
  width: number,
  at: (value: number) => number,
): string {
  let below = 0
  return values
    .map((value, i) => {
      const [bottom, top] = [at(below), at((below += value))]
      if (bottom - top < 0.05) return ''
      const told = `${label}, ${parts[i]}: ${shortNumber(value)}`
      const title = element('title', {}, escapeMarkup(told))
      return element('rect', { x, y: top, width, height: bottom - top, fill: colourOf(i) }, title)
    })
    .join('')
}

const barLabel = (label: string, x: number, bottom: number, aslant: boolean): string =>
  aslant
    ? textElement(
        {
          transform: `translate(${Math.round(x + 4)} ${Math.round(bottom + 14)}) rotate(-35)`,
          'text-anchor': 'end',
        },
        label,
      )
    : textElement({ x, y: bottom + 19, 'text-anchor': 'middle' }, label)
