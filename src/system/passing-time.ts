/** Time that passes while software runs: each event happens at its time, and its interrupts are taken then. */
import { type Engine, pause, type Software, until, WAKE_UP } from '../engine/index.ts'

/** What happens while time passes, between two pauses. */
const EVENTS_PER_PAUSE = 256

/** @param settle lets software take its interrupts. */
export function* passTime(engine: Engine, nanoseconds: number, settle: () => Software): Software {
  const end = engine.now + nanoseconds
  engine.schedule(nanoseconds, WAKE_UP, '')
  yield* settle()
  for (let served = 0; engine.now < end || engine.next(WAKE_UP, '') === end; ) {
    const before = engine.served
    yield* until(() => engine.served > before)
    yield* settle()
    if (++served % EVENTS_PER_PAUSE === 0) yield* pause()
  }
}
