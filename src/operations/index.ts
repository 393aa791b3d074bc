export { CODE_NUMBERS, type CodeNumbers } from './codes.ts'
export {
  type ContextLimits,
  createContext,
  type OperationContext,
  type PlatformEntry,
  type TopologyEntry,
} from './context.ts'
export { parseText, readDocument } from './documents.ts'
export { EventView, eventView } from './events.ts'
export { ExperimentJob, type LaunchExperiment } from './experiment-job.ts'
export { explainGroup } from './groups.ts'
export { installation } from './installation.ts'
export { invalid, issuesOf, judge } from './judge.ts'
export { type Followed, type ListKey, now, type Operation, type RestBinding } from './operation.ts'
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
