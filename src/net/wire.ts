/**
 * Where devices meet the network: a port is the end of a wire, a wire a full-duplex link between two ports. A frame is at
 * the other end at once. What it occupies of the line is counted, and where the line takes its time its sender waits
 * that long before the next one.
 */
import type { Frame } from './formats/frame.ts'
import { lineOccupancy } from './formats/line.ts'

export type SavedWire = {
  readonly takesTime: boolean
  readonly plugged: boolean
  readonly frames: Float64Array
  readonly occupied: Float64Array
  readonly lost: Float64Array
}

export class Wire {
  /** Direction 0 is from the first end to the second. */
  readonly ends: readonly [NetworkPort, NetworkPort]
  /** Frames and bytes of line occupied, by direction. */
  readonly frames = new Float64Array(2)
  readonly occupied = new Float64Array(2)
  /** Frames that were sent while there was no carrier. */
  readonly lost = new Float64Array(2)
  /** Hears of each frame that is lost. */
  whenLost: ((frame: Frame, from: NetworkPort) => void) | undefined = undefined
  /** Whether senders keep to its speed; else it is free again at once. */
  takesTime = false
  #plugged = true

  /** Nobody is told: as if it had been there. */
  constructor(first: NetworkPort, second: NetworkPort) {
    this.ends = [first, second]
    for (const end of this.ends) end.attach(this)
  }

  /** Stimulus: plugs a wire into two ports, which leave the wires that they had. */
  static plug(first: NetworkPort, second: NetworkPort): Wire {
    const before = [first.wire, second.wire]
    const wire = new Wire(first, second)
    for (const one of [...before, wire]) one?.carrierChanged()
    return wire
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
      this.whenLost?.(frame, from)
      return false
    }
    this.frames[direction]!++
    this.occupied[direction]! += lineOccupancy(frame.length)
    this.ends[1 - direction]!.receive(frame)
    return true
  }

  save(): SavedWire {
    return {
      takesTime: this.takesTime,
      plugged: this.#plugged,
      frames: this.frames.slice(),
      occupied: this.occupied.slice(),
      lost: this.lost.slice(),
    }
  }

  /** Nobody is told. */
  load({ takesTime, plugged, frames, occupied, lost }: SavedWire): void {
    this.takesTime = takesTime
    this.#plugged = plugged
    this.frames.set(frames)
    this.occupied.set(occupied)
    this.lost.set(lost)
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

  /** The wire's side of it. */
  attach(wire: Wire): void {
    this.#wire = wire
  }

  /** After a restore. Nobody is told. */
  loadEnabled(enabled: boolean): void {
    this.#enabled = enabled
  }

  receive(frame: Frame): void {
    this.#sink.receive(frame)
  }

  carrierChanged(): void {
    this.#sink.carrierChanged?.()
  }
}
