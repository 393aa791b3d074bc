/** "HPET Description Table" (HPET), IA-PC HPET Specification. */
import { decodeStructure, encodeStructure, layout, type ReservedByte } from './layout.ts'
import { decodeHeader, encodeTable, type TableHeader } from './table.ts'

/** `base` with the three fields before it is a generic address: space 0 is memory. */
const TABLE = layout(20, {
  blockId: [0, 4],
  addressSpace: [4, 1],
  registerWidth: [5, 1],
  registerOffset: [6, 1],
  accessSize: [7, 1],
  base: [8, 8],
  number: [16, 1],
  minimumTick: [17, 2],
  pageProtection: [19, 1],
})

export interface Hpet {
  readonly header: TableHeader
  /** The low word of General Capabilities and ID. */
  readonly blockId: number
  readonly addressSpace: number
  readonly registerWidth: number
  readonly registerOffset: number
  readonly accessSize: number
  readonly base: number
  readonly number: number
  /** The shortest period that does not lose interrupts, in ticks. */
  readonly minimumTick: number
  readonly pageProtection: number
  readonly reserved?: readonly ReservedByte[]
}

export const decodeHpet = (bytes: Uint8Array): Hpet => ({
  header: decodeHeader(bytes, 'HPET'),
  ...decodeStructure('HPET', TABLE, bytes, 36, bytes.length),
})

export const encodeHpet = (table: Hpet): Uint8Array =>
  encodeTable(table.header, encodeStructure(TABLE, table))
