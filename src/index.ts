/**
 * The library: a platform as an object whose methods are the operations that REST and the command line offer, with
 * the same names, inputs, results and errors.
 */
import { journalInMemory } from './durability/index.ts'
import { drive } from './engine/index.ts'
import {
  type InputOf,
  installation,
  type OperationContext,
  type OperationId,
  type OutputOf,
  operationEntries,
} from './operations/index.ts'
import type { TopologyDocument } from './platform/index.ts'

export { type ErrorCode, type ErrorDetails, type Issue, NorthbridgeError } from './core/index.ts'
export {
  type ImportedCapture,
  importMachineFrom,
  readCapture,
} from './interop/index.ts'
export { type InputOf, type OperationId, type OutputOf, readDocument } from './operations/index.ts'
export { parseTopology, type Topology, type TopologyDocument } from './platform/index.ts'
export {
  type Answer as PredictionAnswer,
  type FigureRecord,
  type Prediction,
  parseRecords,
  predict,
  shippedCostBook,
} from './prediction/index.ts'
export {
  type Configuration as Simulation,
  type ConfigurationInput as SimulationDocument,
  METRICS,
  parseConfiguration as parseSimulation,
  type Result as SimulationResult,
  simulate,
} from './timing/index.ts'

/** Operations on one platform. */
export type PlatformOperationId = {
  [Id in OperationId]: InputOf<Id> extends { platform: string } ? Id : never
}[OperationId]

type Method<Input, Output> =
  Record<never, never> extends Input ? (input?: Input) => Output : (input: Input) => Output

/** Everything a user can do, by name. Methods throw {@link NorthbridgeError}; lists are whole, without pages. */
export type Northbridge = { readonly [Id in OperationId]: Method<InputOf<Id>, OutputOf<Id>> }

/** A running platform: the operations on it, without saying each time which it is. */
export type NorthbridgePlatform = { readonly id: string } & {
  readonly [Id in PlatformOperationId]: Method<Omit<InputOf<Id>, 'platform'>, OutputOf<Id>>
}

export interface PlatformOptions {
  readonly name?: string
  /** Of the world's random numbers; default 1. */
  readonly seed?: number
}

/** A fresh installation: the shipped topologies, and no platform yet. */
export const createNorthbridge = ({ files }: { readonly files?: string } = {}): Northbridge =>
  northbridgeOf(installation({ files }))

/** Builds a platform from a topology, given as a document or by the name of a shipped one, and powers it on. */
export function createPlatform(
  topology: string | TopologyDocument,
  options: PlatformOptions = {},
): NorthbridgePlatform {
  const northbridge = createNorthbridge()
  return platformOf(northbridge, northbridge.createPlatform({ topology, ...options }).id)
}

/** A platform of an installation. */
export function platformOf(northbridge: Northbridge, platform: string): NorthbridgePlatform {
  const methods = operationEntries()
    .filter(([, row]) => Object.hasOwn(row.input['properties'], 'platform'))
    .map(([id]) => [id, (input: object = {}) => northbridge[id]({ ...input, platform } as never)])
  return Object.freeze({ id: platform, ...Object.fromEntries(methods) }) as NorthbridgePlatform
}

function northbridgeOf(context: OperationContext): Northbridge {
  const journal = journalInMemory(context)
  const methods = operationEntries().map(([id]) => [
    id,
    (input: object = {}) => {
      const { outcome } = drive(journal.execute(id, input as never), () => false)
      if ('error' in outcome) throw outcome.error
      return outcome.output
    },
  ])
  return Object.freeze(Object.fromEntries(methods)) as Northbridge
}
