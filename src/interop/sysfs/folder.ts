/** A folder that may lack any file, read without throwing for what is not there. */
import { closeSync, openSync, readdirSync, readlinkSync, readSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { NorthbridgeError } from '../../core/index.ts'

/** Larger files are nothing that sysfs has here. */
const MOST_BYTES = 2 ** 22

export class Folder {
  readonly #path: string

  /** Throws `notFound` if there is no such folder. */
  constructor(path: string) {
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory())
      throw new NorthbridgeError('notFound', `there is no folder ${path}`)
    this.#path = path
  }

  has(name: string): boolean {
    return statSync(join(this.#path, name), { throwIfNoEntry: false }) !== undefined
  }

  /** Names in a folder, sorted; none if it cannot be read. */
  list(name: string): string[] {
    return orUndefined(() => readdirSync(join(this.#path, name)))?.sort() ?? []
  }

  /** sysfs tells no true sizes: the file is read until it ends, or until a device refuses to show more. */
  bytes(name: string): Uint8Array | undefined {
    const file = orUndefined(() => openSync(join(this.#path, name), 'r'))
    if (file === undefined) return undefined
    try {
      const parts: Buffer[] = []
      for (let total = 0; total < MOST_BYTES; ) {
        const part = Buffer.alloc(4096)
        const count = orUndefined(() => readSync(file, part)) ?? 0
        if (count === 0) break
        parts.push(part.subarray(0, count))
        total += count
      }
      return new Uint8Array(Buffer.concat(parts))
    } finally {
      closeSync(file)
    }
  }

  text(name: string): string | undefined {
    const bytes = this.bytes(name)
    return bytes && Buffer.from(bytes).toString('utf8')
  }

  /** Last part of what a link leads to. */
  linkName(name: string): string | undefined {
    const target = orUndefined(() => readlinkSync(join(this.#path, name)))
    return target === undefined ? undefined : basename(target)
  }
}

function orUndefined<Result>(read: () => Result): Result | undefined {
  try {
    return read()
  } catch (error) {
    // Only what the operating system says about files; anything else is a defect.
    if ((error as NodeJS.ErrnoException).code === undefined) throw error
    return undefined
  }
}
