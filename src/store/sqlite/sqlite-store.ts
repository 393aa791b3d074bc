/** An installation in a folder, in a file of SQLite, by Node's own module in a thread of its own. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { NorthbridgeError, packageModule } from '../../core/index.ts'
import { CommitGroups } from '../commit-groups.ts'
import type { CommandRecord, Commit, Kept, KeptDocument, Snapshot, Store } from '../records.ts'
import type { DatabaseAnswer, DatabaseCall, DatabasePlace } from './worker.ts'

export class SqliteStore implements Store {
  /** A restart does at most so many again: a fraction of a second. */
  readonly commandsPerSnapshot = 64
  readonly immediate = false
  readonly #worker: Worker
  readonly #calls = new Map<number, { resolve(result: unknown): void; reject(error: unknown): void }>()
  #nextCall = 1
  #closed = false
  readonly #groups = new CommitGroups(group => this.#call('commitAll', group))

  /** @param folder is made if it is not there */
  constructor(folder: string) {
    mkdirSync(folder, { recursive: true })
    const place: DatabasePlace = {
      file: join(folder, 'northbridge.sqlite'),
      lock: join(folder, 'server.lock'),
      folder,
    }
    this.#worker = new Worker(packageModule('store/sqlite/worker'), { workerData: place })
    this.#worker.unref()
    this.#worker.on('message', ({ id, result, error }: DatabaseAnswer) => {
      const call = this.#calls.get(id)!
      this.#calls.delete(id)
      if (error === undefined) call.resolve(result)
      else call.reject(new NorthbridgeError('storeFailed', error))
    })
    this.#worker.on('error', error => this.#fail(new NorthbridgeError('storeFailed', error.message)))
  }

  get trouble(): NorthbridgeError | undefined {
    return this.#groups.failed
  }

  /** One that cannot be opened lets go of the folder. */
  async open(): Promise<Kept> {
    try {
      return await this.#call<Kept>('open')
    } catch (error) {
      this.#closed = true
      await this.#worker.terminate()
      throw error
    }
  }

  commit(commit: Commit): Promise<void> {
    if (this.#closed) return Promise.reject(new NorthbridgeError('storeFailed', 'the store is closed'))
    return this.#groups.add(commit)
  }

  async snapshotBefore(world: string, sequence: number): Promise<Snapshot | undefined> {
    await this.#groups.idle()
    return this.#call('snapshotBefore', world, sequence)
  }

  async commandsOf(world: string, after: number, upTo: number): Promise<readonly CommandRecord[]> {
    await this.#groups.idle()
    return this.#call('commandsOf', world, after, upTo)
  }

  async documents(kind: string): Promise<readonly KeptDocument[]> {
    await this.#groups.idle()
    return this.#call('documents', kind)
  }

  async close(): Promise<void> {
    await this.#groups.idle()
    if (this.#closed) return
    this.#closed = true
    await this.#call('close')
    await this.#worker.terminate()
  }

  #call<Result>(method: DatabaseCall['method'], ...parameters: readonly unknown[]): Promise<Result> {
    return new Promise((resolve, reject) => {
      const id = this.#nextCall++
      this.#calls.set(id, { resolve: resolve as (result: unknown) => void, reject })
      // While it has something to do, the process waits for it.
      this.#worker.ref()
      this.#worker.postMessage({ id, method, parameters } satisfies DatabaseCall)
    }).finally(() => {
      if (this.#calls.size === 0) this.#worker.unref()
    }) as Promise<Result>
  }

  #fail(error: NorthbridgeError): void {
    this.#groups.fail(error)
    for (const { reject } of this.#calls.values()) reject(error)
    this.#calls.clear()
  }
}
