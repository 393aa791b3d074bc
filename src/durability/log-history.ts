/** The history of an installation as its log tells it. */
import { NorthbridgeError } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import {
  createContext,
  type History,
  NO_LIMITS,
  type OperationContext,
  type PastCommand,
} from '../operations/index.ts'
import type { Store } from '../store/index.ts'
import type { SimulatedPlatform } from '../system/index.ts'
import { replayUpTo } from './replay.ts'
import { settled } from './waiting.ts'
import { usesFiles } from './worlds.ts'

export class LogHistory implements History {
  readonly #context: OperationContext
  readonly #store: Store
  readonly #last: (platform: string) => number

  /** @param last sequence of the last command of a platform */
  constructor(context: OperationContext, store: Store, last: (platform: string) => number) {
    this.#context = context
    this.#store = store
    this.#last = last
  }

  *commands(platform: string, after = 0): Software<readonly PastCommand[]> {
    return yield* settled(this.#store.commandsOf(platform, after, this.#last(platform)))
  }

  *platformAfter(platform: string, sequence: number): Software<SimulatedPlatform> {
    const last = this.#last(platform)
    if (sequence < 1 || sequence > last) {
      throw new NorthbridgeError(
        'notFound',
        `"${platform}" has had ${last} commands: there is no ${sequence}`,
      )
    }
    const past = createContext({ limits: NO_LIMITS })
    try {
      // Where nobody sees what is done again.
      yield* replayUpTo(this.#store, past, platform, sequence)
    } catch (error) {
      throw unavailable(platform, sequence, error instanceof Error ? error.message : String(error))
    }
    if (usesFiles(past, platform) || usesFiles(this.#context, platform)) {
      throw unavailable(platform, sequence, 'its disks are on files, and what was in them then is not kept')
    }
    return past.platforms.get(platform).running
  }
}

const unavailable = (platform: string, sequence: number, reason: string): NorthbridgeError =>
  new NorthbridgeError(
    'stateUnavailable',
    `the state of "${platform}" after command ${sequence} cannot be had: ${reason}`,
  )
