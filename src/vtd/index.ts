export {
  type CapabilityWords,
  capabilitiesFromWords,
  capabilityWords,
  registerSizeOf,
  resolveCapabilities,
  SERVER_CAPABILITIES,
  type UnitCapabilities,
} from './capabilities.ts'
export type { DeviceTlbPort } from './device-invalidations.ts'
export type { Explanation, ExplanationStep } from './explanation.ts'
export type { FaultedRequest } from './fault-recording.ts'
export type { InvalidationListener } from './invalidation.ts'
export {
  NO_QUIRKS,
  QEMU_11_1,
  QUIRK_OF_TAG,
  QUIRK_PRESETS,
  type QuirkName,
  type Quirks,
  quirksByName,
} from './quirks.ts'
export {
  RemappingUnit,
  type RemappingUnitEnvironment,
  type RemappingUnitOptions,
} from './remapping-unit.ts'
export {
  type DecidedBlock,
  type JudgedEntry,
  type JudgedRequest,
  TableJudge,
  targetOf,
} from './table-judge.ts'
export { type TableEntryView, type TableQuery, tableEntries } from './table-views.ts'
export type { CacheSizes, CacheViews, FaultRecordView, RegisterView } from './views.ts'
export type { WaitFaults } from './wait-faults.ts'
