/** Work on platforms that happens as a whole or not at all. */
import type { Software } from '../engine/index.ts'
import type { SimulatedPlatform } from './simulated-platform.ts'

/**
 * Does what may fail half-way on any of these platforms. If it fails, each is as it was before, time and trace included;
 * who follows their traces is told of what happened when all of it is done. It costs a copy of every state.
 *
 * @param stays errors that are no refusals but events: what happened before them, and they, have happened
 */
export function* undoneOnFailure<Result>(
  platforms: readonly SimulatedPlatform[],
  work: Software<Result>,
  stays: (error: unknown) => boolean = () => false,
): Software<Result> {
  let done = false
  const keeping = function* (): Software<Result> {
    try {
      const result = yield* work
      done = true
      return result
    } catch (error) {
      done = stays(error)
      throw error
    }
  }
  return yield* undoneUnless(() => done, platforms, keeping())
}

/** Does something, tells what came of it, and undoes it in any case. */
export const onlyTried = <Result>(
  platforms: readonly SimulatedPlatform[],
  work: Software<Result>,
): Software<Result> => undoneUnless(() => false, platforms, work)

function* undoneUnless<Result>(
  done: () => boolean,
  platforms: readonly SimulatedPlatform[],
  work: Software<Result>,
): Software<Result> {
  const undo = platforms.map(platform => platform.mark())
  for (const { engine } of platforms) engine.trace.hold()
  try {
    return yield* work
  } finally {
    if (!done()) for (const goBack of undo) goBack()
    for (const { engine } of platforms) engine.trace.release()
  }
}
