/** The board description of a topology: what the firmware of this machine was compiled with. */
import { EVENT_TIMER_ID } from '../interrupts/index.ts'
import type { FunctionDefinition } from '../pcie/index.ts'
import {
  type AddressLayout,
  HPET_BASE,
  IO_APIC_BASE,
  IO_APIC_REQUESTER_ID,
  segmentsOf,
} from './address-layout.ts'
import type { Board, BoardPath, BoardPreset, BoardRemappingUnit, BoardScope } from './board.ts'
import { boardPathOf, type PlacedNode, pathText } from './function-paths.ts'
import { lastBusOf } from './host-bridge-buses.ts'
import type { Topology, TopologyNode } from './topology-schema.ts'
import { unitIdOf, unitIdOfIoApic, unitsOf } from './wiring.ts'

/** A function of the document with what it is. */
export interface ResolvedFunction {
  readonly placed: PlacedNode
  readonly definition: FunctionDefinition
}

export const IO_APIC_ID = 0

export function makeBoard(
  topology: Topology,
  layout: AddressLayout,
  functions: readonly ResolvedFunction[],
): Board {
  const segment = segmentsOf(topology)[0]!
  return {
    ram: layout.ram,
    ecam: layout.ecam.map(({ segment, base }) => ({ segment, base, lastBus: 255 })),
    hostBridges: topology.hostBridges.map(bridge => ({
      segment: bridge.segment,
      bus: bridge.bus,
      lastBus: lastBusOf(topology, bridge),
      numaNode: bridge.numaNode,
      nativeHotplug: bridge.nativeHotplug,
      windows: { io: layout.io, memory32: layout.memory32, memory64: layout.memory64 },
    })),
    processors: processorsOf(topology),
    ioApics: [
      {
        id: IO_APIC_ID,
        base: IO_APIC_BASE,
        interruptBase: 0,
        requesterId: IO_APIC_REQUESTER_ID,
        segment,
      },
    ],
    remapping: {
      hostAddressWidth: topology.hostAddressWidth,
      interruptRemapping: topology.iommu.kind === 'intel-vtd' && topology.iommu.interruptRemapping,
      units: remappingUnitsOf(topology, layout, functions, segment),
      ...describedFunctions(topology, functions),
      ...(layout.aperture && { apertureBase: layout.aperture.base }),
      namespaceDevices: namespaceDevicesOf(topology).map(({ number, path }) => ({ number, path })),
    },
    ...(topology.hpet && { hpet: { base: HPET_BASE, blockId: EVENT_TIMER_ID } }),
    memoryAffinity: layout.memoryAffinity,
    presets: functions.flatMap(({ placed }) => presetOf(placed)),
    resizableBars: topology.firmware?.resizableBars ?? 'asIs',
  }
}

/** Local APIC ids as packages number them: threads of a socket in the low bits, the socket above them. */
function processorsOf({ processors }: Topology): Board['processors'] {
  const widest = Math.max(...processors.map(socket => socket.logicalProcessors))
  const socketSize = 2 ** Math.ceil(Math.log2(widest))
  return processors.flatMap(({ numaNode, logicalProcessors }, socket) =>
    Array.from({ length: logicalProcessors }, (_, thread) => ({
      apicId: socket * socketSize + thread,
      numaNode,
    })),
  )
}

function remappingUnitsOf(
  topology: Topology,
  layout: AddressLayout,
  functions: readonly ResolvedFunction[],
  ioApicSegment: number,
): BoardRemappingUnit[] {
  const ioApicUnit = unitIdOfIoApic(topology, ioApicSegment)
  const scopes = new Map<string, BoardScope[]>(unitsOf(topology).map(unit => [unit.id, []]))
  if (ioApicUnit !== null) scopes.get(ioApicUnit)!.push(ioApicScope(ioApicSegment))
  for (const { unit, number, requesterId } of namespaceDevicesOf(topology)) {
    scopes.get(unit)?.push({ kind: 'namespace', enumerationId: number, path: pathOfRequester(requesterId) })
  }
  for (const { placed, definition } of functions) {
    if (placed.parent !== undefined) continue
    const unit = unitIdOf(topology, placed.hostBridge, placed.node)
    if (unit !== null) scopes.get(unit)!.push(scopeOf(placed, definition))
  }
  return unitsOf(topology).map(({ id, segment, includeAll, numaNode }, i) => ({
    id,
    segment,
    registerBase: layout.units[i]!.base,
    includeAll,
    // "INCLUDE_PCI_ALL": functions are not listed, only what is no PCI function of the tree.
    scopes: scopes.get(id)!.filter(({ kind }) => !includeAll || kind === 'ioapic' || kind === 'namespace'),
    numaNode,
  }))
}

const namespaceDevicesOf = ({ iommu }: Topology) => (iommu.kind === 'intel-vtd' ? iommu.namespaceDevices : [])

/** `bb:dd.f`, on the bus as it stands there. */
function pathOfRequester(text: string): BoardPath {
  const [bus, device, fn] = text.split(/[:.]/).map(part => Number.parseInt(part, 16))
  return { segment: 0, rootBus: bus!, steps: [{ device: device!, fn: fn! }] }
}

function ioApicScope(segment: number): BoardScope {
  const devfn = IO_APIC_REQUESTER_ID & 0xff
  const path: BoardPath = {
    segment,
    rootBus: IO_APIC_REQUESTER_ID >>> 8,
    steps: [{ device: devfn >>> 3, fn: devfn & 7 }],
  }
  return { kind: 'ioapic', enumerationId: IO_APIC_ID, path }
}

const scopeOf = (placed: PlacedNode, { kind }: FunctionDefinition): BoardScope => ({
  kind: kind === 'endpoint' || kind === 'hostBridge' ? 'endpoint' : 'bridge',
  enumerationId: 0,
  path: boardPathOf(placed),
})

/** What the document says of functions by their paths: reserved memory, ATS ports, integrated caches. */
function describedFunctions(
  { reservedMemory, iommu }: Topology,
  functions: readonly ResolvedFunction[],
): Pick<Board['remapping'], 'reservedMemory' | 'atsPorts' | 'integratedCaches'> {
  const { atsPorts = [], integratedCaches = [] } = iommu.kind === 'intel-vtd' ? iommu : {}
  const scopes = new Map<string, BoardScope>()
  if (reservedMemory.length + atsPorts.length + integratedCaches.length > 0) {
    for (const { placed, definition } of functions) {
      scopes.set(`${placed.hostBridge.segment}/${pathText(boardPathOf(placed))}`, scopeOf(placed, definition))
    }
  }
  const named = (segment: number, paths: readonly string[] = []): BoardScope[] =>
    paths.map(path => scopes.get(`${segment}/${path.toLowerCase()}`)!)
  return {
    reservedMemory: reservedMemory.map(({ segment, base, limit, functions: paths }) => ({
      segment,
      base: Number(base),
      limit: Number(limit),
      scopes: named(segment, paths),
    })),
    atsPorts: atsPorts.map(({ segment, allPorts, functions: paths }) => ({
      segment,
      allPorts,
      scopes: named(segment, paths),
    })),
    integratedCaches: integratedCaches.map(({ segment, required, functions: paths }) => ({
      segment,
      required,
      scopes: named(segment, paths),
    })),
  }
}

function presetOf(placed: PlacedNode): BoardPreset[] {
  const { bus, reservedBuses, reservedWindows, barAddresses, windows }: TopologyNode = placed.node
  if (!bus && !reservedBuses && !reservedWindows && !barAddresses && !windows) return []
  const { rom, ...bars } = barAddresses ?? {}
  const range = (window: { base: string; limit: string } | undefined) =>
    window && { base: Number(window.base), limit: Number(window.limit) }
  return [
    {
      path: boardPathOf(placed),
      ...(bus && { secondaryBus: bus.secondary, subordinateBus: bus.subordinate }),
      ...(reservedBuses !== undefined && { reservedBuses }),
      ...(reservedWindows !== undefined && {
        reservedWindows: {
          io: reservedWindows.ioBytes,
          memory: reservedWindows.memoryBytes,
          prefetchable: reservedWindows.prefetchableBytes,
        },
      }),
      ...(rom !== undefined && { rom: Number(rom) }),
      ...(barAddresses && {
        bars: Object.entries(bars).map(([index, text]) => ({
          index: Number(index),
          address: Number(text),
        })),
      }),
      ...(windows && {
        windows: {
          io: windows.io === null ? null : range(windows.io),
          memory: range(windows.memory),
          prefetchable: range(windows.prefetchable),
        },
      }),
    },
  ]
}
