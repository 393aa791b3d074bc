/** A hash over saved state: equal states have equal digests, whatever order keys were inserted in. */
import { createHash } from 'node:crypto'

/** What a room's `save()` returns: plain data, typed arrays allowed. Versioned by the room. */
export type Saved =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | Float64Array
  | readonly Saved[]
  | { readonly [key: string]: Saved | undefined }

/** SHA-256 of saved state, as 64 hexadecimal digits. */
export function digest(state: Saved): string {
  const feed = new Feed()
  feed.add(state)
  return feed.end()
}

/** Text that is collected before it is hashed: most of a state are short words, and each call costs more than they do. */
const LONGEST_TEXT = 0x1_0000

class Feed {
  readonly #hash = createHash('sha256')
  #text = ''

  add(state: Saved | undefined): void {
    if (ArrayBuffer.isView(state)) {
      this.#flush()
      this.#hash.update(`b${state.byteLength}:`).update(state)
    } else if (Array.isArray(state)) {
      this.#add(`a${state.length}:`)
      for (const item of state) this.add(item)
    } else if (state !== null && typeof state === 'object') {
      const entries = Object.entries(state).filter(([, value]) => value !== undefined)
      this.#add(`o${entries.length}:`)
      for (const [key, value] of entries.sort(([a], [b]) => (a < b ? -1 : 1))) {
        this.add(key)
        this.add(value)
      }
    } else {
      const text = Object.is(state, -0) ? '0' : String(state)
      this.#add(`${typeof state}${text.length}:${text}`)
    }
  }

  #add(text: string): void {
    this.#text += text
    if (this.#text.length > LONGEST_TEXT) this.#flush()
  }

  #flush(): void {
    this.#hash.update(this.#text)
    this.#text = ''
  }

  end(): string {
    this.#flush()
    return this.#hash.digest('hex')
  }
}
