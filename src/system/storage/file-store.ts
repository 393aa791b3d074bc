/** A namespace's blocks in a file of the world outside, opened here so that hardware knows nothing of files. */
import { closeSync, fdatasyncSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs'
import { NorthbridgeError, type Saved } from '../../core/index.ts'
import type { BlockStore } from '../../devices/nvme/index.ts'

/** Zeros that are written in the place of what is discarded. */
const ZEROS = new Uint8Array(64 * 1024)

export class FileStore implements BlockStore {
  readonly size: number
  readonly #path: string

  /** A file that is there already; while it is not, every access fails. */
  constructor(path: string, size: number) {
    this.#path = path
    this.size = size
  }

  /**
   * A file that is made if it is not there. Throws `invalidArgument`.
   *
   * @param size bytes; a file that is shorter is made so long, one that is longer keeps its end to itself.
   */
  static open(path: string, size: number): FileStore {
    if (!Number.isSafeInteger(size) || size <= 0 || size % 4096 !== 0) {
      throw new NorthbridgeError('invalidArgument', 'size must be a multiple of 4096 bytes')
    }
    const store = new FileStore(path, size)
    try {
      store.#with('a+', file => {
        if (fstatSync(file).size < size) ftruncateSync(file, size)
      })
    } catch (error) {
      throw new NorthbridgeError('invalidArgument', `${path} cannot be opened: ${(error as Error).message}`)
    }
    return store
  }

  /** It is open while it is used only: nobody has to close it when its machine is no more. */
  #with<Result>(flags: 'r' | 'r+' | 'a+', work: (file: number) => Result): Result {
    const file = openSync(this.#path, flags)
    try {
      return work(file)
    } finally {
      closeSync(file)
    }
  }

  /** What the operating system refuses is an error of the medium. */
  #attempt(flags: 'r' | 'r+', work: (file: number) => void): boolean {
    try {
      this.#with(flags, work)
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === undefined) throw error
      return false
    }
  }

  read(offset: number, target: Uint8Array, start: number, length: number): boolean {
    return this.#attempt('r', file => {
      const got = readSync(file, target, start, length, offset)
      target.fill(0, start + got, start + length)
    })
  }

  write(offset: number, source: Uint8Array, start: number, length: number): boolean {
    return this.#attempt('r+', file => {
      for (let done = 0; done < length; ) {
        done += writeSync(file, source, start + done, length - done, offset + done)
      }
    })
  }

  discard(offset: number, length: number): boolean {
    for (let done = 0; done < length; done += ZEROS.length) {
      const part = Math.min(ZEROS.length, length - done)
      if (!this.write(offset + done, ZEROS, 0, part)) return false
    }
    return true
  }

  flush(): boolean {
    return this.#attempt('r+', fdatasyncSync)
  }

  /** Its contents are not the world's: they are where they are. */
  save(): Saved {
    return null
  }

  load(): void {}
}
