/** What all ACPI tables share: the header ("System Description Table Header") and the checksum over every byte. */
import { concatenate, decodeStructure, encodeStructure, layout, malformed } from './layout.ts'

export interface TableHeader {
  /** Four characters, e.g. `DMAR`. */
  readonly signature: string
  readonly revision: number
  /** Six, eight and four characters. */
  readonly oemId: string
  readonly oemTableId: string
  readonly oemRevision: number
  readonly creatorId: string
  readonly creatorRevision: number
}

/** Bytes of the header. */
export const TABLE_HEADER_SIZE = 36

const HEADER = layout(TABLE_HEADER_SIZE, {
  length: [4, 4],
  revision: [8, 1],
  oemRevision: [24, 4],
  creatorRevision: [32, 4],
})

/** Sum of all bytes modulo 256, which is 0 for a sound table. */
export const checksumOf = (bytes: Uint8Array): number => bytes.reduce((sum, byte) => (sum + byte) & 0xff, 0)

export const textAt = (bytes: Uint8Array, offset: number, length: number): string =>
  Buffer.from(bytes.subarray(offset, offset + length)).toString('latin1')

export function putText(bytes: Uint8Array, offset: number, length: number, text: string): void {
  bytes.set(Buffer.from(text.padEnd(length).slice(0, length), 'latin1'), offset)
}

/** Length in bytes that a table's header states. Needs the first 36 bytes only. */
export function tableLength(bytes: Uint8Array): number {
  return decodeStructure('ACPI table', HEADER, bytes, 0, bytes.length).length
}

/** Decodes the header of a whole table. Throws `malformedInput` if signature, length or checksum are wrong. */
export function decodeHeader(bytes: Uint8Array, signature?: string): TableHeader {
  const name = signature ?? 'ACPI table'
  const { length, revision, oemRevision, creatorRevision } = decodeStructure(
    name,
    HEADER,
    bytes,
    0,
    bytes.length,
  )
  const found = textAt(bytes, 0, 4)
  if (signature !== undefined && found !== signature)
    malformed(name, 0, `the signature is ${JSON.stringify(found)}`)
  if (length !== bytes.length)
    malformed(name, 4, `the length is ${length}, but there are ${bytes.length} bytes`)
  if (checksumOf(bytes) !== 0) malformed(name, 9, 'the bytes of a table add up to 0 modulo 256')
  return {
    signature: found,
    revision,
    oemId: textAt(bytes, 10, 6),
    oemTableId: textAt(bytes, 16, 8),
    oemRevision,
    creatorId: textAt(bytes, 28, 4),
    creatorRevision,
  }
}

/** A whole table: header, then the parts, with length and checksum right. */
export function encodeTable(header: TableHeader, ...parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, TABLE_HEADER_SIZE)
  const bytes = concatenate(encodeStructure(HEADER, { ...header, length }), ...parts)
  putText(bytes, 0, 4, header.signature)
  putText(bytes, 10, 6, header.oemId)
  putText(bytes, 16, 8, header.oemTableId)
  putText(bytes, 28, 4, header.creatorId)
  bytes[9] = (256 - checksumOf(bytes)) & 0xff
  return bytes
}
