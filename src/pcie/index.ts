export { AddressTranslation } from './address-translation.ts'
export type { ResetKind } from './attribute-table.ts'
export type { BarBehaviour } from './bar-region.ts'
export { Bus } from './bus.ts'
export {
  type BarDefinition,
  configSizeOf,
  type FunctionDefinition,
  type FunctionKind,
  type RegisterOverride,
  type SriovDefinition,
} from './definition.ts'
export type { DeviceTlbEntry } from './device-tlb.ts'
export { type ErrorLog, readErrorLog } from './error-log.ts'
export { CORRECTABLE, reportCorrectable, reportUncorrectable, UNCORRECTABLE } from './error-reporting.ts'
export { Fabric, type RegisterWatcher } from './fabric.ts'
export { COMPLETION_TIMEOUT, EVER, FunctionFaults } from './function-faults.ts'
export type { FunctionModel, ModelMaker } from './function-model.ts'
export { HostBridge, type HostBridgeOptions } from './host-bridge.ts'
export type { LinkLimit } from './link.ts'
export type { SignalOutcome } from './message-signals.ts'
export { isStopMarker, PAGE_RESPONSE_CODE, type PageRequest } from './page-request.ts'
export { GROUP } from './page-request-interface.ts'
export type { BusKind, FunctionNode, PeerToPeer, UpstreamSink } from './parts.ts'
export { PcieFunction } from './pcie-function.ts'
export { issueAsPhantom, phantomIdOf } from './phantom-functions.ts'
export { Port } from './port.ts'
export { refuse } from './refusal.ts'
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
export type { AcsBitName, RouteEvent } from './route-events.ts'
export type { RouteObserver } from './route-observer.ts'
export { completionStatusOf, headerOf, isNonPosted } from './tlp-header.ts'
