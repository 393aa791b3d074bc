/** What operations work on: the catalogue of topologies, and running platforms. Narrow on purpose. */
import { assert } from '../core/index.ts'
import type { Engine, Software } from '../engine/index.ts'
import type { Topology } from '../platform/index.ts'
import type { SimulatedPlatform } from '../system/index.ts'
import { Registry } from './registry.ts'

/** One platform and what this server knows of it. */
export interface PlatformEntry {
  readonly id: string
  readonly running: SimulatedPlatform
}

export interface TopologyEntry {
  /** Shipped with Northbridge: cannot be changed. */
  readonly shipped: boolean
  /** Parsed on first use; throws `invalidDocument`. */
  readonly topology: Topology
}

export interface OperationContext {
  readonly topologies: Registry<TopologyEntry>
  readonly platforms: Registry<PlatformEntry>
}

export interface ContextLimits {
  readonly topologies: number
  readonly platforms: number
}

const LIMITS: ContextLimits = { topologies: 10_000, platforms: 1_000 }

export const createContext = ({ topologies, platforms }: ContextLimits = LIMITS): OperationContext => ({
  topologies: new Registry('topology', 'topologies', topologies),
  platforms: new Registry('platform', 'platforms', platforms),
})

/** Events that may happen between two pauses. */
const EVENTS_PER_PAUSE = 256

/**
 * Runs software of one world so that whoever drives it need not know the world: waits are served by the world's own
 * event queue, and only bare pauses come out.
 */
export function* within<Result>(engine: Engine, software: Software<Result>): Software<Result> {
  for (let events = 0; ; ) {
    const step = software.next()
    if (step.done) return step.value
    const condition = step.value
    if (condition === undefined) yield undefined
    while (condition !== undefined && !condition()) {
      assert(engine.advance(), 'software never waits for something that no queued event can bring about')
      if (++events % EVENTS_PER_PAUSE === 0) yield undefined
    }
  }
}
