/** Two platforms of one world between which something moves: what takes time takes it on both. */
import { pause, type Software, within } from '../../engine/index.ts'
import type { SimulatedPlatform } from '../simulated-platform.ts'

export class TwoPlatforms {
  readonly source: SimulatedPlatform
  readonly target: SimulatedPlatform
  readonly #sourceBegan: number
  readonly #targetBegan: number

  constructor(source: SimulatedPlatform, target: SimulatedPlatform) {
    this.source = source
    this.target = target
    this.#sourceBegan = source.engine.now
    this.#targetBegan = target.engine.now
  }

  /** Nanoseconds since it began: of whichever is further. */
  get elapsed(): number {
    const { source, target } = this
    return Math.max(source.engine.now - this.#sourceBegan, target.engine.now - this.#targetBegan)
  }

  /** Software of either, at whose end both clocks show the same. */
  *on<Result>(platform: SimulatedPlatform, software: Software<Result>): Software<Result> {
    const result = yield* within(platform.engine, software)
    yield* this.until(this.elapsed)
    return result
  }

  /** Lets time pass until so many nanoseconds after it began. */
  *until(elapsed: number): Software {
    yield* letPass(this.source, this.#sourceBegan + elapsed)
    yield* letPass(this.target, this.#targetBegan + elapsed)
    yield* pause()
  }
}

/** A platform without power, or whose kernel has stopped, still has a clock. */
function* letPass(platform: SimulatedPlatform, time: number): Software {
  const { engine } = platform
  if (engine.now < time) yield* within(engine, platform.elapse(time - engine.now))
}
