/** The tokens of an installation, in its store. */
import { NorthbridgeError } from '../core/index.ts'
import type { SharedDocuments } from '../store/index.ts'
import { makeToken, type TokenRecord, type TokenWishes } from './tokens.ts'

const TOKEN = 'token'

export class TokenBook {
  readonly #documents: SharedDocuments

  constructor(documents: SharedDocuments) {
    this.#documents = documents
  }

  /** All that were ever made, oldest first. Throws `storeFailed`. */
  async tokens(): Promise<readonly TokenRecord[]> {
    const documents = await this.#documents.documents(TOKEN)
    return documents
      .map(({ value }) => value as TokenRecord)
      .sort((a, b) => a.createdMs - b.createdMs || (a.id < b.id ? -1 : 1))
  }

  /** Makes a token and returns its text, which is not to be had again. Throws `invalidArgument`, `storeFailed`. */
  async create(wishes: TokenWishes, nowMs: number): Promise<{ text: string; record: TokenRecord }> {
    const made = makeToken(wishes, nowMs)
    await this.#put(made.record)
    return made
  }

  /** Its record stays, so that nobody takes an installation whose tokens were all revoked for an open one. */
  async revoke(id: string): Promise<TokenRecord> {
    const record = (await this.tokens()).find(token => token.id === id)
    if (record === undefined) throw new NorthbridgeError('notFound', `There is no token "${id}"`)
    if (record.revoked) throw new NorthbridgeError('alreadyDone', `Token "${id}" is revoked already`)
    const revoked = { ...record, revoked: true }
    await this.#put(revoked)
    return revoked
  }

  close(): Promise<void> {
    return this.#documents.close()
  }

  #put(record: TokenRecord): Promise<void> {
    return this.#documents.put({ kind: TOKEN, key: record.id, value: record })
  }
}
