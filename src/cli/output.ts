/** How results look: JSON for programs, sentences and tables for people. */
import { stringify } from 'yaml'
import { ERROR_TITLES, NorthbridgeError } from '../core/index.ts'
import { CODE_NUMBERS, type Operation } from '../operations/index.ts'

/** Where a command writes. */
export interface Output {
  /** Takes lines without their end. */
  readonly print: (text: string) => void
  readonly complain: (text: string) => void
}

export const toJson = (value: unknown): string => JSON.stringify(value, null, 2)

/** The result of an operation for people. */
export function render(row: Operation, output: unknown, input: unknown): string {
  if (row.tell !== undefined) return row.tell(output, input)
  if (output === null) return 'Done.'
  if (Array.isArray(output)) return output.length === 0 ? 'None.' : table(output)
  return stringify(output).trimEnd()
}

/** Rows of plain fields; what is nested is left to `--json`. */
export function table(rows: readonly unknown[]): string {
  const cells = rows.map(row =>
    Object.fromEntries(
      Object.entries(row as object).flatMap(([name, value]) => {
        const cell = cellOf(value)
        return cell === undefined ? [] : [[name, cell]]
      }),
    ),
  )
  const names = [...new Set(cells.flatMap(row => Object.keys(row)))]
  const widths = names.map(name => Math.max(name.length, ...cells.map(row => row[name]?.length ?? 1)))
  const line = (texts: readonly string[]) =>
    texts
      .map((text, i) => text.padEnd(widths[i]!))
      .join('  ')
      .trimEnd()
  return [line(names), ...cells.map(row => line(names.map(name => row[name] ?? '-')))].join('\n')
}

function cellOf(value: unknown): string | undefined {
  if (value === null || value === '') return '-'
  if (typeof value !== 'object') return String(value)
  const { kind, name } = value as { kind?: string; name?: string }
  if (kind !== undefined) return name === undefined ? kind : `${kind} ${name}`
  return undefined
}

/** Reports an error for people and returns the exit status of its code. */
export function complainAbout(error: unknown, { complain }: Output): number {
  if (!(error instanceof NorthbridgeError)) {
    complain(`northbridge: ${ERROR_TITLES.defect}:\n${(error as Error).stack ?? error}`)
    return CODE_NUMBERS.defect.exit
  }
  const { code, message, details } = error
  complain(`northbridge: ${ERROR_TITLES[code]}: ${message}`)
  const issues = details.issues ?? []
  if (issues.length > 1) for (const { path, message } of issues) complain(`  ${path || '/'} ${message}`)
  return CODE_NUMBERS[code].exit
}
