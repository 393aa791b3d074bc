/** Curves over numbers or names, drawn as SVG; the same numbers stand in a table for who does not see it. */

export interface Series {
  readonly name: string
  readonly points: readonly { readonly x: string; readonly y: number }[]
}

const SIZE = { width: 620, height: 260, left: 70, right: 16, top: 12, bottom: 44 } as const
const TICKS = 4

export function Chart({
  series,
  title,
  xName,
  unit,
}: {
  readonly series: readonly Series[]
  readonly title: string
  readonly xName: string
  readonly unit: string
}) {
  const names = [...new Set(series.flatMap(({ points }) => points.map(({ x }) => x)))]
  const numeric = names.every(name => Number.isFinite(Number(name)))
  const xs = numeric ? names.map(Number).sort((a, b) => a - b) : names.map((_, i) => i)
  const top = Math.max(1e-9, ...series.flatMap(({ points }) => points.map(({ y }) => y)))
  const [low, high] = [xs[0] ?? 0, xs.at(-1) ?? 1]
  const innerWidth = SIZE.width - SIZE.left - SIZE.right
  const innerHeight = SIZE.height - SIZE.top - SIZE.bottom
  const xOf = (x: string): number => {
    const value = numeric ? Number(x) : names.indexOf(x)
    return SIZE.left + (high === low ? 0.5 : (value - low) / (high - low)) * innerWidth
  }
  const yOf = (y: number): number => SIZE.top + innerHeight - (y / top) * innerHeight
  const ticks = Array.from({ length: TICKS + 1 }, (_, i) => (top * i) / TICKS)
  const shownX = names.length <= 10 ? names : names.filter((_, i) => i % Math.ceil(names.length / 10) === 0)
  return (
    <figure class="chart">
      <figcaption>
        {title}
        <span class="legend">
          {series.length > 1 &&
            series.map(({ name }, i) => (
              <span key={name} class={`key c${i % 6}`}>
                {name}
              </span>
            ))}
        </span>
      </figcaption>
      <svg viewBox={`0 0 ${SIZE.width} ${SIZE.height}`} role="img" aria-label={title}>
        {ticks.map(tick => (
          <g key={tick} class="tick">
            <line x1={SIZE.left} x2={SIZE.width - SIZE.right} y1={yOf(tick)} y2={yOf(tick)} />
            <text x={SIZE.left - 8} y={yOf(tick) + 4} text-anchor="end">
              {short(tick)}
            </text>
          </g>
        ))}
        {shownX.map(name => (
          <text key={name} x={xOf(name)} y={SIZE.height - SIZE.bottom + 18} text-anchor="middle">
            {name}
          </text>
        ))}
        <text x={SIZE.left + innerWidth / 2} y={SIZE.height - 6} text-anchor="middle">
          {xName}
        </text>
        <text x={SIZE.left - 8} y={SIZE.height - SIZE.bottom + 18} text-anchor="end">
          {unit}
        </text>
        {series.map(({ name, points }, i) => {
          const placed = points.map(({ x, y }) => [xOf(x), yOf(y)] as const).sort(([a], [b]) => a - b)
          return (
            <g key={name} class={`series c${i % 6}`}>
              <polyline points={placed.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ')} />
              {placed.map(([x, y]) => (
                <circle key={x} cx={x} cy={y} r={3.5} />
              ))}
            </g>
          )
        })}
      </svg>
    </figure>
  )
}

const PREFIXES = ['', 'k', 'M', 'G', 'T'] as const

/** A time in the unit that suits it. */
export const time = (nanoseconds: number): string =>
  nanoseconds >= 1e6
    ? `${Number((nanoseconds / 1e6).toPrecision(3))} ms`
    : nanoseconds >= 1e3
      ? `${Number((nanoseconds / 1e3).toPrecision(3))} µs`
      : `${Number(nanoseconds.toPrecision(3))} ns`

/** Three digits, with a prefix for thousands. */
export function short(value: number): string {
  if (value === 0) return '0'
  const power = Math.min(PREFIXES.length - 1, Math.max(0, Math.floor(Math.log10(Math.abs(value)) / 3)))
  return `${Number((value / 1000 ** power).toPrecision(3))}${PREFIXES[power] === '' ? '' : ` ${PREFIXES[power]}`}`
}
