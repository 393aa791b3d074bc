/** A virtqueue as the driver uses it, whatever its layout. */
import type { Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'

/** A piece of a buffer. */
export interface Segment {
  /** Guest-physical. */
  readonly address: number
  readonly length: number
  /** The device writes it. */
  readonly write: boolean
}

/** A buffer that came back. */
export interface UsedBuffer {
  id: number
  /** Bytes that the device says it wrote. */
  written: number
}

/** What {@link DriverRing.addNow} and {@link DriverRing.reapNow} could not do. */
export const NOTHING = -1
/** Something comes in between: {@link DriverRing.add} or {@link DriverRing.reap} has to follow. */
export const NOT_AT_ONCE = -2

export interface RingOptions {
  readonly size: number
  readonly eventIndex: boolean
  /** Put chains of several segments into a table of their own. */
  readonly indirect: boolean
}

/** What every ring saves, whatever its layout. */
export type SavedRing = { readonly at: number; readonly size: number }

export interface DriverRing {
  readonly size: number
  /** Where the device finds its parts. */
  readonly descriptors: number
  readonly driver: number
  readonly device: number
  /** Descriptors that are free. */
  readonly free: number
  /** Makes a buffer available: readable segments first. Returns its id, or -1 if there is no room for it. */
  add(segments: readonly Segment[]): Software<number>
  /** {@link add} of one segment without waiting and without garbage: its id, {@link NOTHING} or {@link NOT_AT_ONCE}. */
  addNow(address: number, length: number, write: boolean): number
  /** Whether the device wants to be told of what was added since the last call. */
  needsNotification(): Software<boolean>
  /** The device has given back what it had not: nothing is taken from it any more. */
  readonly broken: boolean
  /** Takes a buffer that the device is done with. */
  reap(): Software<UsedBuffer | undefined>
  /** {@link reap} in the same way: its id, {@link NOTHING} or {@link NOT_AT_ONCE}; `into` is filled. */
  reapNow(into: UsedBuffer): number
  /** Asks for an interrupt with the next used buffer, or for none. */
  interrupts(wanted: boolean): Software
  save(): SavedRing
  load(saved: Saved): void
}
