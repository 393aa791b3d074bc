/** The world at the other end of a wire: stimulus sends frames through it, and whoever listens hears what comes out. */
import type { Frame } from './formats/frame.ts'
import { type FrameSink, NetworkPort } from './wire.ts'

export type FrameListener = (frame: Frame) => void

/** Fast enough for any port: the near end decides the speed of the wire. */
const PARTNER_SPEED = 400_000

export class LinkPartner implements FrameSink {
  readonly port: NetworkPort
  /** Hears every frame that arrives; copies what it keeps. */
  listener: FrameListener | undefined = undefined
  /** Who takes part there. */
  neighbour: FrameSink | undefined = undefined

  constructor(name: string) {
    this.port = new NetworkPort(name, PARTNER_SPEED, this)
  }

  receive(frame: Frame): void {
    this.listener?.(frame)
    this.neighbour?.receive(frame)
  }

  carrierChanged(): void {
    this.neighbour?.carrierChanged?.()
  }

  /** Puts a frame on the wire; false if there is no carrier. */
  send(frame: Frame): boolean {
    return this.port.send(frame)
  }
}
