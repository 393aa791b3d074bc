/** Commits that come while others are being written are written together: they share one wait for the disk. */
import type { NorthbridgeError } from '../core/index.ts'
import type { Commit } from './records.ts'

interface Waiting {
  readonly commit: Commit
  resolve(): void
  reject(error: unknown): void
}

export class CommitGroups {
  readonly #write: (group: readonly Commit[]) => Promise<void>
  #waiting: Waiting[] = []
  #writing = false
  /** Settles when what was added last has been written, or refused. */
  #last: Promise<void> = Promise.resolve()
  #failed: NorthbridgeError | undefined

  /** @param write makes a group durable as a whole, in its order, or not at all */
  constructor(write: (group: readonly Commit[]) => Promise<void>) {
    this.#write = write
  }

  /** Why nothing more is taken. */
  get failed(): NorthbridgeError | undefined {
    return this.#failed
  }

  /** Resolves once it is durable. */
  add(commit: Commit): Promise<void> {
    if (this.#failed !== undefined) return Promise.reject(this.#failed)
    const durable = new Promise<void>((resolve, reject) => {
      this.#waiting.push({ commit, resolve, reject })
      if (!this.#writing) void this.#writeAll()
    })
    this.#last = durable.catch(() => {})
    return durable
  }

  async #writeAll(): Promise<void> {
    this.#writing = true
    while (this.#waiting.length > 0) {
      const group = this.#waiting
      this.#waiting = []
      try {
        await this.#write(group.map(({ commit }) => commit))
        for (const { resolve } of group) resolve()
      } catch (error) {
        this.fail(error as NorthbridgeError)
        for (const { reject } of group) reject(error)
      }
    }
    this.#writing = false
  }

  /** What comes later was made on top of what was lost: nothing more can be kept. */
  fail(error: NorthbridgeError): void {
    this.#failed ??= error
    for (const { reject } of this.#waiting) reject(error)
    this.#waiting = []
  }

  /** Resolves when everything that was added before has been written, or refused. */
  idle(): Promise<void> {
    return this.#last
  }
}
