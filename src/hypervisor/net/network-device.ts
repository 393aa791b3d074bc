/** What devices that the hypervisor makes for networking have in common: a way out, and somebody who may follow a frame. */
import type { Frame } from '../../net/formats/index.ts'
import type { DropCause } from './drop-tally.ts'

/** Where a device's frames go. Returns why one went nowhere; undefined if it was taken. */
export type FrameExit = (frame: Frame) => DropCause | undefined

/** One thing that happened to a frame. Kept only while somebody follows. */
export interface FrameStep {
  /** Which part did it, e.g. `e1000`, `vs0`. */
  readonly at: string
  readonly step: string
  readonly detail: Readonly<Record<string, unknown>>
}

/** One for all of a machine's software parts, so that following a frame is switched on at one place. */
export class FrameJournal {
  #listener: ((step: FrameStep) => void) | undefined
  /** Bytes that the hypervisor's processor copied, and how often, since the machine began. */
  copies = 0
  copiedBytes = 0

  get following(): boolean {
    return this.#listener !== undefined
  }

  /** Has `listener` hear of every step; `undefined` ends it. */
  follow(listener: ((step: FrameStep) => void) | undefined): void {
    this.#listener = listener
  }

  /** Call only while {@link following}: the detail would be garbage otherwise. */
  note(at: string, step: string, detail: Readonly<Record<string, unknown>>): void {
    this.#listener?.({ at, step, detail })
  }

  copied(bytes: number): void {
    this.copies++
    this.copiedBytes += bytes
  }
}
