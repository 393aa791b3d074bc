export type { ProcessorCapabilities } from './capabilities.ts'
export type { PortSpace } from './core.ts'
export {
  LogicalProcessor,
  type LogicalProcessorEnvironment,
  type LogicalProcessorOptions,
  type ProcessorView,
} from './logical-processor.ts'
export { EXISTING_FIELDS } from './vmcs-layout.ts'
export type { WalkCounts } from './walk-counters.ts'
