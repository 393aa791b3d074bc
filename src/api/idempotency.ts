/** `Idempotency-Key`: a request that is sent again is answered with the first answer instead of being done again. */
import { createHash } from 'node:crypto'
import { NorthbridgeError } from '../core/index.ts'

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Serialized. */
  readonly body: string
}

/** A key, and what tells the request that it belongs to. */
export interface AnswerIdentity {
  readonly key: string
  readonly fingerprint: string
}

interface Entry {
  readonly fingerprint: string
  readonly answer: Promise<Answer>
}

const KEY = /^[\x21-\x7e]{1,255}$/

export class IdempotencyStore {
  readonly #capacity: number
  /** Oldest first. */
  readonly #entries = new Map<string, Entry>()

  /** @param kept answers of an earlier process, oldest first */
  constructor(kept: readonly (AnswerIdentity & Answer)[] = [], capacity = 10_000) {
    this.#capacity = capacity
    for (const { key, fingerprint, ...answer } of kept.slice(-capacity)) {
      this.#entries.set(key, { fingerprint, answer: Promise.resolve(answer) })
    }
  }

  /**
   * The answer to a request under a key: made by `respond` the first time, and again if that ended in a defect of
   * ours. Throws `idempotencyConflict` if the key was used for another request, `invalidArgument` for a bad key.
   */
  async answer(
    key: string,
    request: readonly string[],
    respond: (identity: AnswerIdentity) => Promise<Answer>,
  ): Promise<{ answer: Answer; replayed: boolean }> {
    if (!KEY.test(key)) {
      throw new NorthbridgeError(
        'invalidArgument',
        'Idempotency-Key must be 1 to 255 visible ASCII characters',
      )
    }
    const fingerprint = createHash('sha256').update(JSON.stringify(request)).digest('base64')
    const known = this.#entries.get(key)
    if (known !== undefined) {
      if (known.fingerprint !== fingerprint) {
        throw new NorthbridgeError(
          'idempotencyConflict',
          `Idempotency-Key "${key}" belongs to another request`,
        )
      }
      return { answer: await known.answer, replayed: true }
    }
    const entry = { fingerprint, answer: respond({ key, fingerprint }) }
    this.#entries.set(key, entry)
    if (this.#entries.size > this.#capacity) this.#entries.delete(this.#entries.keys().next().value!)
    const answer = await entry.answer
    if (answer.status >= 500 && this.#entries.get(key) === entry) this.#entries.delete(key)
    return { answer, replayed: false }
  }
}
