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
import { type CommandRecord, decodeState, type Store } from '../store/index.ts'
import type { SimulatedPlatform } from '../system/index.ts'
import { repeat } from './replay.ts'
import { settled } from './waiting.ts'
import { loadWorld, usesFiles } from './worlds.ts'

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
      yield* this.#replay(past, platform, sequence)
    } catch (error) {
      throw unavailable(platform, sequence, error instanceof Error ? error.message : String(error))
    }
    if (usesFiles(past, platform) || usesFiles(this.#context, platform)) {
      throw unavailable(platform, sequence, 'its disks are on files, and what was in them then is not kept')
    }
    return past.platforms.get(platform).running
  }

  /** Brings the platform into an installation of its own, where nobody sees what is done again. */
  *#replay(past: OperationContext, platform: string, sequence: number): Software {
    const snapshot = yield* settled(this.#store.snapshotBefore(platform, sequence))
    const from = snapshot?.sequence ?? 0
    const commands = yield* settled(this.#store.commandsOf(platform, from, sequence))
    if (commands.length < sequence - from) throw new Error('it lies too far back to be kept')
    const back = commands.findLastIndex(wentBack)
    if (back >= 0) yield* this.#replay(past, platform, (commands[back]!.input as { to: number }).to)
    else if (snapshot !== undefined) loadWorld(past, platform, decodeState(snapshot.state))
    for (const command of commands.slice(back + 1)) yield* repeat(past, platform, command)
  }
}

/** In a log that came from elsewhere the state behind such a command is not kept, but the way to it may be. */
const wentBack = ({ operation, input, error, sequence }: CommandRecord): boolean =>
  operation === 'rewindPlatform' && error === null && Number((input as { to?: unknown }).to) < sequence

const unavailable = (platform: string, sequence: number, reason: string): NorthbridgeError =>
  new NorthbridgeError(
    'stateUnavailable',
    `the state of "${platform}" after command ${sequence} cannot be had: ${reason}`,
  )
