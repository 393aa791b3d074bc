/** A run as text that a newcomer can follow. */
import type { Experiment } from './document.ts'
import type { ExperimentOperations, ExperimentReport, StepReport } from './runner.ts'

const WIDTH = 96
/** Fields of an object that are worth a line. */
const MOST_FIELDS = 8

/** Words of a text in lines of at most {@link WIDTH} columns, each after `indent`. */
export function wrap(text: string, indent: string): string {
  return text
    .trim()
    .split(/\n\s*\n/)
    .map(paragraph => {
      const lines: string[] = []
      let line = indent
      for (const word of paragraph.split(/\s+/)) {
        if (line.length > indent.length && line.length + word.length + 1 > WIDTH) {
          lines.push(line)
          line = indent
        }
        line += line.length > indent.length ? ` ${word}` : word
      }
      return [...lines, line].join('\n')
    })
    .join('\n\n')
}

export function tellTitle({ title, about }: Experiment, topology: string): string {
  const head = `${title}\n${'='.repeat(title.length)}`
  return `${head}\n\n${about === '' ? '' : `${wrap(about, '')}\n\n`}Platform: ${topology}\n`
}

export function tellStep(report: StepReport, operations: Pick<ExperimentOperations, 'tell'>): string {
  const { say, operation, input = {}, output, found, refusal, failures } = report
  const lines: string[] = []
  if (say !== undefined) lines.push(`\n${wrap(say, '')}`)
  if (operation === undefined) return lines.join('\n')
  const told =
    refusal !== undefined
      ? `${operation} was refused (${refusal.code}): ${refusal.message}`
      : found
        ? `Found among ${operation}: ${shortly(output as object)}.`
        : (operations.tell(operation, output, input) ?? `${operation} ${shortly(input)}`)
  const text = told
    .split('\n')
    .map(line => wrap(line, '    '))
    .join('\n')
  lines.push(`  ${failures.length === 0 ? '✓' : '✗'}${text.slice(3)}`)
  for (const failure of failures) lines.push(`    but ${failure}`)
  return lines.join('\n')
}

export function tellEnd({ passed, steps }: ExperimentReport): string {
  const checked = steps.filter(step => step.operation !== undefined).length
  return passed
    ? `\nAll ${checked} operations ended as the document expects.`
    : `\nStopped: step ${steps.length} did not end as the document expects.`
}

/** The plain fields of an object, and lists of plain values. */
const shortly = (object: object): string =>
  Object.entries(object)
    .filter(([, value]) => value !== null && [value].flat().every(item => typeof item !== 'object'))
    .slice(0, MOST_FIELDS)
    .map(([name, value]) => `${name} ${[value].flat().join(' ')}`)
    .join(', ')
