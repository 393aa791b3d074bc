/** What the outside world does at the network ports of a machine: frames, cables, and a record of what passed. */
import type { Engine } from '../../engine/index.ts'
import { Frame } from '../../net/index.ts'
import type { PcieFunction } from '../../pcie/index.ts'
import type { PluggedPort } from '../../platform/index.ts'

/** A frame that passed a wire. */
export interface RecordedFrame {
  /** Virtual time, nanoseconds. */
  readonly time: number
  /** `in`: to the machine. */
  readonly way: 'in' | 'out'
  readonly data: Uint8Array
}

/** Frames that are kept of each wire; later ones are counted only. */
const MOST_FRAMES = 65_536

interface Recording {
  readonly frames: RecordedFrame[]
  on: boolean
  /** Frames that there was no room for. */
  lost: number
}

export interface WireRecord {
  readonly on: boolean
  readonly frames: readonly RecordedFrame[]
  readonly lost: number
}

export class Wires {
  readonly #engine: Engine
  readonly #portOf: (fn: PcieFunction) => PluggedPort
  readonly #recordings = new Map<PluggedPort, Recording>()

  constructor(engine: Engine, portOf: (fn: PcieFunction) => PluggedPort) {
    this.#engine = engine
    this.#portOf = portOf
  }

  /** Throws `notFound` for a function without network port. */
  port(fn: PcieFunction): PluggedPort {
    return this.#portOf(fn)
  }

  /** Puts a frame on the wire of a port, from outside; false if there is no carrier. */
  send(port: PluggedPort, data: Uint8Array): boolean {
    const sent = port.partner.send(Frame.of(data))
    if (sent) this.#record(port, 'in', data)
    return sent
  }

  /** Begins to keep what passes, or ends it; what was kept stays until it begins anew. */
  record(port: PluggedPort, on: boolean): void {
    if (on) this.#recordings.set(port, { frames: [], on, lost: 0 })
    else {
      const recording = this.#recordings.get(port)
      if (recording !== undefined) recording.on = false
    }
    port.partner.listener = on ? frame => this.#record(port, 'out', frame.toBytes()) : undefined
  }

  recorded(port: PluggedPort): WireRecord {
    return this.#recordings.get(port) ?? { on: false, frames: [], lost: 0 }
  }

  #record(port: PluggedPort, way: RecordedFrame['way'], data: Uint8Array): void {
    const recording = this.#recordings.get(port)
    if (recording?.on !== true) return
    if (recording.frames.length === MOST_FRAMES) recording.lost++
    else recording.frames.push({ time: this.#engine.now, way, data: data.slice() })
  }
}
