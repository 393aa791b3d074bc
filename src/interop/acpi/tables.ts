/** The ACPI tables of a running machine, found as a kernel finds them: RSDP, XSDT or RSDT, tables. */
import { assert } from '../../core/index.ts'
import {
  decodeRsdp,
  decodeRsdt,
  decodeXsdt,
  isRsdp,
  RSDP_SEARCH,
  RSDP_SIZE,
  TABLE_HEADER_SIZE,
  tableLength,
  textAt,
} from '../../platform/formats/acpi/index.ts'
import type { MachinePort } from '../../platform/index.ts'

/** By signature; the first of those that share one. Empty if no RSDP is in memory. */
export function readAcpiTables(machine: MachinePort): ReadonlyMap<string, Uint8Array> {
  const tables = new Map<string, Uint8Array>()
  const { base, limit, alignment } = RSDP_SEARCH
  for (let at = base; at <= limit; at += alignment) {
    const pointer = bytesAt(machine, at, RSDP_SIZE)
    if (!isRsdp(pointer)) continue
    const { xsdtAddress, rsdtAddress } = decodeRsdp(pointer)
    const { addresses } =
      xsdtAddress === 0
        ? decodeRsdt(tableAt(machine, rsdtAddress))
        : decodeXsdt(tableAt(machine, xsdtAddress))
    for (const address of addresses) {
      const table = tableAt(machine, address)
      const signature = textAt(table, 0, 4)
      if (!tables.has(signature)) tables.set(signature, table)
    }
    break
  }
  return tables
}

const tableAt = (machine: MachinePort, address: number): Uint8Array =>
  bytesAt(machine, address, tableLength(bytesAt(machine, address, TABLE_HEADER_SIZE)))

function bytesAt(machine: MachinePort, address: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  assert(machine.readBytes(address, bytes), 'tables that firmware hands over lie in RAM')
  return bytes
}
