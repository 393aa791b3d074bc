/**
 * The `address` of a device specification: a glob per field, a regular expression per field, or one address. Source:
 * openstack/nova nova/pci/devspec.py.
 */
import { refusePolicy } from '../model/index.ts'

/** The four fields, as nova prints them: `%04x`, `%02x`, `%02x`, `%x`. */
export interface AddressFields {
  readonly domain: string
  readonly bus: string
  readonly slot: string
  readonly func: string
}

type Field = keyof AddressFields

export interface AddressSpec {
  /** Names exactly one function. */
  readonly single: AddressFields | undefined
  matches(address: AddressFields): boolean
}

const ANY = '*'
const FIELDS: readonly Field[] = ['domain', 'bus', 'slot', 'func']
const LIMITS: Readonly<Record<Field, readonly [maximum: number, digits: number]>> = {
  domain: [0xffff, 4],
  bus: [0xff, 2],
  slot: [0x1f, 2],
  func: [0x7, 1],
}

/** Throws `invalidDocument` (PciConfigInvalidSpec) unless it is hexadecimal and within the limit; a wildcard passes. */
export function hexField(field: string, text: string, maximum: number, digits: number): string {
  if (text === ANY) return ANY
  // Python's int(text, 16): blanks around, a prefix and underscores between digits are fine.
  const trimmed = text.trim().toLowerCase()
  if (!/^(?:0x)?[0-9a-f]+(?:_[0-9a-f]+)*$/.test(trimmed)) {
    return refusePolicy(`device_spec: ${field} "${text}" is not hexadecimal`, {
      errorClass: 'PciConfigInvalidSpec',
      field,
      reason: 'not-hex',
    })
  }
  const value = Number.parseInt(trimmed.replace(/^0x|_/g, ''), 16)
  if (value <= maximum) return value.toString(16).padStart(digits, '0')
  return refusePolicy(`device_spec: ${field} ${text} is above ${maximum.toString(16).toUpperCase()}`, {
    errorClass: 'PciConfigInvalidSpec',
    field,
    reason: 'above-maximum',
    maximum: maximum.toString(16).toUpperCase(),
  })
}

const wrongFormat = (address: unknown): never =>
  refusePolicy(`device_spec: address ${JSON.stringify(address)} has the wrong format`, {
    errorClass: 'PciDeviceWrongAddressFormat',
    field: 'address',
  })

/** One full address. Throws `invalidDocument`, also for a domain beyond 16 bits. */
export function parseAddress(address: string): AddressFields {
  const [head = '', func = ''] = split(address)
  const parts = head.split(':')
  if (parts.length !== 3) return wrongFormat(address)
  const [domain, bus, slot] = parts as [string, string, string]
  return checked({ domain, bus, slot, func })
}

/** Everything before and after the first dot. */
function split(text: string): [head: string, func: string] {
  const at = text.indexOf('.')
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

function checked(fields: AddressFields): AddressFields {
  const result = { ...fields }
  // The function first, as upstream: it decides which error a wrong address gets.
  for (const field of ['func', 'domain', 'bus', 'slot'] as const) {
    result[field] = hexField(field, fields[field], ...LIMITS[field])
  }
  return result
}

/** A glob: leading fields may be left out, empty ones stand for any. */
export function globSpec(text: string): AddressSpec {
  const [head, func] = split(text)
  const parts = head === '' ? [] : head.split(':')
  if (parts.length > 3) return wrongFormat(text)
  const padded = [
    ...Array.from({ length: 3 - parts.length }, () => ANY),
    ...parts.map(part => part.trim() || ANY),
  ]
  const [domain, bus, slot] = padded as [string, string, string]
  const fields = checked({ domain, bus, slot, func: func === '' ? ANY : func.trim() })
  const single = FIELDS.every(field => fields[field] !== ANY) ? fields : undefined
  return {
    single,
    matches: address => FIELDS.every(field => fields[field] === ANY || fields[field] === address[field]),
  }
}

/** Regular expressions that must match from the beginning of a field, not up to its end. */
export function regexSpec(given: Readonly<Record<string, unknown>>): AddressSpec {
  const texts = FIELDS.map(field => String(given[field === 'func' ? 'function' : field] ?? '.*'))
  let patterns: RegExp[]
  try {
    patterns = texts.map(text => new RegExp(`^(?:${text})`))
  } catch {
    return wrongFormat(given)
  }
  const [domain, bus, slot, func] = texts as [string, string, string, string]
  const literal = texts.every(text => /^[0-9a-fA-F]*$/.test(text))
  return {
    single: literal ? { domain, bus, slot, func } : undefined,
    matches: address => FIELDS.every((field, index) => patterns[index]!.test(address[field])),
  }
}

/** Text is a glob, an object regular expressions; anything else is refused. */
export function parseAddressSpec(value: unknown): AddressSpec {
  if (typeof value === 'string') return globSpec(value)
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return regexSpec(value as Readonly<Record<string, unknown>>)
  return wrongFormat(value)
}

export const sameAddress = (one: AddressFields, other: AddressFields): boolean =>
  FIELDS.every(field => one[field] === other[field])
