/** The parts of `nova.conf` that decide about devices. The file is oslo.config's: an option may be given many times. */
import { type PolicyHost, refusePolicy } from '../model/index.ts'
import { type Alias, parseAliases } from './aliases.ts'
import { looseBoolean } from './booleans.ts'
import { type DeviceSpec, parseDeviceSpec } from './device-spec.ts'

/** Sections, options in them, and every value that an option was given. */
type Options = ReadonlyMap<string, ReadonlyMap<string, readonly string[]>>

export interface NovaConfiguration {
  /** JSON of each `[pci] device_spec`, lists taken apart. */
  readonly deviceSpecs: readonly Readonly<Record<string, unknown>>[]
  readonly aliases: ReadonlyMap<string, Alias>
  readonly reportInPlacement: boolean
  readonly pciInPlacement: boolean
}

/** Throws `invalidDocument` naming the line. */
export function readOptions(text: string): Options {
  const sections = new Map<string, Map<string, string[]>>()
  let section = 'DEFAULT'
  let values: string[] | undefined
  for (const [index, line] of text.split('\n').entries()) {
    if (/^\s*(?:[#;]|$)/.test(line)) continue
    const header = /^\[([^\]]+)\]\s*$/.exec(line)
    const option = /^([^\s=:][^=:]*?)\s*[=:]\s*(.*?)\s*$/.exec(line)
    if (header !== null) {
      section = header[1]!.trim()
      values = undefined
    } else if (/^\s/.test(line) && values !== undefined) {
      // A line that begins with a blank goes on with the value before.
      values[values.length - 1] += `\n${line.trim()}`
    } else if (option !== null) {
      const options = sections.get(section) ?? new Map<string, string[]>()
      sections.set(section, options)
      values = options.get(option[1]!) ?? []
      options.set(option[1]!, values)
      values.push(option[2]!)
    } else {
      const field = `line ${index + 1}`
      return refusePolicy(`nova.conf ${field}: neither a section nor an option`, {
        errorClass: 'ParseError',
        field,
      })
    }
  }
  return sections
}

/** Throws `invalidDocument` with nova's error class. */
export function parseNovaConfiguration(text: string): NovaConfiguration {
  const options = readOptions(text)
  const all = (section: string, name: string): readonly string[] => options.get(section)?.get(name) ?? []
  const flag = (section: string, name: string): boolean => looseBoolean(all(section, name).at(-1) ?? 'false')
  const specs = [...all('pci', 'device_spec'), ...all('pci', 'passthrough_whitelist')].flatMap(value => {
    const parsed = parseJson(value, 'device_spec', 'PciConfigInvalidSpec')
    return (Array.isArray(parsed) ? parsed : [parsed]) as Readonly<Record<string, unknown>>[]
  })
  for (const spec of specs)
    if (typeof spec !== 'object' || spec === null)
      refusePolicy('device_spec: is neither an object nor a list of objects', {
        errorClass: 'PciConfigInvalidSpec',
        field: 'device_spec',
      })
  const pciInPlacement = flag('filter_scheduler', 'pci_in_placement')
  return {
    deviceSpecs: specs,
    aliases: parseAliases(
      all('pci', 'alias').map(value => parseJson(value, 'alias', 'PciInvalidAlias')),
      { pciInPlacement },
    ),
    reportInPlacement: flag('pci', 'report_in_placement'),
    pciInPlacement,
  }
}

function parseJson(text: string, field: string, errorClass: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    return refusePolicy(`${field}: ${(error as Error).message}`, { errorClass, field })
  }
}

/** What the specifications mean on a host. Throws `invalidDocument`. */
export const specsOn = (
  host: PolicyHost,
  { deviceSpecs, reportInPlacement }: NovaConfiguration,
): DeviceSpec[] => deviceSpecs.map(spec => parseDeviceSpec(spec, { host, reportInPlacement }))
