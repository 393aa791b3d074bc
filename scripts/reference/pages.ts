/** The pages of `docs/reference/`, as they follow from the code: commands, HTTP operations, documents, errors. */
import { readdirSync, readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { EXITS, VARIABLES } from '../../src/cli/help.ts'
import { program } from '../../src/cli/program.ts'
import { ERROR_TITLES, type ErrorCode } from '../../src/core/errors.ts'
import { CODE_NUMBERS } from '../../src/operations/codes.ts'

const MADE = '<!-- Made by `npm run docs`; a test compares it with the code. -->'

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ')
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map(row => `| ${row.map(cell).join(' | ')} |`).join('\n')

const page = (title: string, about: string, ...parts: readonly string[]): string =>
  `${[`# ${title}`, MADE, about, ...parts].join('\n\n')}\n`

/** File names and contents. */
export const referencePages = (): readonly (readonly [name: string, text: string])[] => [
  ['commands.md', commandsPage()],
  ['rest.md', restPage()],
  ['documents.md', documentsPage()],
  ['errors.md', errorsPage()],
]

function commandsPage(): string {
  const silent = { print: () => {}, complain: () => {}, exit: () => {}, untilStopped: async () => {} }
  const root = program(silent)
  const rows = (commands: readonly Command[]): string =>
    table(
      ['command', 'what it does'],
      commands.map(command => [`\`${usageOf(command)}\``, command.description()]),
    )
  const leaves = (command: Command): readonly Command[] =>
    command.commands.length === 0
      ? [command]
      : [...(command.registeredArguments.length > 0 ? [command] : []), ...command.commands.flatMap(leaves)]
  const ofServer = (command: Command): boolean => command.helpGroup() !== ''
  return page(
    'Commands',
    'Each takes `--help`, which tells its flags and gives examples; all but `completion` take `--json`.',
    rows(root.commands.filter(command => !ofServer(command)).flatMap(leaves)),
    '## Operations on a running server',
    '`--server` or `NORTHBRIDGE_SERVER` says which.',
    rows(root.commands.filter(ofServer).flatMap(leaves)),
    '## Environment',
    table(
      ['variable', 'what for'],
      Object.entries(VARIABLES).map(([name, about]) => [`\`${name}\``, about]),
    ),
    '## Exit status',
    table(
      ['status', 'meaning'],
      EXITS.map(([status, about]) => [String(status), about]),
    ),
  )
}

function usageOf(command: Command): string {
  const words: string[] = []
  for (let at: Command | null = command; at?.parent != null; at = at.parent) words.unshift(at.name())
  const given = command.registeredArguments.map(argument => {
    const name = argument.variadic ? `${argument.name()}...` : argument.name()
    return argument.required ? `<${name}>` : `[${name}]`
  })
  const needed = command.options.filter(option => option.mandatory).map(option => option.flags)
  return [...words, ...given, ...needed].join(' ')
}

interface Contract {
  readonly paths: Readonly<
    Record<string, Readonly<Record<string, { readonly operationId: string; readonly summary?: string }>>>
  >
}

function restPage(): string {
  const { paths } = JSON.parse(readFileSync('openapi/openapi.json', 'utf8')) as Contract
  const rows = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { operationId, summary = '' }]) => [
      `\`${method.toUpperCase()} ${path}\``,
      `\`${operationId}\``,
      summary,
    ]),
  )
  return page(
    'HTTP operations',
    'The contract with all schemas is [openapi.json](../../openapi/openapi.json); a server shows it at `/docs`. The name is that of ' +
      'the method in the library and in the client, and of the step in an experiment.',
    table(['request', 'name', 'what it does'], rows),
  )
}

function documentsPage(): string {
  const rows = readdirSync('openapi')
    .filter(name => name.endsWith('.schema.json'))
    .sort()
    .map(name => {
      const { title = '', description = '' } = JSON.parse(readFileSync(`openapi/${name}`, 'utf8')) as {
        readonly title?: string
        readonly description?: string
      }
      return [
        `[${name}](../../openapi/${name})`,
        [title, description].filter(text => text !== '').join(': '),
        `\`./node_modules/northbridge/openapi/${name}\``,
      ]
    })
  return page(
    'Documents and their schemas',
    'JSON Schemas of what you write, as JSON or YAML. [Adoption](../adoption.md#documents-in-an-editor) shows how an editor finds them.',
    table(['schema', 'of what', 'in an installed package'], rows),
  )
}

function errorsPage(): string {
  const rows = (Object.entries(ERROR_TITLES) as [ErrorCode, string][]).map(([code, title]) => {
    const { status, exit } = CODE_NUMBERS[code]
    return [`\`${code}\``, title, String(status), String(exit)]
  })
  return page(
    'Errors',
    'One code at all faces: `error.code` of a `NorthbridgeError` in the library, `code` of a problem document over HTTP, and on the ' +
      'command line a sentence, or with `--json` the code, on standard error.',
    table(['code', 'title', 'HTTP status', 'exit status'], rows),
  )
}
