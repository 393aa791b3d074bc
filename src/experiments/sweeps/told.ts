/** A sweep as text on a terminal. */
import { wrap } from '../story.ts'
import { tellLabels } from './axes.ts'
import type { SweepPlan } from './plan.ts'
import type { SweepResult } from './result.ts'
import { columnsOf, tellTable } from './table.ts'

export function tellPlan({ document: { title, about }, axes, points }: SweepPlan): string {
  const size = axes.map(({ name, values }) => `${values.length} of ${name}`).join(' × ')
  const story = about === '' ? '' : `${wrap(about, '')}\n\n`
  const count = points.length === 1 ? '1 point' : `${points.length} points: ${size}`
  return `${title}\n${'='.repeat(title.length)}\n\n${story}${count}\n`
}

export function tellResult(result: SweepResult): string {
  const judged = result.expectations.map(
    ({ say, passed, found }) => `${passed ? '✓' : '✗'} ${wrap(say, '  ').slice(2)}\n${wrap(found, '    ')}`,
  )
  const notes = notesOf(result).map(note => wrap(note, '  '))
  return [
    tellTable(columnsOf(result)),
    ...(judged.length === 0 ? [] : [`\n${judged.join('\n')}`]),
    ...(notes.length === 0 ? [] : [`\nAssumed:\n${notes.join('\n')}`]),
    `\nTrace hash ${result.traceHash.slice(0, 16)}`,
  ].join('\n')
}

/** What was assumed at any point: once where it is the same at all. */
export function notesOf({ points }: SweepResult): readonly string[] {
  const places = new Map<string, string[]>()
  for (const { at, result } of points)
    for (const note of result.notes) places.set(note, [...(places.get(note) ?? []), tellLabels(at)])
  return [...places].map(([note, at]) =>
    at.length === points.length
      ? note
      : `${note} (${at.length > 2 ? `${at[0]} and ${at.length - 1} more` : at.join('; ')})`,
  )
}
