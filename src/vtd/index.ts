export {
  type CapabilityWords,
  capabilitiesFromWords,
  capabilityWords,
  registerSizeOf,
  resolveCapabilities,
  SERVER_CAPABILITIES,
  type UnitCapabilities,
} from './capabilities.ts'
export type { Explanation, ExplanationStep } from './explanation.ts'
export {
  RemappingUnit,
  type RemappingUnitEnvironment,
  type RemappingUnitOptions,
} from './remapping-unit.ts'
export type { CacheSizes, CacheViews, FaultRecordView, RegisterView } from './views.ts'
