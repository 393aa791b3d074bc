/** The server that this page comes from. */
import { createClient } from '../../src/client/index.ts'

export type {
  DmaResult,
  Event as WorldEvent,
  Experiment,
  Explanation,
  Fault,
  Function as PcieFunction,
  FunctionIsolation,
  IommuGroup,
  IsolationReport,
  Owner,
  Platform,
  RemappingUnit,
  VirtualMachine,
} from '../../src/client/index.ts'
export { NorthbridgeProblem } from '../../src/client/index.ts'

export const api = createClient()
