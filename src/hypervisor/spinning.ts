/** Guest code that waits in a loop, while the rest of the machine goes on. */
import type { Software } from '../engine/index.ts'

/** Runs guest code; `waits` is called whenever it lets others run. */
export function* spinning<Result>(code: Software<Result>, waits: () => void): Software<Result> {
  for (;;) {
    const step = code.next()
    if (step.done) return step.value
    if (step.value === undefined) waits()
    yield step.value
  }
}
