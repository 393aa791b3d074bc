/** Proxmox's property strings: `value,key=value,…`, where a first item without `=` belongs to the format's default key. */
import { refusePolicy } from '../model/index.ts'

export type Properties = ReadonlyMap<string, string>

/** Throws `invalidDocument`. `known` lists the keys of the format, its default key first if it has one. */
export function parsePropertyString(
  text: string,
  field: string,
  known: readonly string[],
  hasDefault: boolean,
): Properties {
  const properties = new Map<string, string>()
  for (const item of text.split(',')) {
    const at = item.indexOf('=')
    if (at < 0 && !hasDefault) refuse(`${field}: "${item}" has no key`, field)
    const key = at < 0 ? known[0]! : item.slice(0, at).trim()
    if (!known.includes(key))
      refuse(`${field}: "${key}" is no property of it; there are ${known.join(', ')}`, field)
    if (properties.has(key)) refuse(`${field}: "${key}" is given twice`, field)
    properties.set(key, item.slice(at + 1).trim())
  }
  return properties
}

const refuse = (text: string, field: string): never =>
  refusePolicy(text, { errorClass: 'invalid-property-string', field })
