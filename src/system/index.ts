export { type ConsolidationReport, consolidate } from './consolidation/consolidate.ts'
export {
  type Protection,
  protect,
  type RecoveryOptions,
  recover,
} from './failover/index.ts'
export { FaultInjector, type FaultRecord, type FaultState } from './fault-injection/fault-injector.ts'
export {
  FAULT_KINDS,
  type Fault,
  type FaultKind,
  type FaultPlan,
  faultJsonSchema,
  faultPlanJsonSchema,
  type PlannedFault,
  parseFault,
  parseFaultPlan,
} from './fault-injection/fault-schema.ts'
export { planFromSeed, targetsAmong } from './fault-injection/seeded-plan.ts'
export { isolationFacts } from './isolation/facts.ts'
export { followJourney, type Journey, type JourneyCosts, type JourneyStep } from './journey/index.ts'
export { type Leak, leaksSince, type Stock, type Stray, strayResources, takeStock } from './leaks.ts'
export { FIRST_PROGRAM_MIB, type MemoryUse, type MemoryUsed, useMemory } from './memory/use-memory.ts'
export * from './moves/index.ts'
export { AGGREGATIONS, type OutsideSwitch } from './network/outside-switch.ts'
export type { RecordedFrame, WireRecord, Wires } from './network/wires.ts'
export type { DmaPart, DmaReport, InterruptJourney, InterruptReport } from './reports.ts'
export { DmaSanitizer } from './sanitizer/dma-sanitizer.ts'
export { DEFECTS, type DefectKind, type Finding, type HistoryEntry } from './sanitizer/findings.ts'
export { type PowerAction, SimulatedPlatform, type SimulatedPlatformOptions } from './simulated-platform.ts'
export {
  DISK_MODELS,
  type DiskModel,
  FileStore,
  type NamespaceView,
  type NewNamespace,
  type Transfer,
  type VmDisk,
  VmDisks,
  type WorkloadReport,
} from './storage/index.ts'
export {
  type ComparisonOptions,
  compareTechniques,
  type TechniqueComparison,
  type TechniqueReport,
} from './technique-comparison.ts'
export { tellComparison } from './technique-report.ts'
export { undoneOnFailure } from './transaction.ts'
export { GuestRemapping, wholePage } from './virtual-units/guest-remapping.ts'
