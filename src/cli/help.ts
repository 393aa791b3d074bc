/** The parts of a command's help that a manual page would have: examples, variables of the environment, exit status. */
import type { Command } from 'commander'

/** Variables that commands look at, and what for. */
export const VARIABLES = {
  NORTHBRIDGE_SERVER: 'address of the server that operations ask',
  NORTHBRIDGE_TOKEN: 'token that is sent along; for `serve`, one that it takes',
  DATABASE_URL: 'PostgreSQL database of `serve`, `worker` and `token`, without showing its password',
  OTEL_EXPORTER_OTLP_ENDPOINT: 'where `serve` sends traces to; default: nowhere',
  NODE_COMPILE_CACHE: 'folder of the compile cache, which makes the second start faster than the first',
} as const

export type VariableName = keyof typeof VARIABLES

/** Exit statuses; those of refusals follow from the error's code (docs/reference/errors.md). */
export const EXITS = [
  [0, 'done'],
  [1, 'something is not as expected: an experiment, a recording'],
  [2, 'the command line or a document is wrong'],
  [3, 'there is no such thing'],
  [4, 'refused, or not possible now'],
  [70, 'a defect of Northbridge'],
  [130, 'ended by the user'],
] as const

export type Example = readonly [command: string, does: string]

const rowsOf = (rows: readonly (readonly [string | number, string])[], width: number): string =>
  rows.map(([name, about]) => `  ${String(name).padEnd(width)}  ${about}`).join('\n')

/** Choices of an argument or option, as a part of the help. */
export const choicesIn = (title: string, choices: readonly (readonly [string, string])[]): string =>
  `\n${title}:\n${rowsOf(choices, Math.max(...choices.map(([name]) => name.length)))}`

/** Adds examples, and the variables that the command looks at. */
export function manual(
  command: Command,
  examples: readonly Example[],
  variables: readonly VariableName[] = [],
): Command {
  const shown = examples.map(([line, does]) => `  # ${does}\n  northbridge ${line}`).join('\n')
  command.addHelpText('after', `\nExamples:\n${shown}`)
  if (variables.length > 0) command.addHelpText('after', () => `\nEnvironment:\n${variableRows(variables)}`)
  return command
}

const variableRows = (names: readonly VariableName[]): string =>
  rowsOf(
    names.map(name => [name, VARIABLES[name]]),
    Math.max(...names.map(name => name.length)),
  )

/** What holds for all commands, at the end of the help of the first. */
export const statusesAndVariables = (): string =>
  [
    'Environment:',
    variableRows(Object.keys(VARIABLES) as VariableName[]),
    '',
    'Exit status:',
    rowsOf(EXITS, 3),
  ].join('\n')
