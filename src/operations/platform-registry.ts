/**
 * The platforms of an installation. One that rests has its name, and what is told of it as a whole is known; the platform
 * itself is in no memory until whoever keeps the installation brings it back.
 */
import { assert } from '../core/index.ts'
import type { SimulatedPlatform } from '../system/index.ts'
import type { PlatformStanding } from './platform-standing.ts'
import { Registry } from './registry.ts'

/** One platform and what this server knows of it. */
export interface PlatformEntry {
  readonly id: string
  readonly running: SimulatedPlatform
}

export class PlatformRegistry extends Registry<PlatformEntry> {
  readonly #resting = new Map<string, PlatformStanding>()

  constructor(limit: () => number) {
    super('platform', 'platforms', limit)
  }

  /** By name. */
  get resting(): ReadonlyMap<string, PlatformStanding> {
    return this.#resting
  }

  /** Lets go of a platform, which somebody else has kept as it stands. */
  rest(name: string, standing: PlatformStanding): void {
    this.hold(name)
    this.#resting.set(name, standing)
  }

  /** Throws `notFound`, `worldUnavailable`. */
  override get(name: string): PlatformEntry {
    assert(!this.#resting.has(name), 'a platform that rests is brought back before it is worked on')
    return super.get(name)
  }

  override set(name: string, entry: PlatformEntry): void {
    this.#resting.delete(name)
    super.set(name, entry)
  }

  override refuse(name: string, reason: string): void {
    this.#resting.delete(name)
    super.refuse(name, reason)
  }

  override delete(name: string): void {
    if (this.#resting.delete(name)) this.release(name)
    else super.delete(name)
  }
}
