/** Where QEMU's arguments are read from: a file of options, a capture's `topology.json`, or a capture folder. */
import { readFileSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { NorthbridgeError } from '../../core/index.ts'
import { type CommandLine, parseCommandLine } from './command-line.ts'

/** An ACS capability that the makers of a capture added to a device model before the guest began. */
export interface AddedAcs {
  /** `vendor:device` in hexadecimal. */
  readonly id: string
  readonly slot?: number
  readonly subsys?: number
  readonly fn?: number
  /** Names of bits, one behind the other. */
  readonly acs: string
}

/** A device that came while the machine was running. */
export interface HotAdd {
  readonly driver: string
  readonly properties: ReadonlyMap<string, string>
}

export interface QemuInput {
  readonly name: string
  readonly line: CommandLine
  readonly description: string
  readonly kernel: '6.1' | '7.2'
  readonly addedAcs: readonly AddedAcs[]
  readonly hotAdds: readonly HotAdd[]
}

const MOST_BYTES = 2 ** 22

/** Throws `notFound` or `malformedInput`. */
export function readQemuInput(path: string): QemuInput {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
  const folder = isFolder ? path : dirname(path)
  const about =
    isFolder || path.endsWith('.json') ? aboutOf(text(isFolder ? join(path, 'topology.json') : path)) : {}
  const argumentsText = isFolder
    ? text(join(path, 'topology.args'))
    : path.endsWith('.json')
      ? undefined
      : text(path)
  const line = argumentsText === undefined ? lineOf(about) : parseCommandLine(argumentsText)
  if (line === undefined) {
    throw new NorthbridgeError(
      'notFound',
      `${path} holds no QEMU arguments: topology.args, or "qemu" in topology.json`,
    )
  }
  const { title, shows, uname, kernel } = about as Readonly<Record<string, unknown>>
  return {
    name: nameOf(isFolder || path.endsWith('.json') ? basename(folder) : basename(path)),
    line,
    description: ['Imported from QEMU arguments', title, shows]
      .filter(part => typeof part === 'string')
      .join('. '),
    kernel: /(?:^|\s)7\./.test(String(uname ?? kernel ?? '')) ? '7.2' : '6.1',
    addedAcs: Array.isArray(about['poke']) ? (about['poke'] as AddedAcs[]) : [],
    hotAdds: hotAddsOf(about['qmp']),
  }
}

function text(path: string): string | undefined {
  const status = statSync(path, { throwIfNoEntry: false })
  if (!status?.isFile()) return undefined
  if (status.size > MOST_BYTES)
    throw new NorthbridgeError('malformedInput', `${path} is larger than ${MOST_BYTES} bytes`)
  return readFileSync(path, 'utf8')
}

function aboutOf(content: string | undefined): Readonly<Record<string, unknown>> {
  if (content === undefined) return {}
  try {
    const about: unknown = JSON.parse(content)
    return typeof about === 'object' && about !== null ? (about as Record<string, unknown>) : {}
  } catch {
    throw new NorthbridgeError('malformedInput', 'topology.json is not JSON')
  }
}

/** The device arguments of a capture's `topology.json`, which leaves out what all captures have in common. */
function lineOf(about: Readonly<Record<string, unknown>>): CommandLine | undefined {
  const { qemu, machine, append } = about
  if (!Array.isArray(qemu)) return undefined
  const quoted = (word: unknown): string => `'${String(word)}'`
  const common = ['-machine', machine ?? 'q35', '-nodefaults', '-m', '512M', '-smp', '2']
  return parseCommandLine(
    [...common, ...qemu, ...(append === undefined ? [] : ['-append', append])].map(quoted).join(' '),
  )
}

function hotAddsOf(qmp: unknown): HotAdd[] {
  const found: HotAdd[] = []
  const visit = (value: unknown): void => {
    if (!Array.isArray(value)) return
    const [command, given] = value as unknown[]
    if (command === 'device_add' && typeof given === 'object' && given !== null) {
      const properties = new Map(Object.entries(given).map(([key, member]) => [key, String(member)]))
      const driver = properties.get('driver') ?? ''
      properties.delete('driver')
      found.push({ driver, properties })
    } else for (const member of value) visit(member)
  }
  visit(qmp)
  return found
}

const nameOf = (name: string): string =>
  name
    .replace(/\.(?:args|json|txt|sh)$/, '')
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 64) || 'qemu'
