/** What the outside world does at the network ports of a machine: frames, cables, and a record of what passed. */
import { NorthbridgeError, opened, type Saved } from '../../core/index.ts'
import type { Engine } from '../../engine/index.ts'
import { Frame, lineOccupancy, lineTime } from '../../net/index.ts'
import type { PcieFunction } from '../../pcie/index.ts'
import type { PluggedPort } from '../../platform/index.ts'
import {
  OutsideSwitch,
  type OutsideSwitchDefinition,
  type SavedOutsideSwitch,
  type Transmit,
} from './outside-switch.ts'

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
  /** Outside of the machine. */
  readonly #switches = new Map<string, OutsideSwitch>()

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
    return this.#transmit(port, Frame.of(data))
  }

  readonly #transmit: Transmit = (port, frame) => {
    const sent = port.partner.send(frame)
    if (sent && this.#recordings.get(port)?.on === true) this.#record(port, 'in', frame.toBytes())
    return sent
  }

  // Switches outside

  get switches(): readonly OutsideSwitch[] {
    return [...this.#switches.values()]
  }

  /** Throws `notFound`. */
  switch(name: string): OutsideSwitch {
    const found = this.#switches.get(name)
    if (found === undefined) throw new NorthbridgeError('notFound', `there is no switch ${name} outside`)
    return found
  }

  /** Throws `nameTaken`, `functionInUse`; then nothing has changed. */
  createSwitch(definition: OutsideSwitchDefinition, ports: readonly PluggedPort[]): OutsideSwitch {
    const { name } = definition
    if (this.#switches.has(name)) {
      throw new NorthbridgeError('nameTaken', `there is a switch ${name} outside`)
    }
    const user = this.switches.find(other => other.ports.some(port => ports.includes(port)))
    if (user !== undefined) {
      throw new NorthbridgeError('functionInUse', `a wire goes to switch ${user.definition.name} already`)
    }
    const made = new OutsideSwitch(definition, ports, this.#engine, this.#transmit)
    this.#switches.set(name, made)
    return made
  }

  /** Throws `notFound`. */
  deleteSwitch(name: string): void {
    this.switch(name).remove()
    this.#switches.delete(name)
  }

  /** Time that a team asked for is over. */
  timeIsUp(team: string): void {
    for (const one of this.#switches.values()) if (one.team?.options.name === team) one.team.timeIsUp()
  }

  /** What is outside is part of the world; what was recorded is not: it is kept, up to the moment that is restored. */
  save(): Saved {
    return { version: 1, switches: this.switches.map(one => one.save()) } as unknown as Saved
  }

  /** Goes on from a state that {@link save} returned. `ports`: every network port of the machine. */
  load(saved: Saved, ports: readonly PluggedPort[], now: number): void {
    const { switches } = opened<{ switches: readonly SavedOutsideSwitch[] }>(saved, 'the wires', 1)
    for (const one of this.#switches.values()) one.remove()
    this.#switches.clear()
    for (const state of switches) {
      const ends = state.ports.map(name => ports.find(({ port }) => port.name === name)!)
      const one = new OutsideSwitch(state.definition, ends, this.#engine, this.#transmit, state)
      this.#switches.set(state.definition.name, one)
    }
    for (const { frames } of this.#recordings.values()) {
      while (frames.length > 0 && frames.at(-1)!.time > now) frames.pop()
    }
  }

  /** How long a frame of `length` bytes keeps the line of a port busy: nothing where the line takes no time. */
  occupation(port: PluggedPort, length: number): number {
    const wire = port.port.wire!
    return wire.takesTime ? lineTime(lineOccupancy(length), wire.speed) : 0
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
