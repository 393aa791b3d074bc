/** What firmware left in memory for the kernel: memory map, host bridges, and the ACPI tables behind the RSDP. */
import { assert, NorthbridgeError, PAGE_SIZE, type PageNumber } from '../core/index.ts'
import {
  type Dmar,
  decodeDmar,
  decodeMadt,
  decodeMcfg,
  decodeRsdp,
  decodeXsdt,
  isRsdp,
  LOCAL_APIC_FLAGS,
  type Madt,
  RSDP_SEARCH,
  RSDP_SIZE,
  TABLE_HEADER_SIZE,
  tableLength,
  textAt,
} from '../platform/formats/acpi/index.ts'
import {
  BOOT_PARAMETERS_ADDRESS,
  BOOT_PARAMETERS_SIZE,
  decodeBootParameters,
  type HostBridgeResources,
  MEMORY_TYPE,
  type MemoryMapEntry,
} from '../platform/formats/boot-parameters.ts'
import type { MachinePort } from '../platform/machine-port.ts'

export interface FirmwareTables {
  readonly memoryMap: readonly MemoryMapEntry[]
  readonly hostBridges: readonly HostBridgeResources[]
  /** Address that bus 0 of a segment has, by segment. */
  readonly ecam: ReadonlyMap<number, number>
  /** APIC ids of enabled processors. */
  readonly apicIds: readonly number[]
  readonly dmar: Dmar | undefined
}

export function readFirmwareTables(machine: MachinePort): FirmwareTables {
  const boot = decodeBootParameters(bytesAt(machine, BOOT_PARAMETERS_ADDRESS, BOOT_PARAMETERS_SIZE))
  const tables = new Map<string, Uint8Array>()
  const root = findRsdp(machine, boot.rsdp)
  if (root !== undefined) {
    const { addresses } = decodeXsdt(tableAt(machine, decodeRsdp(root).xsdtAddress))
    for (const address of addresses) {
      const table = tableAt(machine, address)
      tables.set(textAt(table, 0, 4), table)
    }
  }
  const mcfg = tables.get('MCFG')
  const madt = tables.get('APIC')
  const dmar = tables.get('DMAR')
  return {
    memoryMap: boot.memoryMap,
    hostBridges: boot.hostBridges,
    ecam: new Map(
      mcfg === undefined ? [] : decodeMcfg(mcfg).allocations.map(({ segment, base }) => [segment, base]),
    ),
    apicIds: madt === undefined ? [] : apicIdsOf(decodeMadt(madt)),
    dmar: dmar === undefined ? undefined : decodeDmar(dmar),
  }
}

/** The pages that the kernel may use: usable by the map, above the first megabyte, which firmware and loader use. */
export function usablePages(
  memoryMap: readonly MemoryMapEntry[],
): { readonly first: PageNumber; readonly pages: number }[] {
  const usable = memoryMap
    .filter(({ type }) => type === MEMORY_TYPE.usable)
    .map(({ base, size }) => {
      const first = Math.max(Math.ceil(base / PAGE_SIZE), FIRST_MEGABYTE)
      return { first, pages: Math.floor((base + size) / PAGE_SIZE) - first }
    })
    .filter(({ pages }) => pages > 0)
  if (usable.length === 0) {
    throw new NorthbridgeError('outOfMemory', 'the memory map of the firmware lists no usable memory')
  }
  return usable
}

const FIRST_MEGABYTE = 0x10_0000 / PAGE_SIZE

/** Where the boot parameters say, or else by searching, as the specification has it. */
function findRsdp(machine: MachinePort, hint: number): Uint8Array | undefined {
  const { base, limit, alignment } = RSDP_SEARCH
  const candidates = hint === 0 ? [] : [hint]
  for (let at = base; at <= limit; at += alignment) candidates.push(at)
  return candidates.map(at => bytesAt(machine, at, RSDP_SIZE)).find(isRsdp)
}

function tableAt(machine: MachinePort, address: number): Uint8Array {
  return bytesAt(machine, address, tableLength(bytesAt(machine, address, TABLE_HEADER_SIZE)))
}

function bytesAt(machine: MachinePort, address: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  assert(machine.readBytes(address, bytes), 'what firmware hands over lies in RAM')
  return bytes
}

const apicIdsOf = ({ entries }: Madt): number[] =>
  entries.flatMap(entry =>
    (entry.kind === 'localApic' || entry.kind === 'localX2Apic') && entry.flags & LOCAL_APIC_FLAGS.ENABLED
      ? [entry.apicId]
      : [],
  )
