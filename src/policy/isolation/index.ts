export { type Breach, type BreachDefect, type BreachRepair, entryText } from './breaches.ts'
export {
  compareIsolation,
  type IsolationChange,
  type IsolationDifference,
  type VerdictChange,
} from './difference.ts'
export type * from './facts.ts'
export {
  type FunctionReport,
  type GroupMate,
  type IsolationReport,
  judgeIsolation,
  type PairReport,
} from './report.ts'
