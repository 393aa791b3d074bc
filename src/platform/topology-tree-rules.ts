/** The rules of the tree of functions below the host bridges of a topology. */
import { jsonPointer } from '../core/index.ts'
import { DEVICE_MODELS } from '../devices/index.ts'
import { pause, type Software } from '../engine/index.ts'
import { EXTENDED_CAPABILITY } from '../pcie/formats/index.ts'
import type { FunctionDefinition } from '../pcie/index.ts'
import { extendedCapabilityAt } from './config-image.ts'
import { type FunctionCatalogue, Unresolved } from './function-catalogue.ts'
import { boardPathOf, type PlacedNode, pathText, placedNodes, pointerOf, slotOf } from './function-paths.ts'
import { lastBusOf } from './host-bridge-buses.ts'
import { checkFunction, isBridging } from './topology-function-rules.ts'
import { TOPOLOGY_LIMITS, type Topology } from './topology-schema.ts'
import { checkWiring, type Report } from './wiring-rules.ts'

/** Functions looked at between two pauses. */
const FUNCTIONS_PER_PAUSE = 256

export function* treeIssues(topology: Topology, catalogue: FunctionCatalogue, report: Report): Software {
  const paths = new Set<string>()
  /** Bridges of root buses. */
  const ports = new Set<string>()
  const networkPorts = new Set<string>()
  let functions = 0
  for (const [i, hostBridge] of topology.hostBridges.entries()) {
    const last = lastBusOf(topology, hostBridge)
    let buses = 1
    // The function that a placed node resolved to; bridges are looked up by their children.
    const definitions = new Map<PlacedNode, FunctionDefinition>()
    for (const placed of placedNodes(hostBridge, i)) {
      const at = pointerOf(placed)
      const path = `${hostBridge.segment}/${pathText(boardPathOf(placed))}`
      if (paths.has(path)) report(`${at}/at`, `is taken by an earlier function: ${placed.node.at}`)
      paths.add(path)
      if (functions % FUNCTIONS_PER_PAUSE === 0) yield* pause()
      if (++functions > TOPOLOGY_LIMITS.functions) {
        report(at, `is one function more than the ${TOPOLOGY_LIMITS.functions} that a topology may have`)
        return
      }
      const definition = catalogue.resolve(placed.node, placed.multifunction)
      if (definition instanceof Unresolved) {
        report(`${at}${definition.issue.path}`, definition.issue.message)
        continue
      }
      definitions.set(placed, definition)
      if (isBridging(definition)) buses++
      if (isBridging(definition) && placed.parent === undefined) ports.add(path)
      if (hasNetworkPort(definition)) networkPorts.add(path)
      checkFunction(placed, definition, at, report)
      checkPlace(placed, definition, definitions, catalogue, at, report)
      checkBusNumbers(placed, last, at, report)
      if (placed.parent === undefined) {
        checkWiring(topology, placed.node.remappingUnit, hostBridge.segment, `${at}/remappingUnit`, report)
      } else if (placed.node.remappingUnit !== undefined) {
        report(`${at}/remappingUnit`, 'is for functions of a root bus: those below share its wiring')
      }
    }
    if (buses > last - hostBridge.bus + 1) {
      const given = Math.max(0, last - hostBridge.bus + 1)
      report(`/hostBridges/${i}/devices`, `need ${buses} bus numbers, and the host bridge has ${given}`)
    }
  }
  const { iommu, reservedMemory, wires = [] } = topology
  const named = (
    place: readonly string[],
    entries: readonly { readonly segment: number; readonly functions?: readonly string[] | undefined }[],
    rule?: readonly [(path: string) => boolean, string],
  ): void => {
    for (const [i, { segment, functions: wanted = [] }] of entries.entries()) {
      for (const [j, path] of wanted.entries()) {
        const at = jsonPointer([...place, i, 'functions', j])
        const key = `${segment}/${path.toLowerCase()}`
        if (!paths.has(key)) report(at, `names no function: "${path}"`)
        else if (rule?.[0](key) === false) report(at, rule[1])
      }
    }
  }
  named(['reservedMemory'], reservedMemory)
  named(['wires'], wires, [key => networkPorts.has(key), 'has no network port that is modelled'])
  const taken = new Set<string>()
  for (const [i, { segment, functions: ends }] of wires.entries()) {
    for (const [j, path] of ends.entries()) {
      const key = `${segment}/${path.toLowerCase()}`
      if (taken.has(key)) report(`/wires/${i}/functions/${j}`, `is at the end of a wire already: "${path}"`)
      taken.add(key)
    }
  }
  if (iommu.kind !== 'intel-vtd') return
  named(['iommu', 'atsPorts'], iommu.atsPorts, [key => ports.has(key), 'is no port of a root bus'])
  const onRootBus = (key: string): boolean => !ports.has(key) && key.split('/').length === 2
  named(['iommu', 'integratedCaches'], iommu.integratedCaches, [
    onRootBus,
    'is no function of a root bus that could hold a device-TLB',
  ])
}

/** Where a function may be. */
function checkPlace(
  placed: PlacedNode,
  definition: FunctionDefinition,
  definitions: ReadonlyMap<PlacedNode, FunctionDefinition>,
  catalogue: FunctionCatalogue,
  at: string,
  report: Report,
): void {
  const { parent, slot, node } = placed
  const above = parent && definitions.get(parent)
  if (parent !== undefined && above === undefined) return // the parent has its own issue
  const { kind } = definition
  const oneDevice = above?.kind === 'rootPort' || above?.kind === 'downstreamPort'
  const ari = oneDevice && slot.device !== 0 && hasAri(parent!, catalogue)
  if (oneDevice && slot.device !== 0 && !ari) {
    report(`${at}/at`, `must be device 0 below a ${nameOf(above)}: there is one device on a link`)
  } else if (slot.fn !== 0 && !ari && !placed.hasFunction0) {
    report(`${at}/at`, `needs function 0 of the same device: ${node.at.split('.')[0]}.0`)
  }
  if (above === undefined) {
    if (kind === 'upstreamPort' || kind === 'downstreamPort') {
      report(at, `${nameOf(definition)} cannot be on a root bus`)
    }
    return
  }
  if (kind === 'rootPort' || kind === 'hostBridge')
    report(at, `${nameOf(definition)} can only be on a root bus`)
  if (kind === 'upstreamPort' && !oneDevice) {
    report(at, 'upstream port can only be below a root port or a downstream port')
  }
  if ((kind === 'downstreamPort') !== (above.kind === 'upstreamPort')) {
    report(at, 'below an upstream port there are downstream ports, and they are nowhere else')
  }
}

const hasNetworkPort = ({ registerModel }: FunctionDefinition): boolean =>
  registerModel !== undefined && DEVICE_MODELS[registerModel]?.portSpeed !== undefined

const nameOf = (definition: FunctionDefinition | undefined): string =>
  definition?.kind.replace(/[A-Z]/, letter => ` ${letter.toLowerCase()}`) ?? ''

/** Whether function 0 of a link has an ARI capability: the eight bits of device and function are one number then. */
function hasAri(port: PlacedNode, catalogue: FunctionCatalogue): boolean {
  const first = port.node.devices?.find(({ at }) => slotOf(at).device === 0 && slotOf(at).fn === 0)
  const definition = first && catalogue.resolve(first, false)
  if (definition === undefined || definition instanceof Unresolved) return false
  return extendedCapabilityAt(definition.image, EXTENDED_CAPABILITY.ARI) !== undefined
}

/** Bus numbers that the document fixes nest, and leave siblings theirs. */
function checkBusNumbers(
  { node, parent, hostBridge, index }: PlacedNode,
  last: number,
  at: string,
  report: Report,
): void {
  if (node.bus === undefined) return
  const { secondary, subordinate } = node.bus
  if (subordinate < secondary) report(`${at}/bus/subordinate`, 'is below the secondary bus')
  const above = parent?.node.bus
  const floor = above?.secondary ?? hostBridge.bus
  const ceiling = above?.subordinate ?? last
  if (secondary <= floor || subordinate > ceiling) {
    report(`${at}/bus`, `must lie in the buses below the bridge above: ${floor + 1} to ${ceiling}`)
  }
  const siblings = parent === undefined ? hostBridge.devices : (parent.node.devices ?? [])
  for (const other of siblings.slice(0, index)) {
    if (other.bus !== undefined && secondary <= other.bus.subordinate && other.bus.secondary <= subordinate) {
      report(`${at}/bus`, `overlaps the buses of ${other.at}`)
    }
  }
}
