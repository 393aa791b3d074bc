/** What every network driver of the guest offers to what runs above it. */
import type { Software } from '../../engine/index.ts'
import type { GuestDriver } from '../driver.ts'

export type NetworkCounters = {
  readonly sent: number
  readonly received: number
  readonly receivedBytes: number
  /** Frames that were not sent because the ring was full. */
  readonly refused: number
  /** Interrupts handled. */
  readonly interrupts: number
}

export interface NetworkDriver extends GuestDriver {
  readonly kind: 'network'
  readonly mac: Uint8Array
  readonly counters: NetworkCounters
  /** Whether it stands in for a device with the same address. Default false. */
  readonly standby?: boolean
  /** Whether received frames are copied out for {@link takeFrames}; else they are counted only. Default true. */
  keepsFrames: boolean
  /** Puts a frame into the transmit ring and tells the device. False if the ring is full. */
  send(frame: Uint8Array): Software<boolean>
  /** Tells the device once more of `count` frames whose buffers are filled already: for measuring. */
  resend(count: number): Software<number>
  /** Frames received since the last call, oldest first. */
  takeFrames(): readonly Uint8Array[]
}

export const isNetworkDriver = (driver: GuestDriver | undefined): driver is NetworkDriver =>
  driver !== undefined && (driver as Partial<NetworkDriver>).kind === 'network'

export type SavedInbox = NetworkCounters & { readonly frames: readonly Uint8Array[] }

/** Counts, and the frames that wait for whoever reads them. */
export class FrameInbox {
  sent = 0
  received = 0
  receivedBytes = 0
  refused = 0
  interrupts = 0
  #frames: Uint8Array[] = []

  arrived(length: number, frame: Uint8Array | undefined): void {
    this.received++
    this.receivedBytes += length
    if (frame !== undefined) this.#frames.push(frame)
  }

  take(): readonly Uint8Array[] {
    const frames = this.#frames
    this.#frames = []
    return frames
  }

  get counters(): NetworkCounters {
    const { sent, received, receivedBytes, refused, interrupts } = this
    return { sent, received, receivedBytes, refused, interrupts }
  }

  save(): SavedInbox {
    return { ...this.counters, frames: this.#frames.map(frame => frame.slice()) }
  }

  load({ sent, received, receivedBytes, refused, interrupts, frames }: SavedInbox): void {
    Object.assign(this, { sent, received, receivedBytes, refused, interrupts })
    this.#frames = frames.map(frame => frame.slice())
  }
}
