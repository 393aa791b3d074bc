/** What every command gets. */
import type { Output } from './output.ts'

export interface CommandEnvironment extends Output {
  /** Sets the exit status of a command that ended without an error to report. */
  readonly exit: (status: number) => void
  /** Resolves when the process is asked to end. */
  readonly untilStopped: () => Promise<void>
}
