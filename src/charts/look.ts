/** How charts look: colours that colour-blind readers can tell apart, on light and on dark paper. */
import { element } from './svg.ts'

export const COLOURS = [
  '#3f7fc9',
  '#e07b2c',
  '#36996b',
  '#c0508f',
  '#b8941f',
  '#4fb0d4',
  '#8a6cc0',
  '#d0495a',
  '#8a6a4a',
  '#75838f',
] as const

export const colourOf = (index: number): string => COLOURS[index % COLOURS.length]!

/** Width of a text in the charts' font, near enough to leave room for it. */
export const textWidth = (text: string): number => text.length * 6.7

/** Of an SVG that stands alone; inside a page the page's own colours are taken over. */
const STYLE =
  '.chart{font:12px system-ui,sans-serif;color:#24292f}' +
  '.chart text{fill:currentColor}.chart .quiet{opacity:.65}' +
  '.chart .grid{stroke:currentColor;opacity:.13}.chart .axis{stroke:currentColor;opacity:.5}' +
  '@media (prefers-color-scheme:dark){.chart{color:#d7dde3}}'

/** A whole chart around its drawing. `about` is read to those who cannot see it. */
export const chart = (width: number, height: number, about: string, ...drawing: readonly string[]): string =>
  element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      class: 'chart',
      viewBox: `0 0 ${width} ${Math.round(height)}`,
      width,
      height: Math.round(height),
      role: 'img',
      'aria-label': about,
    },
    element('style', {}, STYLE),
    ...drawing,
  )

const MARKS: readonly ((x: number, y: number) => string)[] = [
  (x, y) => `M${x - 3.5} ${y}a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0`,
  (x, y) => `M${x - 3} ${y - 3}h6v6h-6z`,
  (x, y) => `M${x} ${y - 4}l4 7h-8z`,
  (x, y) => `M${x} ${y - 4.5}l4.5 4.5l-4.5 4.5l-4.5 -4.5z`,
]

const tenths = (value: number): number => Math.round(value * 10) / 10

/** The mark of a series: colour and shape both tell which. */
export const mark = (index: number, x: number, y: number): string =>
  MARKS[index % MARKS.length]!(tenths(x), tenths(y))

export interface LegendEntry {
  readonly name: string
  /** What is drawn before the name, around this point. */
  readonly sign: (x: number, y: number) => string
}

const ROW = 18

/** Names of the series in rows, and the height that they take. */
export function legend(
  entries: readonly LegendEntry[],
  left: number,
  top: number,
  width: number,
): { readonly drawing: string; readonly height: number } {
  let x = left
  let y = top + ROW / 2
  const drawn = entries.map(({ name, sign }) => {
    const room = 26 + textWidth(name)
    if (x > left && x + room > left + width) {
      x = left
      y += ROW
    }
    const entry = sign(x + 8, y) + element('text', { x: x + 18, y: y + 4 }, name)
    x += room + 8
    return entry
  })
  return { drawing: drawn.join(''), height: entries.length === 0 ? 0 : y + ROW / 2 - top }
}
