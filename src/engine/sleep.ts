/** Software that waits for time to pass. */
import type { Engine } from './engine.ts'
import { type Software, until, WAKE_UP } from './software.ts'

/** Waits `duration` nanoseconds of virtual time. */
export function* sleep(engine: Engine, duration: number): Software {
  const end = engine.now + duration
  engine.schedule(duration, WAKE_UP, '')
  yield* until(() => engine.now >= end)
}
