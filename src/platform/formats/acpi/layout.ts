/**
 * How ACPI structures lie in memory, declared once as the specification's tables list them: offset and width of each
 * field. One reader and one writer serve every structure. Bytes that no field names are reserved: they are kept if
 * they are not zero, so that decoding and encoding again gives the same bytes.
 */
import { hex, NorthbridgeError } from '../../../core/index.ts'

/** Offset from the start of the structure and width, both in bytes. Little-endian. */
export type FieldLayout = readonly [offset: number, width: 1 | 2 | 3 | 4 | 8]

export interface StructureLayout<F extends Readonly<Record<string, FieldLayout>>> {
  /** Bytes of the fixed part. */
  readonly size: number
  readonly fields: F
}

/** A reserved byte that is not zero: its offset in the structure and its value. */
export type ReservedByte = readonly [offset: number, value: number]

/** A layout of whatever structure, where its kind is known only at run time. */
export type AnyLayout = StructureLayout<Readonly<Record<string, FieldLayout>>>

export type Values<F> = { readonly [Name in keyof F]: number } & {
  readonly reserved?: readonly ReservedByte[]
}

export type ValuesOf<L> = L extends StructureLayout<infer F> ? Values<F> : never

export const layout = <const F extends Readonly<Record<string, FieldLayout>>>(
  size: number,
  fields: F,
): StructureLayout<F> => Object.freeze({ size, fields })

/** Throws `malformedInput` naming table, offset and the rule that the bytes break. */
export function malformed(table: string, offset: number, rule: string): never {
  throw new NorthbridgeError('malformedInput', `${table} at offset ${hex(offset)}: ${rule}`, {
    table,
    offset,
  })
}

function readField(bytes: Uint8Array, at: number, width: number): number {
  let value = 0
  for (let i = width - 1; i >= 0; i--) value = value * 256 + bytes[at + i]!
  return value
}

function writeField(bytes: Uint8Array, at: number, width: number, value: number): void {
  for (let i = 0, rest = value; i < width; i++, rest = Math.floor(rest / 256)) bytes[at + i] = rest % 256
}

/** Decodes the fixed part of a structure that starts at `at` of a table and may use bytes up to `end`. */
export function decodeStructure<F extends Readonly<Record<string, FieldLayout>>>(
  table: string,
  { size, fields }: StructureLayout<F>,
  bytes: Uint8Array,
  at: number,
  end: number,
  /** Leading bytes that the caller decodes itself: signature, type and length. */
  headerSize = 0,
): Values<F> {
  if (end - at < size)
    malformed(table, at, `the structure needs ${size} bytes, but its length leaves ${end - at}`)
  const values: Record<string, number | readonly ReservedByte[]> = {}
  const named = new Set<number>()
  for (const [name, [offset, width]] of Object.entries(fields)) {
    const value = readField(bytes, at + offset, width)
    if (value > Number.MAX_SAFE_INTEGER) malformed(table, at + offset, `${name} is wider than 53 bits`)
    values[name] = value
    for (let i = 0; i < width; i++) named.add(offset + i)
  }
  const reserved: ReservedByte[] = []
  for (let i = headerSize; i < size; i++) {
    if (!named.has(i) && bytes[at + i] !== 0) reserved.push([i, bytes[at + i]!])
  }
  if (reserved.length > 0) values['reserved'] = reserved
  return values as Values<F>
}

/** The bytes of a structure's fixed part; the caller fills in its header. */
export function encodeStructure<F extends Readonly<Record<string, FieldLayout>>>(
  { size, fields }: StructureLayout<F>,
  values: Values<F>,
): Uint8Array {
  const bytes = new Uint8Array(size)
  for (const [offset, value] of values.reserved ?? []) bytes[offset] = value
  for (const [name, [offset, width]] of Object.entries(fields)) {
    writeField(bytes, offset, width, values[name as keyof F])
  }
  return bytes
}

export function concatenate(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

/** A structure of a kind that is not decoded, whole, with its own header. */
export interface UnknownStructure {
  readonly kind: 'unknown'
  readonly bytes: Uint8Array
}

/** Splits a table into its structures, each with a type and a length of `headerWidth` bytes each. */
export function* structuresOf(
  table: string,
  bytes: Uint8Array,
  start: number,
  headerWidth: 1 | 2,
): Generator<{ readonly type: number; readonly at: number; readonly end: number }> {
  for (let at = start; at < bytes.length; ) {
    if (bytes.length - at < 2 * headerWidth)
      malformed(table, at, 'a structure begins with its type and its length')
    const type = readField(bytes, at, headerWidth)
    const length = readField(bytes, at + headerWidth, headerWidth)
    if (length < 2 * headerWidth)
      malformed(table, at, `a structure of length ${length} has no room for its header`)
    if (at + length > bytes.length)
      malformed(table, at, `a structure of length ${length} ends beyond the table`)
    yield { type, at, end: at + length }
    at += length
  }
}

/** Writes type and length into the front of a structure. */
export function withHeader(structure: Uint8Array, type: number, headerWidth: 1 | 2): Uint8Array {
  writeField(structure, 0, headerWidth, type)
  writeField(structure, headerWidth, headerWidth, structure.length)
  return structure
}
