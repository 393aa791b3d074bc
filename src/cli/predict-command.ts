/** `northbridge predict FILE`: what published measurements should have found, from the calibrated model. */
import type { Command } from 'commander'
import { readDocument } from '../operations/index.ts'
import { type Answer, isModelled, parseRecords, predict, shippedCostBook } from '../prediction/index.ts'
import type { CommandEnvironment } from './environment.ts'
import { toJson } from './output.ts'

export function addPredictCommand(root: Command, environment: CommandEnvironment): void {
  root
    .command('predict')
    .description(
      'predict measurements from the calibrated model: records without a value in, values and reasons out',
    )
    .argument('<file>', 'records, JSON or YAML')
    .option('--json', 'print JSON for programs')
    .action((file: string, { json }: { readonly json?: true }) => {
      const records = parseRecords(readDocument(file))
      const answers = predict(records, shippedCostBook())
      environment.print(
        json ? toJson(answers) : answers.map((answer, i) => tell(answer, records[i]!.unit)).join('\n'),
      )
    })
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
