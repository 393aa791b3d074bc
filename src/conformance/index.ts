export { checkConfig } from './config-check.ts'
export { type ConfigCapture, type ConfigReport, configReportOf, tellConfigReport } from './config-report.ts'
export { filesIn, isFile, readText } from './files.ts'
export { replayInsideVm } from './inside-vm/index.ts'
export { checkLinux } from './linux-check.ts'
export { judgePolicies } from './policy/index.ts'
export { type Failure, type Report, reportOf, tellReport, type Verdict } from './report.ts'
export type { ProcessorCase } from './vmx/case.ts'
export { type ProgramRun, type ProgramStep, runProgram } from './vmx/program.ts'
export { checkProcessors, listCases, tellCases, tellProcessors } from './vmx/report.ts'
export { replay } from './vtd-replay.ts'
export {
  FORMAT,
  type ParsedProgram,
  parseVectors,
  type VectorProgram,
  type VectorStep,
} from './vtd-vectors.ts'
