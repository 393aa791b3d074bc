/** A hash over saved state: equal states have equal digests, whatever order keys were inserted in. */
import { createHash, type Hash } from 'node:crypto'

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
  const hash = createHash('sha256')
  feed(hash, state)
  return hash.digest('hex')
}

function feed(hash: Hash, state: Saved | undefined): void {
  if (ArrayBuffer.isView(state)) {
    hash.update(`b${state.byteLength}:`).update(state)
  } else if (Array.isArray(state)) {
    hash.update(`a${state.length}:`)
    for (const item of state) feed(hash, item)
  } else if (state !== null && typeof state === 'object') {
    const entries = Object.entries(state).filter(([, value]) => value !== undefined)
    hash.update(`o${entries.length}:`)
    for (const [key, value] of entries.sort(([a], [b]) => (a < b ? -1 : 1))) {
      feed(hash, key)
      feed(hash, value)
    }
  } else {
    const text = Object.is(state, -0) ? '0' : String(state)
    hash.update(`${typeof state}${text.length}:${text}`)
  }
}
