/** Reading a topology document: guard, schema, then the rules that tie fields together. */
import { invalidDocument, parseDocument } from '../core/index.ts'
import { FunctionCatalogue } from './function-catalogue.ts'
import { topologyIssues } from './topology-rules.ts'
import { type Topology, topologySchema } from './topology-schema.ts'

/**
 * The topology in a document, defaults filled in. Nothing is repaired: throws `invalidDocument` with the path and the
 * rule of each wrong field in `details.issues`.
 */
export function parseTopology(document: unknown): Topology {
  const topology = parseDocument(topologySchema, document, 'topology')
  const issues = topologyIssues(topology, new FunctionCatalogue())
  if (issues.length > 0) throw invalidDocument(`topology ${topology.name}`, issues)
  return topology
}
