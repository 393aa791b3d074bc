/**
 * Software that can wait is a generator: it yields a condition and is resumed once the condition holds. Between
 * yields it runs alone, so hardware rooms stay synchronous and every schedule is reproducible.
 */
import { assert } from '../core/index.ts'

/** What waiting software yields: resume me when this returns true. `undefined` is a bare pause: resume me next. */
export type WaitCondition = (() => boolean) | undefined

/** A piece of software that may wait and ends with a result. Compose with `yield*`. */
export type Software<Result = void> = Generator<WaitCondition, Result, void>

function* nothing(): Software {}

/** Software that is over. Work that was done at once returns it, and whoever runs it goes on without a new generator. */
export const OVER: Software = nothing()
OVER.next()

/** The kind of event that ends a sleep: it does nothing, but time has gone on when it happens. */
export const WAKE_UP = 'software.wakeUp'

/** Waits until a condition holds: `yield* until(() => statusWordWritten())`. Checks once before waiting. */
export function* until(condition: () => boolean): Software {
  while (!condition()) yield condition
}

/** Lets others run: long software calls it now and then, so that a server can answer meanwhile. */
export function* pause(): Software {
  yield undefined
}

/**
 * Runs software to its end where time is not being simulated. While it waits, `advance` makes hardware progress
 * (runs the next queued event) and returns false when nothing is left that could.
 */
export function drive<Result>(software: Software<Result>, advance: () => boolean): Result {
  for (;;) {
    const step = software.next()
    if (step.done) return step.value
    const condition = step.value
    while (condition !== undefined && !condition()) {
      assert(advance(), 'software never waits for something that no queued event can bring about')
    }
  }
}
