/** Every operation of the table as a command that asks a running server, with a flag for each field of its input. */
import { type Command, Option } from 'commander'
import { CODE_NUMBERS } from '../operations/codes.ts'
import type { OperationOptions } from './actions/operation.ts'
import { catalogue, type FlagEntry, namesInPath, type OperationEntry } from './catalogue/catalogue.ts'
import type { CommandEnvironment } from './environment.ts'
import { serverOption } from './server-option.ts'

const HEADING = 'Operations on a running server:'

export function addOperationCommands(root: Command, environment: CommandEnvironment): void {
  for (const entry of catalogue().operations) {
    const [group, verb] = entry.words.split(' ') as [string, string]
    const parent = root.commands.find(command => command.name() === group) ?? addGroup(root, group)
    addOperation(parent, verb, entry, environment)
  }
}

const addGroup = (root: Command, name: string): Command =>
  root
    .command(name)
    .description(`operations on ${name.replaceAll('-', ' ')}`)
    .helpGroup(HEADING)

/** `memoryMiB` is `--memory-mib`. */
const flagOf = ({ name }: FlagEntry): string =>
  `--${name.replace('MiB', 'Mib').replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`

function addOperation(
  parent: Command,
  verb: string,
  entry: OperationEntry,
  environment: CommandEnvironment,
): void {
  const command = parent.command(verb).summary(entry.summary).description(entry.summary)
  const positional = namesInPath(entry.rest.path)
  for (const name of positional) command.argument(`<${name}>`)
  const flags = entry.flags.map(flag => {
    const option = new Option(`${flagOf(flag)} <value>`, flag.about)
    command.addOption(option.makeOptionMandatory(flag.required === true))
    return [flag, option.attributeName()] as const
  })
  const server = entry.ofInstallation ? new Option('--server <url>', 'ask this server') : serverOption()
  command.addOption(server).option('--json', 'print JSON for programs')
  command.addHelpText('after', () => alsoKnownAs(entry))
  command.action(async (...parsed: unknown[]) => {
    const options = command.opts<OperationOptions & Record<string, string | undefined>>()
    const { runOperation } = await import('./actions/operation.ts')
    await runOperation(
      entry,
      positional.map((name, i) => [name, parsed[i] as string]),
      flags.map(([flag, attribute]) => [flag, flagOf(flag), options[attribute]]),
      options,
      environment,
    )
  })
}

/** The same operation at the other faces, and what it may refuse. */
function alsoKnownAs({ id, rest, errors }: OperationEntry): string {
  const codes = errors.map(code => `${code} (${CODE_NUMBERS[code as keyof typeof CODE_NUMBERS].exit})`)
  return [
    '',
    `HTTP: ${rest.method} ${rest.path}`,
    `Library and experiments: ${id}`,
    ...(codes.length === 0 ? [] : [`Errors, with exit status: ${codes.join(', ')}`]),
  ].join('\n')
}
