/** A topology built into a machine: powered off at first, everything soldered where the document says. */
import { assert, parseFunctionAddress, type RequesterId, type Saved } from '../core/index.ts'
import { DmaEngine } from '../devices/index.ts'
import type { Engine, Software } from '../engine/index.ts'
import type { ApertureUnit } from '../gart/index.ts'
import type { EventTimer, IoApic } from '../interrupts/index.ts'
import type { SystemAddressMap } from '../memory/index.ts'
import { COMPLETION_TIMEOUT, type Fabric, type PcieFunction, type RegisterWatcher } from '../pcie/index.ts'
import type { LogicalProcessor } from '../vmx/index.ts'
import type { RemappingUnit } from '../vtd/index.ts'
import { assemble, type PlatformParts } from './assemble.ts'
import { CardSlots } from './cards.ts'
import type { DeviceModels } from './device-models.ts'
import { entryOf } from './entry.ts'
import { Machine, type WriteWatcher } from './machine.ts'
import type { MachinePort } from './machine-port.ts'
import { planPlatform } from './plan.ts'
import type { PlatformPorts } from './ports.ts'
import type { RequestWatcher, RootComplex } from './root-complex.ts'
import { explainRoute, type Route, type RoutedRequest } from './route.ts'
import type { Topology } from './topology-schema.ts'

/** Inspection: who hears of what happens between software, memory and devices. */
export interface PlatformWatcher extends WriteWatcher, RequestWatcher, Partial<RegisterWatcher> {}

export class Platform {
  readonly topology: Topology
  /** The door for software. */
  readonly port: MachinePort
  readonly #machine: Machine
  readonly fabric: Fabric
  readonly units: readonly RemappingUnit[]
  /** On machines with an address-range unit instead of remapping units. */
  readonly aperture: ApertureUnit | undefined
  readonly processors: readonly LogicalProcessor[]
  readonly ioApic: IoApic
  readonly map: SystemAddressMap
  /** Stimulus: what is put into hot-plug slots and pulled out. */
  readonly cards: CardSlots
  /** Stimulus and inspection: network ports and the wires in them. */
  readonly network: DeviceModels
  readonly #rootComplex: RootComplex
  readonly #ports: PlatformPorts
  readonly #eventTimer: EventTimer | undefined
  readonly #engine: Engine
  readonly #dmaEngines = new WeakMap<PcieFunction, DmaEngine>()
  #watcher: PlatformWatcher | undefined
  #powered = false

  private constructor(parts: PlatformParts, engine: Engine) {
    this.topology = parts.topology
    this.fabric = parts.fabric
    this.units = parts.units
    this.aperture = parts.aperture
    this.processors = parts.processors
    this.ioApic = parts.ioApic
    this.map = parts.map
    this.cards = new CardSlots(parts.topology, parts.fabric)
    this.network = parts.models
    this.#rootComplex = parts.rootComplex
    this.#ports = parts.ports
    this.#eventTimer = parts.eventTimer
    this.#engine = engine
    this.#machine = new Machine(parts.board, parts.processors, parts.map, parts.ports)
    this.port = this.#machine
    engine.handle(COMPLETION_TIMEOUT, (address, ticket) => {
      const { segment, rid } = parseFunctionAddress(address)
      const fn = this.fabric.functionAt(segment, rid)
      if (fn?.hasFaults) fn.faults.timedOut(ticket)
    })
  }

  /** Builds the machine of a checked topology, pausing now and then. */
  static *build(topology: Topology, engine: Engine): Software<Platform> {
    const plan = yield* planPlatform(topology)
    return new Platform(yield* assemble(plan, engine), engine)
  }

  get powered(): boolean {
    return this.#powered
  }

  get memory() {
    return this.map.memory
  }

  /** Supplies power: every register has its reset value, RAM is empty. */
  powerOn(): void {
    assert(!this.#powered, 'a platform is powered on once')
    this.#powered = true
    this.#engine.trace.emit('power', 'power on', { action: 'on' })
  }

  /** Takes power away: registers and the contents of RAM are lost. */
  powerOff(): void {
    assert(this.#powered, 'a platform is powered off once')
    this.#resetHardware()
    this.memory.clear()
    this.#powered = false
    this.#engine.trace.emit('power', 'power off', { action: 'off' })
  }

  /** Platform reset: every register has its reset value, RAM keeps its contents. */
  reset(): void {
    assert(this.#powered, 'a platform that is reset is on')
    this.#resetHardware()
    this.#engine.trace.emit('power', 'platform reset', { action: 'reset' })
  }

  #resetHardware(): void {
    this.fabric.conventionalReset()
    for (const unit of this.units) unit.reset()
    this.aperture?.reset()
    this.ioApic.reset()
    this.#eventTimer?.reset()
    for (const processor of this.processors) processor.reset()
    this.#ports.reset()
  }

  /** The unit that requests with this requester id pass, by wiring; undefined if they pass none. */
  unitOf(segment: number, rid: RequesterId): RemappingUnit | undefined {
    const entry = entryOf(this.fabric, segment, rid)
    return entry && this.#rootComplex.unitAt(entry)
  }

  /** Inspection: the way that a memory request of a function would take now. */
  route(fn: PcieFunction, request: RoutedRequest): Route {
    const { fabric, memory } = this
    return explainRoute(fn, request, { fabric, memory, unitAt: entry => this.#rootComplex.unitAt(entry) })
  }

  /** Who watches now. */
  get watcher(): PlatformWatcher | undefined {
    return this.#watcher
  }

  /**
   * Inspection: tells of every write of software, every request at the root complex and, if it listens, every access to
   * registers of functions; undefined ends it.
   */
  watch(watcher: PlatformWatcher | undefined): void {
    this.#watcher = watcher
    this.#machine.watcher = watcher
    this.#rootComplex.watcher = watcher
    this.fabric.watcher = listensToRegisters(watcher) ? watcher : undefined
  }

  /** Stimulus: the bus-mastering engine of a function. */
  engineOf(fn: PcieFunction): DmaEngine {
    let engine = this.#dmaEngines.get(fn)
    if (engine === undefined) this.#dmaEngines.set(fn, (engine = new DmaEngine(fn)))
    return engine
  }

  save(): Saved {
    return {
      version: 1,
      powered: this.#powered,
      memory: this.memory.save(),
      cards: this.cards.save(),
      fabric: this.fabric.save(),
      units: this.units.map(unit => unit.save()),
      ...(this.aperture && { aperture: this.aperture.save() }),
      processors: this.processors.map(processor => processor.save()),
      ioApic: this.ioApic.save(),
      ...(this.#eventTimer && { eventTimer: this.#eventTimer.save() }),
      ports: this.#ports.save(),
      network: this.network.save(),
    }
  }

  /** Restores what {@link save} returned for a platform of the same topology. */
  load(saved: Saved): void {
    const state = saved as {
      powered: boolean
      memory: Saved
      cards: Saved
      fabric: Saved
      units: readonly Saved[]
      aperture?: Saved
      processors: readonly Saved[]
      ioApic: Saved
      eventTimer?: Saved
      ports: Saved
      network: ReturnType<DeviceModels['save']>
    }
    assert(
      state.units.length === this.units.length && state.processors.length === this.processors.length,
      'a state is loaded into a platform of its own topology',
    )
    this.#powered = state.powered
    this.memory.load(state.memory)
    this.cards.load(state.cards)
    this.fabric.load(state.fabric)
    for (const [i, unit] of this.units.entries()) unit.load(state.units[i]!)
    if (state.aperture !== undefined) this.aperture?.load(state.aperture)
    for (const [i, processor] of this.processors.entries()) processor.load(state.processors[i]!)
    this.ioApic.load(state.ioApic)
    if (state.eventTimer !== undefined) this.#eventTimer?.load(state.eventTimer)
    this.#ports.load(state.ports)
    this.network.load(state.network)
  }
}

const listensToRegisters = (
  watcher: PlatformWatcher | undefined,
): watcher is PlatformWatcher & RegisterWatcher => watcher?.accessed !== undefined
