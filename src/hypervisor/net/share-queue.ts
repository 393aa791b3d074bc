/**
 * Frames that wait while an uplink is busy: those of each port of the switch in a queue of their own, which take turns by
 * their shares ("Deficit Round Robin", Shreedhar and Varghese, SIGCOMM 1995). An uplink with room has nothing waiting, so
 * a share is a minimum for who wants it, and no limit.
 */
import { Frame, lineOccupancy } from '../../net/formats/index.ts'

/** Of a port that says nothing. */
export const DEFAULT_SHARE = 50
export const MOST_SHARES = 100
/** Frames of one port that wait at most. */
const MOST_WAITING = 64
/** Bytes of the line that a share is worth in each turn: a whole frame of the standard size for all of them. */
const BYTES_PER_SHARE = 16

interface Lane {
  /** Number of the port. */
  readonly from: number
  share: number
  /** A ring; those that are not waiting are used again. */
  readonly frames: Frame[]
  head: number
  count: number
  /** Bytes that it may still send in this turn. */
  deficit: number
}

export type SavedShareQueue = {
  readonly turn: number
  readonly begun: boolean
  readonly lanes: readonly {
    readonly from: number
    readonly share: number
    readonly deficit: number
    readonly frames: readonly Uint8Array[]
  }[]
}

export class ShareQueue {
  readonly #send: (frame: Frame) => boolean
  /** In the order of turns. */
  readonly #lanes: Lane[] = []
  #turn = 0
  /** Whether the lane whose turn it is got its bytes. */
  #begun = false
  #waiting = 0

  /** @param send false if there is no room */
  constructor(send: (frame: Frame) => boolean) {
    this.#send = send
  }

  get waiting(): number {
    return this.#waiting
  }

  /** Copies a frame to the end of its port's queue; false if that is full. */
  put({ bytes, length }: Frame, from: number, share: number): boolean {
    const lane = this.#laneOf(from)
    lane.share = share
    if (lane.count === MOST_WAITING) return false
    const at = (lane.head + lane.count) % MOST_WAITING
    const copy = (lane.frames[at] ??= new Frame())
    copy.bytes.set(bytes.subarray(0, length))
    copy.length = length
    lane.count++
    this.#waiting++
    return true
  }

  #laneOf(from: number): Lane {
    for (const lane of this.#lanes) if (lane.from === from) return lane
    const lane = { from, share: DEFAULT_SHARE, frames: [], head: 0, count: 0, deficit: 0 }
    this.#lanes.push(lane)
    return lane
  }

  /** There is room again: sends what goes. */
  drain(): void {
    while (this.#waiting > 0) {
      const lane = this.#lanes[this.#turn]!
      if (!this.#begun) {
        lane.deficit += lane.share * BYTES_PER_SHARE
        this.#begun = true
      }
      const frame = lane.frames[lane.head]!
      const cost = lane.count === 0 ? Number.POSITIVE_INFINITY : lineOccupancy(frame.length)
      if (cost > lane.deficit) this.#nextTurn(lane)
      else {
        if (!this.#send(frame)) return
        lane.deficit -= cost
        this.#take(lane)
      }
    }
  }

  /** Who has nothing to send saves nothing up. */
  #nextTurn(lane: Lane): void {
    if (lane.count === 0) lane.deficit = 0
    this.#turn = (this.#turn + 1) % this.#lanes.length
    this.#begun = false
  }

  #take(lane: Lane): Frame {
    const frame = lane.frames[lane.head]!
    lane.head = (lane.head + 1) % MOST_WAITING
    lane.count--
    this.#waiting--
    return frame
  }

  /** Empties it, port by port. */
  takeAll(each: (frame: Frame, from: number) => void): void {
    for (const lane of this.#lanes) while (lane.count > 0) each(this.#take(lane), lane.from)
  }

  save(): SavedShareQueue {
    return {
      turn: this.#turn,
      begun: this.#begun,
      lanes: this.#lanes.map(({ from, share, deficit, frames, head, count }) => ({
        from,
        share,
        deficit,
        frames: Array.from({ length: count }, (_, i) => frames[(head + i) % MOST_WAITING]!.toBytes()),
      })),
    }
  }

  load({ turn, begun, lanes }: SavedShareQueue): void {
    this.#turn = turn
    this.#begun = begun
    for (const { from, share, deficit, frames } of lanes) {
      for (const bytes of frames) this.put(Frame.of(bytes), from, share)
      Object.assign(this.#laneOf(from), { share, deficit })
    }
  }
}
