/**
 * Where devices meet the network: a port is the end of a wire, a wire a full-duplex link between two ports. A frame is at
 * the other end at once, unless a frame carrier is given that lets it take its time; what it occupies of the line is
 * counted either way.
 */
import type { Saved } from '../core/index.ts'
import { FCS_SIZE, type Frame, SHORTEST_FRAME } from './formats/frame.ts'

/** "Media access control frame and packet specifications", IEEE 802.3: preamble with start delimiter, interpacket gap. */
export const PREAMBLE_SIZE = 8
export const INTERPACKET_GAP = 12

/** Bytes that a frame of `length`, without frame check sequence, occupies of the line. */
export const lineOccupancy = (length: number): number =>
  PREAMBLE_SIZE + Math.max(length, SHORTEST_FRAME) + FCS_SIZE + INTERPACKET_GAP

/** Carries frames over a wire in time: calls {@link Wire.deliver} when a frame has arrived. */
export interface FrameCarrier {
  carry(wire: Wire, direction: number, frame: Frame): void
}

export class Wire {
  /** Direction 0 is from the first end to the second. */
  readonly ends: readonly [NetworkPort, NetworkPort]
  /** Frames and bytes of line occupied, by direction. */
  readonly frames = new Float64Array(2)
  readonly occupied = new Float64Array(2)
  /** Frames that were sent while there was no carrier. */
  readonly lost = new Float64Array(2)
  frameCarrier: FrameCarrier | undefined = undefined
  #plugged = true

  constructor(first: NetworkPort, second: NetworkPort) {
    this.ends = [first, second]
    const before = [first.attach(this), second.attach(this)]
    for (const wire of before) wire?.carrierChanged()
    this.carrierChanged()
  }

  /** Mb/s: what both ends can do. */
  get speed(): number {
    return Math.min(this.ends[0].speed, this.ends[1].speed)
  }

  /** Whether frames pass: it is plugged in, both ends are powered, and neither has got another wire since. */
  get carrier(): boolean {
    const [first, second] = this.ends
    return this.#plugged && first.enabled && second.enabled && first.wire === this && second.wire === this
  }

  /** Stimulus: the cable is pulled out, or plugged in again. */
  set plugged(value: boolean) {
    if (value === this.#plugged) return
    this.#plugged = value
    this.carrierChanged()
  }

  get plugged(): boolean {
    return this.#plugged
  }

  carrierChanged(): void {
    for (const end of this.ends) end.carrierChanged()
  }

  /** False if there is no carrier. */
  send(from: NetworkPort, frame: Frame): boolean {
    const direction = from === this.ends[0] ? 0 : 1
    if (!this.carrier) {
      this.lost[direction]!++
      return false
    }
    this.frames[direction]!++
    this.occupied[direction]! += lineOccupancy(frame.length)
    if (this.frameCarrier === undefined) this.deliver(direction, frame)
    else this.frameCarrier.carry(this, direction, frame)
    return true
  }

  /** A frame has come to the end of its way. */
  deliver(direction: number, frame: Frame): void {
    this.ends[1 - direction]!.receive(frame)
  }

  save(): Saved {
    return {
      plugged: this.#plugged,
      frames: this.frames.slice(),
      occupied: this.occupied.slice(),
      lost: this.lost.slice(),
    }
  }

  load(saved: Saved): void {
    const state = saved as {
      plugged: boolean
      frames: Float64Array
      occupied: Float64Array
      lost: Float64Array
    }
    this.plugged = state.plugged
    this.frames.set(state.frames)
    this.occupied.set(state.occupied)
    this.lost.set(state.lost)
  }
}

/** What a port belongs to. */
export interface FrameSink {
  /** A frame has arrived. It is the sender's: copy what is kept. */
  receive(frame: Frame): void
  /** The carrier came or went. */
  carrierChanged?(): void
}

export class NetworkPort {
  /** Unique among the ports of its machine. */
  readonly name: string
  /** Fastest speed it can run at, Mb/s. */
  readonly speed: number
  readonly #sink: FrameSink
  #wire: Wire | undefined
  #enabled = true

  constructor(name: string, speed: number, sink: FrameSink) {
    this.name = name
    this.speed = speed
    this.#sink = sink
  }

  get wire(): Wire | undefined {
    return this.#wire
  }

  /** Whether its transceiver is powered: without, the other end sees no carrier. */
  get enabled(): boolean {
    return this.#enabled
  }

  set enabled(value: boolean) {
    if (value === this.#enabled) return
    this.#enabled = value
    this.#wire?.carrierChanged()
  }

  /** Whether frames can pass in both directions. */
  get carrier(): boolean {
    return this.#wire?.carrier === true
  }

  /** Sends a frame; false if there is no carrier: the frame is lost. */
  send(frame: Frame): boolean {
    return this.#wire?.send(this, frame) === true
  }

  /** The wire's side of it. Returns the wire that it had before. */
  attach(wire: Wire): Wire | undefined {
    const before = this.#wire
    this.#wire = wire
    return before
  }

  receive(frame: Frame): void {
    this.#sink.receive(frame)
  }

  carrierChanged(): void {
    this.#sink.carrierChanged?.()
  }
}
