export { CODE_NUMBERS, type CodeNumbers } from './codes.ts'
export {
  createContext,
  type OperationContext,
  type PlatformEntry,
  type TopologyEntry,
} from './context.ts'
export { parseText, readDocument } from './documents.ts'
export { EventView, eventView } from './events.ts'
export {
  ExperimentJob,
  type KnownResults,
  type LaunchExperiment,
  type PointResult,
} from './experiment-job.ts'
export { explainGroup } from './groups.ts'
export { type History, NO_HISTORY, type PastCommand } from './history.ts'
export { installation } from './installation.ts'
export { invalid, issuesOf, judge } from './judge.ts'
export { DEFAULT_LIMITS, type LimitName, type Limits, NO_LIMITS } from './limits.ts'
export {
  changes,
  type Followed,
  type ListKey,
  now,
  type Operation,
  platformsOf,
  type RestBinding,
} from './operation.ts'
export { DEFAULT_LIMIT, MOST_LIMIT, type Page, pageOf } from './pages.ts'
export {
  execute,
  type InputOf,
  inputOfStep,
  isOperationId,
  OPERATIONS,
  type OperationId,
  type OutputOf,
  operationEntries,
} from './table.ts'
export { generations, shippedCosts, shippedWorkload } from './technique-catalogue.ts'
export { DEFAULT_GENERATION } from './techniques.ts'
export { usageOf } from './usage.ts'
