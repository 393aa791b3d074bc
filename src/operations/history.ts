/** What has been done to platforms, and the states that they have been in: kept by whoever keeps the installation. */
import { NorthbridgeError } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import type { SimulatedPlatform } from '../system/index.ts'

/** A command that has changed a platform. */
export interface PastCommand {
  /** 1, 2, 3, … through the life of the platform. */
  readonly sequence: number
  readonly operation: string
  readonly input: unknown
  /** Code of the error that it ended with; it has changed the platform all the same. */
  readonly error: string | null
  /** Where the platform stood afterwards: virtual time in nanoseconds, events that its trace had told of. */
  readonly after: { readonly timeNs: number; readonly told: number }
  /** Of the Northbridge that carried it out. */
  readonly version: string
}

export interface History {
  /** Those that are still kept, oldest first, newer than a sequence. */
  commands(platform: string, after?: number): Software<readonly PastCommand[]>
  /**
   * A platform as it was after one of its commands: another one in the same state. Throws `notFound` if there was no such
   * command, `stateUnavailable` if what led there cannot be done again.
   */
  platformAfter(platform: string, sequence: number): Software<SimulatedPlatform>
}

/** Of an installation that nobody keeps. */
export const NO_HISTORY: History = {
  // biome-ignore lint/correctness/useYield: there is nothing to wait for
  *commands() {
    return []
  },
  // biome-ignore lint/correctness/useYield: there is nothing to wait for
  *platformAfter(platform) {
    throw new NorthbridgeError('stateUnavailable', `nothing is kept of what "${platform}" has been`)
  },
}
