export { type Labels, tellLabels } from './axes.ts'
export { type Comparison, compareSweeps, type Side, tellSweepComparison } from './comparison.ts'
export { MOST_POINTS, type Sweep, sweepJsonSchema } from './document.ts'
export type { Judgement } from './expectations.ts'
export { isStory, isSweep, type PlannedPoint, planSweep, type SweepPlan } from './plan.ts'
export { runPoint, type SweepPoint } from './point.ts'
export { sweepReport } from './report/index.ts'
export {
  isSweepResult,
  parseSweepResult,
  type SweepResult,
  sweepResult,
} from './result.ts'
export { sweepCsv } from './table.ts'
export { tellPlan, tellResult } from './told.ts'
