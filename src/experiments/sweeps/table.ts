/** A sweep as a table for people, and as CSV for programs. */
import { METRICS, type MetricName, type Result } from '../../timing/index.ts'
import { headOf, inUnit, unitFor } from './quantities.ts'
import type { SweepResult } from './result.ts'

export interface TableColumn {
  readonly head: string
  readonly cells: readonly string[]
  /** Numbers are set flush right. */
  readonly isNumber: boolean
}

/** Axes, the document's metrics in units that suit them, what was in the way and what comes next. */
export function columnsOf({ axes, metrics, points }: SweepResult): readonly TableColumn[] {
  const numeric = (values: readonly string[]): boolean =>
    values.every(value => value !== '' && Number.isFinite(Number(value)))
  return [
    ...axes.map(({ name, values }) => ({
      head: name,
      cells: points.map(({ at }) => at[name]!),
      isNumber: numeric(values),
    })),
    ...metrics.map(({ name, unit }) => {
      const values = points.map(({ result }) => result.metrics[name])
      const suited = unitFor(
        unit,
        values.filter(value => value !== undefined),
      )
      return {
        head: headOf(name, suited),
        cells: values.map(value => (value === undefined ? '-' : inUnit(value, suited))),
        isNumber: true,
      }
    }),
    { head: 'bottleneck', cells: points.map(({ result }) => tellBottleneck(result)), isNumber: false },
    { head: 'next', cells: points.map(({ result }) => result.next?.resource ?? '-'), isNumber: false },
  ]
}

/** `wire 99 %` */
export const tellBottleneck = ({ bottleneck }: Result): string =>
  bottleneck === null ? '-' : `${bottleneck.resource} ${Math.round(bottleneck.utilisation * 100)} %`

export function tellTable(columns: readonly TableColumn[]): string {
  const widths = columns.map(({ head, cells }) => Math.max(head.length, ...cells.map(cell => cell.length)))
  const line = (cellOf: (column: TableColumn) => string): string =>
    columns
      .map((column, i) =>
        column.isNumber ? cellOf(column).padStart(widths[i]!) : cellOf(column).padEnd(widths[i]!),
      )
      .join('  ')
      .trimEnd()
  const rows = columns[0]?.cells.map((_cell, n) => line(({ cells }) => cells[n]!)) ?? []
  return [line(({ head }) => head), ...rows].join('\n')
}

/** One row a point: axes, every metric in its plain unit, what was in the way, the parts of latency and processor time. */
export function sweepCsv({ axes, points }: SweepResult): string {
  const names = (Object.keys(METRICS) as MetricName[]).filter(name =>
    points.some(({ result }) => result.metrics[name] !== undefined),
  )
  const partsOf = (kind: 'breakdown' | 'processorBreakdown') => [
    ...new Set(points.flatMap(({ result }) => result[kind].parts.map(partName))),
  ]
  const latency = partsOf('breakdown')
  const processor = partsOf('processorBreakdown')
  const head = [
    ...axes.map(({ name }) => name),
    ...names.map(name => `${name} (${METRICS[name].unit})`),
    'bottleneck',
    'bottleneck utilisation',
    'next',
    ...latency.map(part => `latency: ${part} (ns)`),
    ...processor.map(part => `processor time: ${part} (ns)`),
    'traceHash',
  ]
  const rows = points.map(({ at, result }) => [
    ...axes.map(({ name }) => at[name]!),
    ...names.map(name => result.metrics[name] ?? ''),
    result.bottleneck?.resource ?? '',
    result.bottleneck?.utilisation ?? '',
    result.next?.resource ?? '',
    ...latency.map(part => partOf(result.breakdown, part)),
    ...processor.map(part => partOf(result.processorBreakdown, part)),
    result.traceHash,
  ])
  return [head, ...rows].map(row => `${row.map(csvCell).join(',')}\r\n`).join('')
}

/** `backend: copy`, or the activity alone where it is a pure delay. */
export const partName = ({ resource, activity }: Result['breakdown']['parts'][number]): string =>
  resource === '' ? activity : `${resource}: ${activity}`

export const partOf = ({ parts }: Result['breakdown'], name: string): number =>
  parts.reduce((sum, part) => (partName(part) === name ? sum + part.nanoseconds : sum), 0)

/** RFC 4180. A text that a spreadsheet would take for a formula is quoted by an apostrophe. */
function csvCell(value: string | number): string {
  if (typeof value === 'number') return String(value)
  const text = /^[=+@\t\r-]/.test(value) && !Number.isFinite(Number(value)) ? `'${value}` : value
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
