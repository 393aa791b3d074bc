/** ACPI tables that describe the board, and the page with the memory map: built and put where kernels look for them. */
import { assert, NorthbridgeError, PAGE_SIZE } from '../core/index.ts'
import type { Board, BoardRemappingUnit, BoardScope } from '../platform/board.ts'
import {
  AFFINITY_ENABLED,
  ATSR_FLAGS,
  type DeviceScope,
  DMAR_FLAGS,
  type DmarStructure,
  DRHD_FLAGS,
  encodeDmar,
  encodeHpet,
  encodeMadt,
  encodeMcfg,
  encodeRsdp,
  encodeSrat,
  encodeXsdt,
  LOCAL_APIC_FLAGS,
  MADT_FLAGS,
  type MadtEntry,
  RSDP_SEARCH,
  RSDP_SIZE,
  SATC_FLAGS,
  SCOPE_TYPE,
  type SratEntry,
  type TableHeader,
} from '../platform/formats/acpi/index.ts'
import {
  BOOT_PARAMETERS_ADDRESS,
  encodeBootParameters,
  MEMORY_TYPE,
  type MemoryMapEntry,
} from '../platform/formats/boot-parameters.ts'
import type { MachinePort } from '../platform/machine-port.ts'

const LOCAL_APIC_BASE = 0xfee0_0000
/** The first local APIC id that only a local x2APIC entry can carry. */
const FIRST_X2APIC_ID = 0xff
/** What the I/O controller hubs are given, in ticks. */
const HPET_MINIMUM_TICK = 0x80
/** From the boot parameters to 1 MiB nothing is for the kernel to use. */
const CONVENTIONAL_END = BOOT_PARAMETERS_ADDRESS
const EXTENDED_BASE = 0x10_0000

const header = (signature: string, revision: number): TableHeader => ({
  signature,
  revision,
  oemId: 'NRTHBR',
  oemTableId: 'NORTHBRG',
  oemRevision: 1,
  creatorId: 'NBFW',
  creatorRevision: 1,
})

export interface PlacedTable {
  readonly signature: string
  /** Physical address and length in bytes. */
  readonly address: number
  readonly length: number
}

/** Writes RSDP, XSDT, all tables and the boot parameters. Throws `outOfResources` if the tables outgrow their place. */
export function placeTables(machine: MachinePort): PlacedTable[] {
  const { board } = machine
  const tables = [madt(board), mcfg(board)]
  if (board.remapping.units.length > 0) tables.push(dmar(board))
  if (board.hpet !== undefined) tables.push(hpet(board.hpet))
  if (board.memoryAffinity.some(({ numaNode }) => numaNode >= 0)) tables.push(srat(board))

  let next = RSDP_SEARCH.base + alignUp(RSDP_SIZE)
  const placed: PlacedTable[] = []
  const put = (signature: string, bytes: Uint8Array, address = next): number => {
    if (address + bytes.length - 1 > RSDP_SEARCH.limit) {
      throw new NorthbridgeError('outOfResources', `the ACPI tables outgrow their 128 KiB with ${signature}`)
    }
    assert(machine.writeBytes(address, bytes), 'the range where the RSDP is looked for is RAM')
    placed.push({ signature, address, length: bytes.length })
    next = Math.max(next, address + alignUp(bytes.length))
    return address
  }
  const addresses = tables.map(table => put(Buffer.from(table.subarray(0, 4)).toString('latin1'), table))
  const xsdtAddress = put('XSDT', encodeXsdt({ header: header('XSDT', 1), addresses }))
  const rsdp = { oemId: header('XSDT', 1).oemId, revision: 2, rsdtAddress: 0, xsdtAddress }
  put('RSDP', encodeRsdp(rsdp), RSDP_SEARCH.base)
  const parameters = encodeBootParameters({
    rsdp: RSDP_SEARCH.base,
    memoryMap: memoryMap(board),
    hostBridges: board.hostBridges,
    aperture: board.remapping.apertureBase,
  })
  assert(machine.writeBytes(BOOT_PARAMETERS_ADDRESS, parameters), 'conventional memory is RAM')
  return placed
}

const alignUp = (size: number): number => Math.ceil(size / RSDP_SEARCH.alignment) * RSDP_SEARCH.alignment

/** RAM for the kernel, without the reserved memory regions and the legacy range. */
function memoryMap({ ram, remapping }: Board): MemoryMapEntry[] {
  const reserved = [
    { base: CONVENTIONAL_END, end: EXTENDED_BASE },
    ...remapping.reservedMemory.map(({ base, limit }) => ({
      base,
      end: Math.ceil((limit + 1) / PAGE_SIZE) * PAGE_SIZE,
    })),
  ].sort((a, b) => a.base - b.base)
  const entries: MemoryMapEntry[] = []
  for (const { base, size } of ram) {
    let next = base
    const upTo = (end: number, type: number): void => {
      const limit = Math.min(end, base + size)
      if (limit <= next) return
      entries.push({ base: next, size: limit - next, type })
      next = limit
    }
    for (const hole of reserved) {
      upTo(hole.base, MEMORY_TYPE.usable)
      upTo(hole.end, MEMORY_TYPE.reserved)
    }
    upTo(base + size, MEMORY_TYPE.usable)
  }
  return entries
}

function madt({ processors, ioApics }: Board): Uint8Array {
  const flags = LOCAL_APIC_FLAGS.ENABLED
  const entries: MadtEntry[] = processors.map(({ apicId }, processorUid) =>
    apicId < FIRST_X2APIC_ID && processorUid < FIRST_X2APIC_ID
      ? { kind: 'localApic', processorUid, apicId, flags }
      : { kind: 'localX2Apic', processorUid, apicId, flags },
  )
  for (const { id, base, interruptBase } of ioApics) {
    entries.push({ kind: 'ioApic', ioApicId: id, address: base, interruptBase })
  }
  return encodeMadt({
    header: header('APIC', 5),
    localApicAddress: LOCAL_APIC_BASE,
    flags: MADT_FLAGS.PCAT_COMPAT,
    entries,
  })
}

const mcfg = ({ ecam }: Board): Uint8Array =>
  encodeMcfg({
    header: header('MCFG', 1),
    allocations: ecam.map(({ segment, base, lastBus }) => ({ base, segment, startBus: 0, endBus: lastBus })),
  })

const hpet = ({ base, blockId }: NonNullable<Board['hpet']>): Uint8Array =>
  encodeHpet({
    header: header('HPET', 1),
    blockId,
    addressSpace: 0,
    registerWidth: 64,
    registerOffset: 0,
    accessSize: 0,
    base,
    number: 0,
    minimumTick: HPET_MINIMUM_TICK,
    pageProtection: 0,
  })

function srat({ processors, memoryAffinity }: Board): Uint8Array {
  const entries: SratEntry[] = []
  for (const { apicId, numaNode } of processors) {
    if (numaNode < 0) continue
    entries.push(
      apicId < FIRST_X2APIC_ID
        ? {
            kind: 'processor',
            apicId,
            proximityLow: numaNode & 0xff,
            proximityHigh: numaNode >>> 8,
            flags: AFFINITY_ENABLED,
            sapicEid: 0,
            clockDomain: 0,
          }
        : { kind: 'x2Apic', apicId, proximityDomain: numaNode, flags: AFFINITY_ENABLED, clockDomain: 0 },
    )
  }
  for (const { base, size, numaNode } of memoryAffinity) {
    if (numaNode >= 0)
      entries.push({ kind: 'memory', proximityDomain: numaNode, base, size, flags: AFFINITY_ENABLED })
  }
  return encodeSrat({ header: header('SRAT', 3), one: 1, entries })
}

/** The wiring of the remapping units, structures in ascending order of their types. */
function dmar({ remapping }: Board): Uint8Array {
  const { units, reservedMemory, atsPorts, integratedCaches } = remapping
  const { hostAddressWidth, interruptRemapping, namespaceDevices } = remapping
  // An INCLUDE_PCI_ALL unit is listed behind all others of its segment.
  const lastOf = (segment: number): number => units.findLastIndex(unit => unit.segment === segment)
  const position = (unit: BoardRemappingUnit): number =>
    unit.includeAll ? lastOf(unit.segment) + 0.5 : units.indexOf(unit)
  const ordered = [...units].sort((a, b) => position(a) - position(b))
  const structures: DmarStructure[] = [
    ...ordered.map(({ includeAll, segment, registerBase, scopes }) => ({
      kind: 'DRHD' as const,
      flags: includeAll ? DRHD_FLAGS.INCLUDE_PCI_ALL : 0,
      size: 0,
      segment,
      registerBase,
      scopes: scopes.map(deviceScope),
    })),
    ...reservedMemory.map(({ segment, base, limit, scopes }) => ({
      kind: 'RMRR' as const,
      segment,
      base,
      limit,
      scopes: scopes.map(deviceScope),
    })),
    ...atsPorts.map(({ segment, allPorts, scopes }) => ({
      kind: 'ATSR' as const,
      flags: allPorts ? ATSR_FLAGS.ALL_PORTS : 0,
      segment,
      scopes: scopes.map(deviceScope),
    })),
    ...units
      .filter(({ numaNode }) => numaNode >= 0)
      .map(({ registerBase, numaNode }) => ({
        kind: 'RHSA' as const,
        registerBase,
        proximityDomain: numaNode,
      })),
    ...namespaceDevices.map(({ number, path }) => ({
      kind: 'ANDD' as const,
      deviceNumber: number,
      name: new TextEncoder().encode(`${path}\0`),
    })),
    ...integratedCaches.map(({ segment, required, scopes }) => ({
      kind: 'SATC' as const,
      flags: required ? SATC_FLAGS.ATC_REQUIRED : 0,
      segment,
      scopes: scopes.map(deviceScope),
    })),
  ]
  const flags = interruptRemapping ? DMAR_FLAGS.INTR_REMAP : 0
  return encodeDmar({ header: header('DMAR', 1), hostAddressWidth, flags, structures })
}

const deviceScope = ({ kind, enumerationId, path }: BoardScope): DeviceScope => ({
  type: SCOPE_TYPE[kind],
  enumerationId,
  startBus: path.rootBus,
  path: path.steps,
})
