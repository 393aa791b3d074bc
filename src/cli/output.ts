/** How results look: JSON for programs, sentences and tables for people. */
import { ERROR_TITLES, NorthbridgeError } from '../core/errors.ts'
import { CODE_NUMBERS } from '../operations/codes.ts'

/** Where a command writes. */
export interface Output {
  /** Takes lines without their end. */
  readonly print: (text: string) => void
  readonly complain: (text: string) => void
  /** Shows how far long work is, in place of what it showed before; nothing at its end. Only where somebody watches. */
  readonly progress?: (text: string) => void
  /** Aborted when the user wants long work to end. */
  readonly interrupted?: AbortSignal
}

export const toJson = (value: unknown): string => JSON.stringify(value, null, 2)

/** Items as rows; what a column does not show is left to `--json`. */
export function table(
  items: readonly Readonly<Record<string, unknown>>[],
  columns: readonly string[],
): string {
  const rows = [columns, ...items.map(item => columns.map(name => cellOf(item[name])))]
  const widths = columns.map((_name, i) => Math.max(...rows.map(row => row[i]!.length)))
  return rows
    .map(row =>
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function cellOf(value: unknown): string {
  if (value === null || value === undefined || value === '') return '-'
  if (Array.isArray(value)) return value.map(cellOf).join(' ') || '-'
  if (typeof value !== 'object') return String(value)
  // What has a name or an address is known by it: an owner, a device.
  const { kind, name, function: address } = value as { kind?: string; name?: string; function?: string }
  return address ?? [kind, name].filter(part => part !== undefined).join(' ')
}

/** Reports an error, for people or as JSON for programs, and returns the exit status of its code. */
export function complainAbout(error: unknown, { complain }: Output, json: boolean): number {
  if (!(error instanceof NorthbridgeError)) {
    complain(`northbridge: ${ERROR_TITLES.defect}:\n${(error as Error).stack ?? error}`)
    return CODE_NUMBERS.defect.exit
  }
  const { code, message, details } = error
  const { exit } = CODE_NUMBERS[code]
  if (json) {
    complain(toJson({ code, title: ERROR_TITLES[code], detail: message, ...details }))
    return exit
  }
  complain(`northbridge: ${ERROR_TITLES[code]}: ${message}`)
  const issues = details.issues ?? []
  if (issues.length > 1) for (const { path, message } of issues) complain(`  ${path || '/'} ${message}`)
  return exit
}
