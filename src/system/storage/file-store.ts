/** A namespace's blocks in a file of the world outside, opened here so that hardware knows nothing of files. */
import { closeSync, fdatasyncSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs'
import { NorthbridgeError, type Saved } from '../../core/index.ts'
import type { BlockStore } from '../../devices/nvme/index.ts'

/** Zeros that are written in the place of what is discarded. */
const ZEROS = new Uint8Array(64 * 1024)

export class FileStore implements BlockStore {
  readonly size: number
  readonly #file: number

  /** @param size bytes; a file that is shorter is made so long, one that is longer keeps its end to itself. */
  constructor(path: string, size: number) {
    if (!Number.isSafeInteger(size) || size <= 0 || size % 4096 !== 0) {
      throw new NorthbridgeError('invalidArgument', 'size must be a multiple of 4096 bytes')
    }
    try {
      this.#file = openSync(path, 'r+')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw unreadable(path, error)
      this.#file = openSync(path, 'w+')
    }
    this.size = size
    if (fstatSync(this.#file).size < size) ftruncateSync(this.#file, size)
  }

  read(offset: number, target: Uint8Array, start: number, length: number): boolean {
    return attempt(() => {
      const got = readSync(this.#file, target, start, length, offset)
      target.fill(0, start + got, start + length)
    })
  }

  write(offset: number, source: Uint8Array, start: number, length: number): boolean {
    return attempt(() => {
      for (let done = 0; done < length; ) {
        done += writeSync(this.#file, source, start + done, length - done, offset + done)
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
    return attempt(() => fdatasyncSync(this.#file))
  }

  close(): void {
    closeSync(this.#file)
  }

  /** Its contents are not the world's: they are where they are. */
  save(): Saved {
    return null
  }

  load(): void {}
}

const unreadable = (path: string, error: unknown): NorthbridgeError =>
  new NorthbridgeError('invalidArgument', `${path} cannot be opened: ${(error as Error).message}`)

/** What the operating system refuses is an error of the medium. */
function attempt(work: () => void): boolean {
  try {
    work()
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error
    return false
  }
}
