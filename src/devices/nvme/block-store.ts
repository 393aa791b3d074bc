/** What a namespace's blocks are kept in: memory that is made when first written, or whatever the world plugs in. */
import type { Saved } from '../../core/index.ts'

/** Byte-addressed; every range lies inside `size`. False: the medium failed. */
export interface BlockStore {
  /** Bytes. */
  readonly size: number
  read(offset: number, target: Uint8Array, start: number, length: number): boolean
  write(offset: number, source: Uint8Array, start: number, length: number): boolean
  /** Zeros from now on, and the space is given back where that can be. */
  discard(offset: number, length: number): boolean
  /** What was written survives a loss of power from now on. */
  flush(): boolean
  /** Contents, for a store that belongs to the saved world; null for one that lives outside. */
  save(): Saved
  load(saved: Saved): void
}

const CHUNK = 4096
/** From this many bytes on, a block copy with its view is cheaper than a loop. */
const BLOCK_COPY = 64

/** Terabytes cost nothing until written. */
export class SparseStore implements BlockStore {
  readonly size: number
  readonly #chunks = new Map<number, Uint8Array>()

  constructor(size: number) {
    this.size = size
  }

  read(offset: number, target: Uint8Array, start: number, length: number): boolean {
    for (let done = 0; done < length; ) {
      const within = (offset + done) % CHUNK
      const part = Math.min(length - done, CHUNK - within)
      const chunk = this.#chunks.get((offset + done - within) / CHUNK)
      if (chunk === undefined) target.fill(0, start + done, start + done + part)
      else copy(chunk, within, target, start + done, part)
      done += part
    }
    return true
  }

  write(offset: number, source: Uint8Array, start: number, length: number): boolean {
    for (let done = 0; done < length; ) {
      const within = (offset + done) % CHUNK
      const part = Math.min(length - done, CHUNK - within)
      const number = (offset + done - within) / CHUNK
      let chunk = this.#chunks.get(number)
      if (chunk === undefined) this.#chunks.set(number, (chunk = new Uint8Array(CHUNK)))
      copy(source, start + done, chunk, within, part)
      done += part
    }
    return true
  }

  discard(offset: number, length: number): boolean {
    const end = offset + length
    const first = Math.floor(offset / CHUNK)
    const last = Math.ceil(end / CHUNK)
    // A huge range has few chunks in it, a small one is found faster by its numbers.
    if (last - first > this.#chunks.size) {
      for (const number of [...this.#chunks.keys()]) this.#clear(number, offset, end)
    } else {
      for (let number = first; number < last; number++) this.#clear(number, offset, end)
    }
    return true
  }

  #clear(number: number, from: number, to: number): void {
    const chunk = this.#chunks.get(number)
    if (chunk === undefined) return
    const base = number * CHUNK
    const start = Math.max(from - base, 0)
    const end = Math.min(to - base, CHUNK)
    if (start === 0 && end === CHUNK) this.#chunks.delete(number)
    else if (start < end) chunk.fill(0, start, end)
  }

  flush(): boolean {
    return true
  }

  /** Chunks that are not all zeros, ascending: one form for one state. */
  save(): Saved {
    return [...this.#chunks]
      .filter(([, chunk]) => chunk.some(byte => byte !== 0))
      .sort(([a], [b]) => a - b)
      .map(([number, chunk]) => [number, chunk.slice()])
  }

  load(saved: Saved): void {
    this.#chunks.clear()
    for (const [number, chunk] of saved as readonly (readonly [number, Uint8Array])[]) {
      this.#chunks.set(number, chunk.slice())
    }
  }
}

/** A medium of the world outside that is not there: every access fails until it is put back. */
export class AbsentStore implements BlockStore {
  readonly size: number
  readonly read = fails
  readonly write = fails
  readonly discard = fails
  readonly flush = fails

  constructor(size: number) {
    this.size = size
  }

  save(): Saved {
    return null
  }

  load(): void {}
}

const fails = (): boolean => false

function copy(source: Uint8Array, from: number, target: Uint8Array, to: number, length: number): void {
  if (length >= BLOCK_COPY) Buffer.prototype.copy.call(source, target, to, from, from + length)
  else for (let i = 0; i < length; i++) target[to + i] = source[from + i]!
}
