/** Reading a topology document: guard, schema, then the rules that tie fields together. */
import { invalidDocument, parseDocument } from '../core/index.ts'
import { drive, pause, type Software } from '../engine/index.ts'
import { FunctionCatalogue } from './function-catalogue.ts'
import { topologyIssues } from './topology-rules.ts'
import { type Topology, topologySchema } from './topology-schema.ts'

/**
 * The topology in a document, defaults filled in. Nothing is repaired: throws `invalidDocument` with the path and the
 * rule of each wrong field in `details.issues`.
 */
export const parseTopology = (document: unknown): Topology => drive(readTopology(document), () => false)

/** The same in slices, for a server that answers others meanwhile. */
export function* readTopology(document: unknown): Software<Topology> {
  const topology = parseDocument(topologySchema, document, 'topology')
  yield* pause()
  const issues = yield* topologyIssues(topology, new FunctionCatalogue())
  if (issues.length > 0) throw invalidDocument(`topology ${topology.name}`, issues)
  return topology
}
