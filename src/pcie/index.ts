export { AddressTranslation } from './address-translation.ts'
export type { BarBehaviour } from './bar-region.ts'
export { Bus } from './bus.ts'
export { ConfigLayout, type ResetKind } from './config-layout.ts'
export type { BarDefinition, FunctionDefinition, FunctionKind, SriovDefinition } from './definition.ts'
export type { DeviceTlbEntry } from './device-tlb.ts'
export { Fabric } from './fabric.ts'
export { HostBridge, type HostBridgeOptions } from './host-bridge.ts'
export type { SignalOutcome } from './message-signals.ts'
export { isStopMarker, PAGE_RESPONSE_CODE, type PageRequest } from './page-request.ts'
export { GROUP } from './page-request-interface.ts'
export type { BusKind, FunctionNode, UpstreamSink } from './parts.ts'
export { PcieFunction } from './pcie-function.ts'
export {
  ADDRESS_TYPE,
  InterruptOutcome,
  MemoryRequest,
  PERMISSION,
  STATUS,
  type Status,
  TARGET,
  type Target,
} from './request.ts'
