export { type Experiment, type ExperimentStep, experimentJsonSchema, experimentSchema } from './document.ts'
export { type Difference, differences } from './expectation.ts'
export {
  type ExperimentOperations,
  type ExperimentReport,
  parseExperiment,
  runExperiment,
  type StepReport,
} from './runner.ts'
export { tellEnd, tellStep, tellTitle, wrap } from './story.ts'
