/** What firmware left in memory for the kernel: memory map, host bridges, and the ACPI tables behind the RSDP. */
import { assert, NorthbridgeError, PAGE_SIZE, type PageNumber, type Saved } from '../core/index.ts'
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
  /** Registers of an address-range unit. */
  readonly aperture: number | undefined
}

/** The tables as plain data. The kernel keeps what it read: memory may hold something else by now. */
export const savedTables = ({ ecam, ...tables }: FirmwareTables): Saved =>
  ({ ...tables, ecam: [...ecam] }) as unknown as Saved

export function firmwareTablesIn(saved: Saved): FirmwareTables {
  const { ecam, ...tables } = saved as unknown as Omit<FirmwareTables, 'ecam'> & {
    readonly ecam: readonly (readonly [number, number])[]
  }
  return { ...tables, ecam: new Map(ecam) }
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
    aperture: boot.aperture,
  }
}

interface PageRun {
  readonly first: PageNumber
  readonly pages: number
}

/** All memory that firmware calls usable. */
export const memoryPages = (memoryMap: readonly MemoryMapEntry[]): PageRun[] => pagesFrom(memoryMap, 0)

/**
 * The pages that the kernel hands out: usable memory from 16 MiB on. What is below is kept for ISA devices (Linux's
 * DMA zone): every ISA bridge can reach it, so that no guest's memory may lie there. Throws `outOfMemory`.
 */
export function allocatablePages(memoryMap: readonly MemoryMapEntry[]): PageRun[] {
  const runs = pagesFrom(memoryMap, DMA_ZONE_END)
  if (runs.length > 0) return runs
  throw new NorthbridgeError('outOfMemory', 'the firmware lists no usable memory above 16 MiB')
}

const DMA_ZONE_END = 0x100_0000 / PAGE_SIZE

const pagesFrom = (memoryMap: readonly MemoryMapEntry[], lowest: PageNumber): PageRun[] =>
  memoryMap
    .filter(({ type }) => type === MEMORY_TYPE.usable)
    .map(({ base, size }) => {
      const first = Math.max(Math.ceil(base / PAGE_SIZE), lowest)
      return { first, pages: Math.floor((base + size) / PAGE_SIZE) - first }
    })
    .filter(({ pages }) => pages > 0)

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
