/** The server that this page comes from. */
import { effect, signal } from '@preact/signals'
import { createClient } from '../../src/client/index.ts'

export type {
  DeviceSummary,
  DmaResult,
  Event as WorldEvent,
  Experiment,
  ExperimentComparison,
  ExperimentResult,
  Explanation,
  Fault,
  Function as PcieFunction,
  FunctionIsolation,
  IommuGroup,
  IsolationDefect,
  IsolationReport,
  Owner,
  Platform,
  RemappingUnit,
  TopologyDocument,
  TopologyDocumentPart0 as TopologyNode,
  TopologySummary,
  VirtualMachine,
} from '../../src/client/index.ts'
export { NorthbridgeProblem } from '../../src/client/index.ts'

const KEY = 'northbridge.token'

/** What a server that demands one is told; kept as long as the tab. */
export const token = signal(sessionStorage.getItem(KEY) ?? undefined)
effect(() => {
  if (token.value === undefined) sessionStorage.removeItem(KEY)
  else sessionStorage.setItem(KEY, token.value)
})

export const authorization = (): Readonly<Record<string, string>> =>
  token.value === undefined ? {} : { authorization: `Bearer ${token.value}` }

export const api = createClient({ token: () => token.value })
