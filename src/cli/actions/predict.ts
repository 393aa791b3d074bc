/** What `predict` does. */
import { readDocument } from '../../operations/index.ts'
import { type Answer, isModelled, parseRecords, predict, shippedCostBook } from '../../prediction/index.ts'
import type { CommandEnvironment } from '../environment.ts'
import { toJson } from '../output.ts'

export function predictFile(
  file: string,
  { json }: { readonly json?: true },
  { print }: CommandEnvironment,
): void {
  const records = parseRecords(readDocument(file))
  const answers = predict(records, shippedCostBook())
  print(json ? toJson(answers) : answers.map((answer, i) => tell(answer, records[i]!.unit)).join('\n'))
}

const MOST_PARTS = 3
const DIGITS = 4
const short = (value: number): string => String(Number(value.toPrecision(DIGITS)))

/** The largest parts first; what the bottleneck is, and what would be next. */
function tell(answer: Answer, unit: string): string {
  if (!isModelled(answer)) return `${answer.id}: not modelled: ${answer.notModelled}`
  const { value, breakdown } = answer
  const largest = [...breakdown.parts]
    .sort((a, b) => Math.abs(b.amount) - Math.abs(a.amount))
    .slice(0, MOST_PARTS)
  const parts = largest.map(
    ({ resource, cause, amount }) =>
      `${short(amount)} ${breakdown.unit} ${[resource, cause].filter(text => text !== '').join(': ')}`,
  )
  const limits = [
    ...(breakdown.bottleneck === undefined ? [] : [`bottleneck ${breakdown.bottleneck}`]),
    ...(breakdown.next === undefined ? [] : [`next ${breakdown.next}`]),
  ]
  return [
    `${answer.id}: ${short(value)} ${unit}`.trimEnd(),
    ...parts.map(text => `  ${text}`),
    ...limits.map(text => `  ${text}`),
  ].join('\n')
}
