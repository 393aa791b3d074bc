/** Between the state of a world, as `save` returns it, and bytes that only this installation reads. */

import { promisify } from 'node:util'
import { deserialize, serialize } from 'node:v8'
import { zstdCompress, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { NorthbridgeError, type Saved } from '../core/index.ts'

const compress = promisify(zstdCompress)

/** The copy is made at once; compressing it is done by a thread of the runtime. */
export function encodeState(state: Saved): Promise<Uint8Array> {
  const bytes = serialize(state)
  return compress(bytes)
}

/** {@link encodeState} at once, for states that have to become durable in the order of commands. */
export const encodeStateNow = (state: Saved): Uint8Array => zstdCompressSync(serialize(state))

/** Throws `invalidDocument` for bytes that no state was encoded as. */
export function decodeState(bytes: Uint8Array): Saved {
  try {
    return deserialize(zstdDecompressSync(bytes)) as Saved
  } catch (error) {
    throw new NorthbridgeError(
      'invalidDocument',
      `the kept state cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}
