export type { ProcessorCapabilities } from './capabilities.ts'
export type { PortSpace } from './core.ts'
export {
  LogicalProcessor,
  type LogicalProcessorEnvironment,
  type LogicalProcessorOptions,
  type ProcessorView,
} from './logical-processor.ts'
export type { WalkCounts } from './walk-counters.ts'
