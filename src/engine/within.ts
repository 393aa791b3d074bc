/** Software of one world among others. */
import { assert } from '../core/index.ts'
import type { Engine } from './engine.ts'
import type { Software } from './software.ts'

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
