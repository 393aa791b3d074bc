/**
 * Gives functions the device models that their data sheets name, and plugs a wire into every network port. What is at
 * the other end of it is the outside world, until two ports of the machine are connected to each other.
 */
import { assert, NorthbridgeError } from '../core/index.ts'
import { DEVICE_MODELS, type NetworkModel } from '../devices/index.ts'
import type { Engine } from '../engine/index.ts'
import { LinkPartner, NetworkPort, nameOf, type SavedWire, Wire } from '../net/index.ts'
import type { Fabric, PcieFunction } from '../pcie/index.ts'

/** Time that a device model asked for is over. */
export const DEVICE_EVENT = 'device'

/** A network port of the machine, with what is at the other end of its wire. */
export interface PluggedPort {
  readonly function: PcieFunction
  readonly port: NetworkPort
  /** The outside world; its port is at the end of no wire while the port is connected to another one. */
  readonly partner: LinkPartner
}

export type SavedPort = {
  readonly name: string
  readonly enabled: boolean
  /** The port at the other end. */
  readonly other: string
  readonly wire: SavedWire
}

export class DeviceModels {
  readonly #engine: Engine
  readonly #fabric: Fabric
  readonly #functions = new Map<string, PcieFunction>()
  readonly #ports = new Map<string, PluggedPort>()

  constructor(engine: Engine, fabric: Fabric) {
    this.#engine = engine
    this.#fabric = fabric
    engine.handle(DEVICE_EVENT, (place, argument) => {
      this.#functions.get(place)?.modelMade?.timeIsUp?.(argument)
    })
  }

  /** A function was plugged in. */
  added(fn: PcieFunction): void {
    const { registerModel } = fn.definition
    if (registerModel === undefined) return
    const entry = DEVICE_MODELS[registerModel]
    assert(entry !== undefined, `data sheets name models that there are: ${registerModel}`)
    const name = placeOf(fn, this.#fabric)
    this.#functions.set(name, fn)
    const port = entry.portSpeed === undefined ? undefined : this.#plug(name, fn, entry.portSpeed)
    const environment = {
      name,
      clock: this.#engine,
      trace: this.#engine.trace,
      schedule: (delay: number, argument: number) =>
        this.#engine.schedule(delay, DEVICE_EVENT, name, argument),
      port,
    }
    fn.setModel(() => entry.make(fn, environment))
  }

  #plug(name: string, fn: PcieFunction, speed: number): NetworkPort {
    const port = new NetworkPort(name, speed, {
      receive: frame => {
        if (fn.present) (fn.model as NetworkModel).receive(frame)
      },
      carrierChanged: () => (fn.modelMade as NetworkModel | undefined)?.carrierChanged?.(),
    })
    const partner = new LinkPartner(`outside ${name}`)
    this.#ports.set(name, { function: fn, port, partner })
    this.#watch(new Wire(port, partner.port))
    return port
  }

  /** Frames that a wire loses are named: nobody else can. */
  #watch(wire: Wire): void {
    wire.whenLost = (frame, from) => {
      const { trace } = this.#engine
      if (!trace.enabled) return
      const name = nameOf(frame)
      const message = `${from.name}: a frame for ${name.to} is lost: the wire has no carrier`
      trace.emit('network', message, { step: 'lost', at: from.name, cause: 'noCarrier', ...name })
    }
  }

  /** Every network port of the machine, in the order in which they were plugged in. */
  get ports(): readonly PluggedPort[] {
    return [...this.#ports.values()].filter(({ function: fn }) => fn.present)
  }

  /** The network port of a physical function. Throws `notFound`. */
  portOf(fn: PcieFunction): PluggedPort {
    for (const plugged of this.#ports.values()) if (plugged.function === fn) return plugged
    throw new NorthbridgeError('notFound', `${fn.definition.model} has no network port that is modelled`)
  }

  /** Stimulus: connects two ports of the machine with one wire; undefined: the first with the outside world again. */
  connect(first: PcieFunction, second: PcieFunction | undefined): void {
    const from = this.portOf(first)
    const to = second && this.portOf(second)
    assert(to !== from, 'a wire has two different ends')
    for (const end of [from, to]) {
      const other = end?.port.wire?.ends.find(port => port !== end.port)
      const left = this.ports.find(({ port }) => port === other)
      if (left !== undefined && left !== from && left !== to)
        this.#watch(Wire.plug(left.port, left.partner.port))
    }
    this.#watch(Wire.plug(from.port, to?.port ?? from.partner.port))
  }

  /** Which port each one is connected to, and the state of the wires. */
  save(): readonly SavedPort[] {
    return this.ports.map(({ port }) => ({
      name: port.name,
      enabled: port.enabled,
      other: port.wire!.ends.find(end => end !== port)!.name,
      wire: port.wire!.save(),
    }))
  }

  /** Nobody is told: what ports belong to is in the state of that moment. */
  load(saved: readonly SavedPort[]): void {
    for (const { name, enabled, other, wire } of saved) {
      const plugged = this.#ports.get(name)!
      plugged.port.loadEnabled(enabled)
      const end = this.#ports.get(other)?.port ?? plugged.partner.port
      if (plugged.port.wire?.ends.includes(end) !== true) this.#watch(new Wire(plugged.port, end))
      plugged.port.wire!.load(wire)
    }
  }
}

/** Segment and number of the root bus, then device and function on the way down: `0000:00:01.0/00.0`. */
function placeOf(fn: PcieFunction, fabric: Fabric): string {
  const steps: string[] = []
  let at = fn
  for (;;) {
    steps.unshift(`${(at.devfn >>> 3).toString(16).padStart(2, '0')}.${at.devfn & 7}`)
    if (at.bus.bridge === undefined) break
    at = at.bus.bridge
  }
  const host = fabric.hostBridges.find(({ rootBus }) => rootBus === at.bus)!
  const segment = host.segment.toString(16).padStart(4, '0')
  return `${segment}:${host.bus.toString(16).padStart(2, '0')}:${steps.join('/')}`
}
