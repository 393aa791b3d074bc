/** "PCI Express memory mapped configuration space" table (MCFG), PCI Firmware Specification. */
import { decodeStructure, encodeStructure, layout, type ReservedByte, type ValuesOf } from './layout.ts'
import { decodeHeader, encodeTable, type TableHeader } from './table.ts'

const RESERVED = layout(8, {})
/** `base` is the address that bus 0 of the segment would have, even if `startBus` is not 0. */
const ALLOCATION = layout(16, { base: [0, 8], segment: [8, 2], startBus: [10, 1], endBus: [11, 1] })

export type McfgAllocation = ValuesOf<typeof ALLOCATION>

export interface Mcfg {
  readonly header: TableHeader
  readonly allocations: readonly McfgAllocation[]
  readonly reserved?: readonly ReservedByte[]
}

export function decodeMcfg(bytes: Uint8Array): Mcfg {
  const header = decodeHeader(bytes, 'MCFG')
  const { reserved } = decodeStructure('MCFG', RESERVED, bytes, 36, bytes.length)
  const allocations: McfgAllocation[] = []
  for (let at = 36 + RESERVED.size; at < bytes.length; at += ALLOCATION.size) {
    allocations.push(decodeStructure('MCFG', ALLOCATION, bytes, at, bytes.length))
  }
  return { header, allocations, ...(reserved && { reserved }) }
}

export const encodeMcfg = ({ header, allocations, reserved }: Mcfg): Uint8Array =>
  encodeTable(
    header,
    encodeStructure(RESERVED, reserved === undefined ? {} : { reserved }),
    ...allocations.map(allocation => encodeStructure(ALLOCATION, allocation)),
  )
