export type { Board } from './board.ts'
export { type Card, CardSlots } from './cards.ts'
export { DEVICE_EVENT, type DeviceModels, type PluggedPort } from './device-models.ts'
export { type PlacedNode, placedNodes } from './function-paths.ts'
export type { WriteWatcher } from './machine.ts'
export type { MachinePort, ProcessorPort } from './machine-port.ts'
export { Platform, type PlatformWatcher } from './platform.ts'
export type { RequestWatcher } from './root-complex.ts'
export { RootComplex, type RootComplexEnvironment } from './root-complex.ts'
export type { Route, RoutedRequest, RouteStep } from './route.ts'
export { parseTopology, readTopology } from './topology.ts'
export {
  TOPOLOGY_LIMITS,
  type Topology,
  type TopologyDocument,
  type TopologyHostBridge,
  type TopologyNode,
  type TopologyNodeDocument,
  type TopologyRemappingUnit,
  topologyJsonSchema,
} from './topology-schema.ts'
