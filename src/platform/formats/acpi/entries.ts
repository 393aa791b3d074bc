/** Tables that are a fixed part and a list of entries with one-byte type and length: MADT and SRAT. */
import {
  type AnyLayout,
  decodeStructure,
  encodeStructure,
  malformed,
  structuresOf,
  type UnknownStructure,
  type ValuesOf,
  withHeader,
} from './layout.ts'

export type EntryFormats = Readonly<Record<string, { readonly type: number; readonly fixed: AnyLayout }>>

export type EntryOf<S extends EntryFormats> =
  | { readonly [K in keyof S & string]: { readonly kind: K } & ValuesOf<S[K]['fixed']> }[keyof S & string]
  | UnknownStructure

export function decodeEntries<S extends EntryFormats>(
  table: string,
  formats: S,
  bytes: Uint8Array,
  start: number,
): EntryOf<S>[] {
  const kinds = Object.entries(formats)
  return [...structuresOf(table, bytes, start, 1)].map(({ type, at, end }) => {
    const found = kinds.find(([, format]) => format.type === type)
    if (found === undefined) return { kind: 'unknown', bytes: bytes.slice(at, end) }
    const [kind, { fixed }] = found
    if (end - at !== fixed.size)
      malformed(table, at + 1, `${kind} takes ${fixed.size} bytes, not ${end - at}`)
    return { kind, ...decodeStructure(table, fixed, bytes, at, end, 2) } as unknown as EntryOf<S>
  })
}

export const encodeEntries = <S extends EntryFormats>(
  formats: S,
  entries: readonly EntryOf<S>[],
): Uint8Array[] =>
  entries.map(entry => {
    if (entry.kind === 'unknown') return (entry as UnknownStructure).bytes
    const { type, fixed } = formats[entry.kind]!
    return withHeader(encodeStructure(fixed, entry as never), type, 1)
  })
