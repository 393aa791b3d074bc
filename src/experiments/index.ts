export { type Experiment, type ExperimentStep, experimentSchema } from './document.ts'
export { type Difference, differences } from './expectation.ts'
export { experimentJsonSchema } from './json-schema.ts'
export {
  type ExperimentOperations,
  type ExperimentReport,
  parseExperiment,
  runExperiment,
  type StepReport,
} from './runner.ts'
export { tellEnd, tellStep, tellTitle, wrap } from './story.ts'
export * from './sweeps/index.ts'
