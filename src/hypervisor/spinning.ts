/** Guest code that waits in a loop, while the rest of the machine goes on. */
import type { Software } from '../engine/index.ts'

/**
 * Runs guest code; `waits` is called whenever it lets others run. A condition that holds already is no wait: it gives
 * the world outside a turn, and nothing happens in this one.
 */
export function* spinning<Result>(code: Software<Result>, waits: () => void): Software<Result> {
  for (;;) {
    const step = code.next()
    if (step.done) return step.value
    const condition = step.value
    if (condition === undefined) waits()
    yield condition?.() ? undefined : condition
  }
}
