/** A sweep as a page that stands alone: what was expected, charts, the table, and each point in full. */
import { stringify } from 'yaml'
import { METRICS, type MetricName } from '../../../timing/index.ts'
import { tellLabels } from '../axes.ts'
import type { SweepPoint } from '../point.ts'
import { quantity } from '../quantities.ts'
import type { SweepResult } from '../result.ts'
import { columnsOf, partName, type TableColumn } from '../table.ts'
import { notesOf } from '../told.ts'
import { breakdownCharts, metricCharts } from './charts.ts'
import { page, tag, text } from './page.ts'

/** Points that are shown in full. */
const MOST_DETAILS = 200

export function sweepReport(sweep: SweepResult): string {
  const { document, expectations, points } = sweep
  const notes = notesOf(sweep)
  const shown = points.slice(0, MOST_DETAILS)
  const body = [
    tag('h1', text(document.title)),
    ...document.about
      .split(/\n\s*\n/)
      .flatMap(part => (part.trim() === '' ? [] : [tag('p', text(part.trim()))])),
    ...section('Expected', expectations.length === 0 ? '' : judgements(sweep)),
    ...section('Results', figures(metricCharts(sweep))),
    ...section('Where the time goes', figures(breakdownCharts(sweep))),
    ...section('All points', table(columnsOf(sweep))),
    ...section('Each point', shown.map(details).join('') + left(points.length - shown.length)),
    ...section('Assumed', tag('ul', notes.map(note => tag('li', text(note))).join('')), notes.length > 0),
    ...section(
      'The document',
      tag('details', tag('summary', 'YAML') + tag('pre', text(stringify(document)))),
    ),
    tag(
      'footer',
      `Northbridge ${text(sweep.northbridge)}, seed ${document.seed}, ${points.length} points. Trace hash <code>${text(sweep.traceHash)}</code>: the same document gives the same hash.`,
    ),
  ]
  return page(document.title, body.join('\n'))
}

const section = (title: string, content: string, present = content !== ''): readonly string[] =>
  present ? [tag('h2', title), content] : []

const judgements = ({ expectations }: SweepResult): string =>
  tag(
    'ul',
    expectations
      .map(({ say, passed, found }) =>
        tag(
          'li',
          `${tag('b', passed ? '✓' : '✗', `class="${passed ? 'good' : 'bad'}"`)}${text(say)}<br>${tag('span', text(found), 'class="quiet"')}`,
        ),
      )
      .join(''),
    'class="plain"',
  )

const figures = (charts: readonly string[]): string =>
  charts.length === 0 ? '' : tag('div', charts.map(chart => tag('figure', chart)).join(''), 'class="charts"')

function table(columns: readonly TableColumn[]): string {
  const cell = (name: 'th' | 'td', content: string, { isNumber }: TableColumn): string =>
    tag(name, text(content), isNumber ? 'class="number"' : '')
  const head = tag('tr', columns.map(column => cell('th', column.head, column)).join(''))
  const rows = (columns[0]?.cells ?? []).map((_cell, n) =>
    tag('tr', columns.map(column => cell('td', column.cells[n]!, column)).join('')),
  )
  return tag('div', tag('table', tag('thead', head) + tag('tbody', rows.join(''))), 'class="scroll"')
}

const left = (points: number): string =>
  points > 0 ? tag('p', `${points} more points are in the JSON and CSV results.`, 'class="quiet"') : ''

function details({ at, result }: SweepPoint): string {
  const { bottleneck, next, resources, breakdown, processorBreakdown, counts } = result
  const way =
    bottleneck === null
      ? ''
      : tag(
          'p',
          `<b>${text(bottleneck.resource)}</b> is in the way: ${text(bottleneck.why)}.${next === null ? '' : ` Next comes <b>${text(next.resource)}</b>: ${text(next.why)}.`}`,
        )
  const used = resources.filter(({ arrivals }) => arrivals > 0)
  const metrics = Object.entries(result.metrics) as [MetricName, number][]
  const rows = [
    way,
    plainTable(
      ['metric', 'value', 'what it is'],
      metrics.map(([name, value]) => [name, quantity(value, METRICS[name].unit), METRICS[name].about]),
    ),
    timeTable('Time of an operation', breakdown),
    timeTable('Processor time of an operation', processorBreakdown),
    plainTable(
      ['resource', 'used', 'waiting or served', 'wait', 'service', 'alone allows'],
      used.map(({ name, units, utilisation, occupancy, wait, service, limit }) => [
        units === 1 ? name : `${name} (${units})`,
        `${(utilisation * 100).toFixed(1)} %`,
        occupancy.toPrecision(3),
        quantity(wait, 'ns'),
        quantity(service, 'ns'),
        limit === null ? '-' : quantity(limit, '1/s'),
      ]),
    ),
    plainTable(
      ['counted', 'times'],
      Object.entries(counts).map(([name, value]) => [name, String(value)]),
    ),
  ]
  return tag('details', tag('summary', text(tellLabels(at))) + rows.join(''))
}

function timeTable(title: string, { total, parts }: SweepPoint['result']['breakdown']): string {
  if (total === 0) return ''
  const rows = parts
    .toSorted((a, b) => b.nanoseconds - a.nanoseconds)
    .map(part => [
      partName(part),
      quantity(part.nanoseconds, 'ns'),
      `${((part.nanoseconds / total) * 100).toFixed(1)} %`,
    ])
  return plainTable([title, quantity(total, 'ns'), '100 %'], rows)
}

/** A first column of names, then values. */
const plainTable = (heads: readonly string[], rows: readonly (readonly string[])[]): string =>
  rows.length === 0
    ? ''
    : table(
        heads.map((head, i) => ({
          head,
          isNumber: i > 0 && head !== 'what it is',
          cells: rows.map(row => row[i]!),
        })),
      )
