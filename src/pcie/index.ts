export type { BarDefinition, FunctionDefinition, FunctionKind, SriovDefinition } from './definition.ts'
export {
  ADDRESS_TYPE,
  InterruptOutcome,
  MemoryRequest,
  STATUS,
  type Status,
  TARGET,
  type Target,
  type UpstreamSink,
} from './request.ts'
