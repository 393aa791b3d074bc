/** Soldering: from the plan of a platform to its parts, each connected to what it reaches. */
import { type Engine, pause, type Software } from '../engine/index.ts'
import { ApertureUnit } from '../gart/index.ts'
import { ApicBus, EVENT_TIMER_SIZE, EventTimer, IoApic } from '../interrupts/index.ts'
import { PhysicalMemory, SystemAddressMap } from '../memory/index.ts'
import { Fabric, HostBridge, type PcieFunction } from '../pcie/index.ts'
import { LogicalProcessor } from '../vmx/index.ts'
import { RemappingUnit } from '../vtd/index.ts'
import { ECAM_SIZE, HPET_BASE, IO_APIC_BASE, IO_APIC_REQUESTER_ID, segmentsOf } from './address-layout.ts'
import type { Board } from './board.ts'
import { ConfigurationPorts, EnhancedConfigurationAccess } from './configuration-access.ts'
import { DeviceModels } from './device-models.ts'
import { boardPathOf, type PlacedNode, pathText } from './function-paths.ts'
import { IO_APIC_ID } from './make-board.ts'
import { FUNCTIONS_PER_PAUSE, type PlatformPlan } from './plan.ts'
import { PlatformPorts } from './ports.ts'
import { RegisterWindow } from './register-window.ts'
import { RootComplex } from './root-complex.ts'
import type { Topology } from './topology-schema.ts'
import { apertureOf, unitIdOf, unitIdOfIoApic, unitsOf } from './wiring.ts'

/** The parts of a machine, wired. */
export interface PlatformParts {
  readonly topology: Topology
  readonly board: Board
  readonly map: SystemAddressMap
  readonly fabric: Fabric
  readonly rootComplex: RootComplex
  readonly units: readonly RemappingUnit[]
  /** Instead of units: the one address-range unit that all requests pass. */
  readonly aperture: ApertureUnit | undefined
  readonly processors: readonly LogicalProcessor[]
  readonly ioApic: IoApic
  /** On boards that have one. */
  readonly eventTimer: EventTimer | undefined
  readonly ports: PlatformPorts
  readonly models: DeviceModels
}

/** Pins of the I/O APIC, as in the I/O controller hubs. */
const IO_APIC_PINS = 24
const IO_APIC_SIZE = 0x1000

export function* assemble(plan: PlatformPlan, engine: Engine): Software<PlatformParts> {
  const { topology, board, layout } = plan
  const memory = new PhysicalMemory(layout.ram)
  const map = new SystemAddressMap(memory)
  const apics = new ApicBus()
  const described = apertureOf(topology)
  const aperture = described && new ApertureUnit(described, memory)
  if (aperture !== undefined) map.add({ name: aperture.id, ...layout.aperture!, target: aperture })

  const fabric = new Fabric()
  const models = new DeviceModels(engine, fabric)
  const rootComplex = new RootComplex({ memory, apics, fabric, aperture, trace: engine.trace })
  const units = unitsOf(topology).map(
    ({ id, segment, capabilities, completionLatencyNs }, index) =>
      new RemappingUnit(
        {
          id,
          index,
          hostAddressWidth: topology.hostAddressWidth,
          ...(capabilities && { capabilities }),
          completionLatency: completionLatencyNs ?? 0,
        },
        { memory, interrupts: apics, engine, deviceTlbs: rootComplex.deviceTlbPort(segment) },
      ),
  )
  for (const [i, unit] of units.entries()) map.add({ name: unit.id, ...layout.units[i]!, target: unit })
  yield* plug(plan, fabric, rootComplex, units, engine, models)
  for (const { segment, base } of layout.ecam) {
    const target = new EnhancedConfigurationAccess(fabric, segment)
    map.add({ name: `configuration space ${segment}`, base, size: ECAM_SIZE, target })
  }
  for (const window of [layout.memory32, layout.memory64]) {
    map.add({ name: 'host bridges', ...window, target: new RegisterWindow(fabric, window.base) })
  }

  const segment = segmentsOf(topology)[0]!
  const ioApicUnit = units.find(unit => unit.id === unitIdOfIoApic(topology, segment))
  const ioApic = new IoApic({
    id: IO_APIC_ID,
    entries: IO_APIC_PINS,
    send: (addressLow, data) => rootComplex.ioApicMessage(ioApicUnit, IO_APIC_REQUESTER_ID, addressLow, data),
  })
  apics.addListener(ioApic)
  map.add({ name: 'I/O APIC', base: IO_APIC_BASE, size: IO_APIC_SIZE, target: ioApic })
  const eventTimer = topology.hpet ? new EventTimer(engine) : undefined
  if (eventTimer !== undefined) {
    map.add({ name: 'event timer', base: HPET_BASE, size: EVENT_TIMER_SIZE, target: eventTimer })
  }

  const ports = new PlatformPorts(new ConfigurationPorts(fabric, segment), fabric)
  const capabilities = { physicalAddressWidth: topology.hostAddressWidth, vmwriteAnyField: true }
  const processors = board.processors.map(
    ({ apicId }, number) =>
      new LogicalProcessor({ number, apicId, capabilities }, { map, bus: apics, ports, engine }),
  )
  return {
    topology,
    board,
    map,
    fabric,
    rootComplex,
    units,
    aperture,
    processors,
    ioApic,
    eventTimer,
    ports,
    models,
  }
}

/** Makes every function of the document, parents first, and wires those on root buses. */
function* plug(
  { topology, board, functions }: PlatformPlan,
  fabric: Fabric,
  rootComplex: RootComplex,
  units: readonly RemappingUnit[],
  engine: Engine,
  models: DeviceModels,
): Software {
  const bridges = board.hostBridges.map(({ segment, bus, lastBus }, i) => {
    const { peerToPeer, directPeerToPeer } = topology.hostBridges[i]!
    const options = { segment, bus, lastBus, clock: engine, peerToPeer, directPeerToPeer }
    const bridge = new HostBridge(options, rootComplex)
    fabric.add(bridge)
    bridge.onFunctionAdded = fn => models.added(fn)
    return bridge
  })
  const plugged = new Map<PlacedNode, PcieFunction>()
  let count = 0
  for (const { placed, definition } of functions) {
    const { slot, parent, hostBridge, node } = placed
    const fn = bridges[placed.hostBridgeIndex]!.addFunction(
      slot.device,
      slot.fn,
      definition,
      parent && plugged.get(parent),
    )
    plugged.set(placed, fn)
    if (parent === undefined) {
      const id = unitIdOf(topology, hostBridge, node)
      const unit = units.find(candidate => candidate.id === id)
      if (unit !== undefined) rootComplex.wire(fn, unit)
    }
    if (++count % FUNCTIONS_PER_PAUSE === 0) yield* pause()
  }
  for (const { segment, functions: ends } of topology.wires ?? []) {
    const [first, second] = ends.map(path => {
      const isThere = ({ placed }: (typeof functions)[number]): boolean =>
        placed.hostBridge.segment === segment && pathText(boardPathOf(placed)) === path.toLowerCase()
      return plugged.get(functions.find(isThere)!.placed)!
    })
    models.connect(first!, second)
  }
}
