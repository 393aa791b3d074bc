/** Where an operating system starts: "Root System Description Pointer", RSDT and XSDT. */
import {
  concatenate,
  decodeStructure,
  encodeStructure,
  type FieldLayout,
  layout,
  malformed,
  type StructureLayout,
} from './layout.ts'
import {
  checksumOf,
  decodeHeader,
  encodeTable,
  putText,
  TABLE_HEADER_SIZE,
  type TableHeader,
  textAt,
} from './table.ts'

export interface Rsdp {
  readonly oemId: string
  /** 0 for ACPI 1.0 (20 bytes, RSDT only), 2 since. */
  readonly revision: number
  readonly rsdtAddress: number
  /** 0 if there is none. */
  readonly xsdtAddress: number
}

export const RSDP_SIGNATURE = 'RSD PTR '
export const RSDP_SIZE = 36
/** Software looks for the RSDP on 16-byte boundaries of this range. */
export const RSDP_SEARCH = { base: 0xe_0000, limit: 0xf_ffff, alignment: 16 } as const

const RSDP_1 = layout(20, { revision: [15, 1], rsdtAddress: [16, 4] })
const RSDP_2 = layout(RSDP_SIZE, {
  revision: [15, 1],
  rsdtAddress: [16, 4],
  length: [20, 4],
  xsdtAddress: [24, 8],
})

/** Whether a sound RSDP starts with these bytes: signature and the checksum of the first 20. */
export const isRsdp = (bytes: Uint8Array): boolean =>
  bytes.length >= RSDP_1.size &&
  textAt(bytes, 0, 8) === RSDP_SIGNATURE &&
  checksumOf(bytes.subarray(0, RSDP_1.size)) === 0

export function decodeRsdp(bytes: Uint8Array): Rsdp {
  if (!isRsdp(bytes)) malformed('RSDP', 0, 'signature and checksum of the first 20 bytes')
  const oemId = textAt(bytes, 9, 6)
  const first = decodeStructure('RSDP', RSDP_1, bytes, 0, bytes.length)
  if (first.revision < 2)
    return { oemId, revision: first.revision, rsdtAddress: first.rsdtAddress, xsdtAddress: 0 }
  const { revision, rsdtAddress, xsdtAddress } = decodeStructure('RSDP', RSDP_2, bytes, 0, bytes.length)
  if (checksumOf(bytes.subarray(0, RSDP_SIZE)) !== 0) malformed('RSDP', 32, 'the extended checksum')
  return { oemId, revision, rsdtAddress, xsdtAddress }
}

export function encodeRsdp(rsdp: Rsdp): Uint8Array {
  const bytes =
    rsdp.revision < 2
      ? encodeStructure(RSDP_1, rsdp)
      : encodeStructure(RSDP_2, { ...rsdp, length: RSDP_SIZE })
  putText(bytes, 0, 8, RSDP_SIGNATURE)
  putText(bytes, 9, 6, rsdp.oemId)
  bytes[8] = (256 - checksumOf(bytes.subarray(0, RSDP_1.size))) & 0xff
  if (bytes.length > RSDP_1.size) bytes[32] = (256 - checksumOf(bytes)) & 0xff
  return bytes
}

/** The RSDT (4-byte addresses) or XSDT (8-byte addresses): where all other tables are. */
export interface RootTable {
  readonly header: TableHeader
  readonly addresses: readonly number[]
}

const ENTRY: Readonly<Record<'RSDT' | 'XSDT', StructureLayout<{ address: FieldLayout }>>> = {
  RSDT: layout(4, { address: [0, 4] }),
  XSDT: layout(8, { address: [0, 8] }),
}

function decodeRootTable(bytes: Uint8Array, signature: 'RSDT' | 'XSDT'): RootTable {
  const header = decodeHeader(bytes, signature)
  const entry = ENTRY[signature]
  const addresses: number[] = []
  for (let at = TABLE_HEADER_SIZE; at < bytes.length; at += entry.size) {
    addresses.push(decodeStructure(signature, entry, bytes, at, bytes.length).address)
  }
  return { header, addresses }
}

function encodeRootTable({ header, addresses }: RootTable, signature: 'RSDT' | 'XSDT'): Uint8Array {
  const entries = addresses.map(address => encodeStructure(ENTRY[signature], { address }))
  return encodeTable({ ...header, signature }, concatenate(...entries))
}

export const decodeXsdt = (bytes: Uint8Array): RootTable => decodeRootTable(bytes, 'XSDT')
export const encodeXsdt = (table: RootTable): Uint8Array => encodeRootTable(table, 'XSDT')
export const decodeRsdt = (bytes: Uint8Array): RootTable => decodeRootTable(bytes, 'RSDT')
export const encodeRsdt = (table: RootTable): Uint8Array => encodeRootTable(table, 'RSDT')
