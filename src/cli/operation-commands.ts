/** Every operation of the table as a command that asks a running server, with flags made from its input schema. */
import type { TObject, TSchema } from '@sinclair/typebox'
import { type Command, Option } from 'commander'
import { NorthbridgeError } from '../core/index.ts'
import {
  type InputOf,
  installation,
  type Operation,
  type OperationId,
  operationEntries,
  readDocument,
} from '../operations/index.ts'
import { localCall, remoteCall } from './client.ts'
import type { CommandEnvironment } from './environment.ts'
import { render, toJson } from './output.ts'

const HEADING = 'Operations on a running server:'
export const DEFAULT_SERVER = 'http://127.0.0.1:8080'

export const serverOption = (): Option =>
  new Option('--server <url>', 'address of the server').env('NORTHBRIDGE_SERVER').default(DEFAULT_SERVER)

export function addOperationCommands(root: Command, environment: CommandEnvironment): void {
  for (const [id, row] of operationEntries()) {
    const [group, verb] = row.words.split(' ') as [string, string]
    const parent = root.commands.find(command => command.name() === group) ?? addGroup(root, group)
    addOperation(parent, verb, id, row, environment)
  }
}

const addGroup = (root: Command, name: string): Command =>
  root
    .command(name)
    .description(`operations on ${name.replaceAll('-', ' ')}`)
    .helpGroup(HEADING)

/** `memoryMiB` is `memory-mib`. */
const flagOf = (name: string): string =>
  name.replace('MiB', 'Mib').replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)

function addOperation(
  parent: Command,
  verb: string,
  id: OperationId,
  row: Operation,
  environment: CommandEnvironment,
): void {
  const command = parent.command(verb).summary(row.summary).description(row.summary)
  const { properties, required = [] } = row.input as TObject
  const positional = [...row.rest.path.matchAll(/\{(\w+)\}/g)].map(match => match[1]!)
  for (const name of positional) command.argument(`<${name}>`)
  const flags = Object.keys(properties)
    .filter(name => !positional.includes(name))
    .map(name => {
      const option = new Option(`--${flagOf(name)} <value>`, explain(properties[name]!))
      command.addOption(option.makeOptionMandatory(required.includes(name)))
      return [name, option.attributeName()] as const
    })
  const server = row.ofInstallation ? new Option('--server <url>', 'ask this server') : serverOption()
  command.addOption(server).option('--json', 'print JSON for programs')
  command.action(async (...parsed: unknown[]) => {
    const options = command.opts<Record<string, string>>()
    const given = [
      ...positional.map((name, i) => [name, parsed[i] as string] as const),
      ...flags.map(([name, attribute]) => [name, options[attribute]] as const),
    ].filter((entry): entry is [string, string] => entry[1] !== undefined)
    const input = Object.fromEntries(
      given.map(([name, text]) => [name, fieldValue(name, properties[name]!, text)]),
    )
    const { server } = options
    const call = server === undefined ? localCall(installation()) : remoteCall(server)
    const result = await call(id, input as InputOf<typeof id>)
    environment.print(options['json'] ? toJson(result) : render(row, result, input))
  })
}

function explain(schema: TSchema): string {
  if (schema['enum'] !== undefined) return (schema['enum'] as string[]).join(', ')
  const text = schema.title ?? schema.description
  if (text !== undefined) return text
  if (schema['type'] === 'integer') return 'a number'
  return schema['type'] === 'string' ? 'text' : 'JSON, or @ and the name of a JSON or YAML file'
}

/** What a text on the command line stands for, by the type of its field. Throws `malformedInput`. */
function fieldValue(name: string, schema: TSchema, text: string): unknown {
  if (schema['type'] === 'string') return text
  if (text.startsWith('@')) return readDocument(text.slice(1))
  if (schema['type'] === 'integer') return /^\d{1,15}$/.test(text) ? Number(text) : text
  try {
    const value: unknown = JSON.parse(text)
    return schema['anyOf'] !== undefined && typeof value !== 'object' ? text : value
  } catch {
    if (schema['anyOf'] !== undefined) return text
    throw new NorthbridgeError(
      'malformedInput',
      `--${flagOf(name)} is not JSON; @ and a file name is read from there`,
    )
  }
}
