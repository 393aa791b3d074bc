/** A way out of the host for the virtual switch: a port of a physical adapter. */
import type { Frame } from '../../net/formats/index.ts'

export interface Uplink {
  readonly name: string
  /** The adapter's own address. */
  readonly mac: Uint8Array
  readonly speedMbps: number
  /** Whether the link is up. */
  readonly carrier: boolean
  /** Hands a frame to the adapter; it copies what it keeps. False: it had no room, or there is no carrier. */
  send(frame: Frame): boolean
}
