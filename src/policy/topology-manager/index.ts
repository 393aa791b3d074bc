export type { NodeDistances } from './distances.ts'
export { maskOf, nodesOf, type ProviderHints, type TopologyHint } from './hints.ts'
export {
  type Alignment,
  align,
  parseTopologyManagerPolicy,
  refusalOf,
  type TopologyManagerPolicy,
} from './policies.ts'
export { topologyManagerPolicy } from './policy.ts'
