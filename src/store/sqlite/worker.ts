/** The thread that waits for the disk, so that the event loop does not. */
import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import { NorthbridgeError } from '../../core/index.ts'
import { InstallationDatabase } from './database.ts'

/** What a thread begins with. */
export interface DatabasePlace {
  readonly file: string
  /** Held as long as the thread lives: one server to a folder. */
  readonly lock: string
  /** For messages. */
  readonly folder: string
}

/** A call of a method of {@link InstallationDatabase}. */
export interface DatabaseCall {
  readonly id: number
  readonly method: 'open' | 'commitAll' | 'snapshotBefore' | 'commandsOf' | 'documents' | 'close'
  readonly parameters: readonly unknown[]
}

export interface DatabaseAnswer {
  readonly id: number
  readonly result?: unknown
  readonly error?: string
}

const port = parentPort!
const place = workerData as DatabasePlace
let lock: DatabaseSync | undefined
let database: InstallationDatabase | undefined

port.on('message', ({ id, method, parameters }: DatabaseCall) => {
  try {
    lock ??= locked()
    database ??= new InstallationDatabase(place.file)
    const call = database[method] as (...values: unknown[]) => unknown
    port.postMessage({ id, result: call.apply(database, [...parameters]) })
    if (method === 'close') {
      lock.close()
      port.close()
    }
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    port.postMessage({ id, error: error instanceof NorthbridgeError ? text : `SQLite: ${text}` })
  }
})

/**
 * A second server on a folder would number its commands as the first one does. The lock is SQLite's own on a file beside:
 * the operating system lets go of it when the process ends, however it ends, and the installation's file stays open to
 * readers. Throws `storeFailed`.
 */
function locked(): DatabaseSync {
  const held = new DatabaseSync(place.lock)
  try {
    held.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
    return held
  } catch {
    held.close()
    throw new NorthbridgeError('storeFailed', `another server keeps its installation in ${place.folder}`)
  }
}
