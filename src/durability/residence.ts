/**
 * Brings platforms back into memory when somebody needs them, and lets go of those that nobody has used for a while: their
 * logs and states are in the store.
 */
import { type ErrorCode, NorthbridgeError } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import { createContext, NO_LIMITS, type OperationContext, standingOf } from '../operations/index.ts'
import type { Store } from '../store/index.ts'
import type { Awake, AwakePlatforms } from './awake-platforms.ts'
import { replayUpTo } from './replay.ts'

/** What is known of the logs of platforms. */
export interface Logs {
  /** Sequence of the last command of a platform. */
  last(platform: string): number
  /** Keeps the state of a platform as it stands; false if it could not be kept, or went on meanwhile. */
  keep(platform: string): Promise<boolean>
  /** It cannot go on. */
  refuse(platform: string, reason: string): void
}

export class Residence {
  readonly #context: OperationContext
  readonly #store: Store
  readonly #awake: AwakePlatforms
  readonly #logs: Logs
  /** How many use a platform now, by name; none uses one that is not here. */
  readonly #users = new Map<string, number>()
  readonly #comingBack = new Set<string>()
  readonly #here = new Map<string, Awake>()

  constructor(context: OperationContext, store: Store, awake: AwakePlatforms, logs: Logs) {
    this.#context = context
    this.#store = store
    this.#awake = awake
    this.#logs = logs
  }

  /** Brings platforms back that rest; they stay until {@link leave}. Throws `storeFailed`; then they are left already. */
  *enter(names: readonly string[]): Software {
    for (const name of names) this.#users.set(name, (this.#users.get(name) ?? 0) + 1)
    try {
      for (const name of names) yield* this.#bringBack(name)
    } catch (error) {
      this.leave(names)
      throw error
    }
  }

  leave(names: readonly string[]): void {
    for (const name of names) {
      const users = this.#users.get(name)! - 1
      if (users === 0) this.#users.delete(name)
      else this.#users.set(name, users)
      this.used(name)
    }
  }

  /** A platform that is in memory was used, or has just been made. */
  used(name: string): void {
    // What ends with the process is nowhere else.
    if (this.#store.immediate || this.#context.platforms.find(name) === undefined) return
    let awake = this.#here.get(name)
    if (awake === undefined) this.#here.set(name, (awake = { rest: () => this.rest(name) }))
    this.#awake.used(awake)
  }

  /** It is in memory no more. */
  gone(name: string): void {
    const awake = this.#here.get(name)
    if (awake === undefined) return
    this.#here.delete(name)
    this.#awake.gone(awake)
  }

  /** Lets go of a platform, unless somebody uses it, or it cannot be kept. */
  async rest(name: string): Promise<void> {
    const { platforms } = this.#context
    const entry = platforms.find(name)
    if (entry === undefined) return this.gone(name)
    const isFree = (): boolean => platforms.find(name) === entry && !this.#users.has(name)
    if (!isFree() || entry.running.usesFiles) return
    if (!(await this.#logs.keep(name)) || !isFree()) return
    platforms.rest(name, standingOf(entry.running))
    this.gone(name)
  }

  *#bringBack(name: string): Software {
    while (this.#comingBack.has(name)) yield () => !this.#comingBack.has(name)
    const { platforms, files } = this.#context
    const standing = platforms.resting.get(name)
    if (standing === undefined) return
    this.#comingBack.add(name)
    try {
      // Nobody sees a platform that is half-way.
      const apart = createContext({ limits: NO_LIMITS, files })
      yield* replayUpTo(this.#store, apart, name, this.#logs.last(name))
      // Meanwhile it may have been deleted.
      if (platforms.resting.get(name) === standing) platforms.set(name, apart.platforms.get(name))
    } catch (error) {
      if (isOf(error, 'storeFailed')) throw error
      if (platforms.resting.get(name) === standing)
        this.#logs.refuse(name, error instanceof Error ? error.message : String(error))
    } finally {
      this.#comingBack.delete(name)
    }
  }
}

const isOf = (error: unknown, code: ErrorCode): boolean =>
  error instanceof NorthbridgeError && error.code === code
