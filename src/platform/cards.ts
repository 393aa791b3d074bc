/**
 * Cards in hot-plug slots: what the outside world puts in and pulls out while the machine runs. Which card is where is
 * state of the machine; the topology document says what was there when it was built.
 */
import { NorthbridgeError, type Saved } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import type { Fabric, HostBridge, PcieFunction, Port } from '../pcie/index.ts'
import { FunctionCatalogue } from './function-catalogue.ts'
import { slotOf } from './function-paths.ts'
import { readTopology } from './topology.ts'
import type { Topology, TopologyNode } from './topology-schema.ts'

/** The functions of a card: what the document has as `devices` of the port. */
export type Card = readonly TopologyNode[]

/** Where a port is: number of its host bridge, then device and function on the way down. */
type Path = readonly number[]

interface Change {
  readonly path: Path
  readonly card: Card
}

export class CardSlots {
  readonly #topology: Topology
  readonly #fabric: Fabric
  readonly #catalogue = new FunctionCatalogue()
  /** Slots that hold something else than the document says, in the order of their first change. */
  readonly #changes = new Map<string, Change>()
  /** What was pulled out of a slot last, to be put back. */
  readonly #pulled = new Map<string, Card>()

  constructor(topology: Topology, fabric: Fabric) {
    this.#topology = topology
    this.#fabric = fabric
  }

  /**
   * Puts a card into the slot of a port: functions as a topology document describes them, or the card that was pulled
   * out of it last. Throws `topologyConflict` if there is no free hot-plug slot, `invalidDocument` for a card that does
   * not fit.
   */
  *insert(port: PcieFunction, description?: unknown): Software {
    const slot = slotOfPort(port)
    if (slot.occupied) throw conflict(port, 'its slot is taken')
    const path = this.#pathOf(port)
    const before = this.#pulled.get(key(path))
    if (description === undefined && before === undefined)
      throw conflict(port, 'no card was pulled out of it')
    const card = description === undefined ? before! : yield* this.#check(path, description)
    this.#pulled.delete(key(path))
    slot.beginInsertion()
    this.#plug(port, card)
    slot.endInsertion()
    this.#note(path, card)
  }

  /** Pulls the card out of the slot of a port, without notice. Throws `topologyConflict` if there is none. */
  pull(port: PcieFunction): void {
    const slot = slotOfPort(port)
    if (!slot.occupied) throw conflict(port, 'its slot is empty')
    const path = this.#pathOf(port)
    this.#pulled.set(key(path), this.#cardAt(path))
    unplug(port)
    slot.removed()
    this.#note(path, [])
  }

  #note(path: Path, card: Card): void {
    // Slots on a card that is gone are gone too.
    for (const other of this.#changes.keys())
      if (other.startsWith(`${key(path)}/`)) this.#changes.delete(other)
    this.#changes.set(key(path), { path, card })
  }

  #plug(port: PcieFunction, card: Card): void {
    const host = port.bus.host as HostBridge
    const functions = new Uint16Array(32)
    for (const { at } of card) functions[slotOf(at).device]!++
    for (const node of card) {
      const { device, fn } = slotOf(node.at)
      const definition = this.#catalogue.definition(node, functions[device]! > 1)
      const added = host.addFunction(device, fn, definition, port)
      if (node.devices !== undefined) this.#plug(added, node.devices)
    }
  }

  #pathOf(port: PcieFunction): Path {
    const steps: number[] = []
    let fn = port
    for (let bridge = fn.bus.bridge; bridge !== undefined; bridge = fn.bus.bridge) {
      steps.unshift(fn.devfn)
      fn = bridge
    }
    return [this.#fabric.hostBridges.findIndex(host => host.rootBus === fn.bus), fn.devfn, ...steps]
  }

  #portAt([hostBridge, ...steps]: Path): PcieFunction {
    let bus = this.#fabric.hostBridges[hostBridge!]!.rootBus
    let fn = bus.at(steps[0]!)!
    for (const devfn of steps.slice(1)) {
      bus = fn.secondary!
      fn = bus.at(devfn)!
    }
    return fn
  }

  /** The document with every change made so far. */
  #document(): Topology {
    const document = structuredClone(this.#topology)
    for (const { path, card } of this.#changes.values())
      nodeAt(document, path).devices = structuredClone([...card])
    return document
  }

  #cardAt(path: Path): Card {
    return nodeAt(this.#document(), path).devices ?? []
  }

  /** Judges a card by the rules of the whole document that it becomes part of. */
  *#check(path: Path, description: unknown): Software<Card> {
    const document = this.#document()
    nodeAt(document, path).devices = description as TopologyNode[]
    return nodeAt(yield* readTopology(document), path).devices ?? []
  }

  save(): Saved {
    return {
      changes: [...this.#changes.values()].map(({ path, card }) => ({
        path: [...path],
        card: JSON.stringify(card),
      })),
      pulled: [...this.#pulled].map(([path, card]) => ({ path, card: JSON.stringify(card) })),
    }
  }

  /** Makes the slots hold what they held when the state was saved; registers are loaded afterwards. */
  load(saved: Saved): void {
    const { changes, pulled } = saved as unknown as {
      changes: readonly { path: Path; card: string }[]
      pulled: readonly { path: string; card: string }[]
    }
    const present = [...this.#changes.values()]
    this.#changes.clear()
    for (const { path } of present.sort((a, b) => a.path.length - b.path.length)) {
      this.#replace(path, nodeAt(this.#topology, path).devices ?? [])
    }
    for (const { path, card } of changes) {
      const described = JSON.parse(card) as Card
      this.#replace(path, described)
      this.#changes.set(key(path), { path, card: described })
    }
    this.#pulled.clear()
    for (const { path, card } of pulled) this.#pulled.set(path, JSON.parse(card) as Card)
  }

  #replace(path: Path, card: Card): void {
    const port = this.#portAt(path)
    unplug(port)
    this.#plug(port, card)
  }
}

const key = (path: Path): string => path.join('/')

function nodeAt(topology: Topology, [hostBridge, ...steps]: Path): TopologyNode {
  let nodes: readonly TopologyNode[] = topology.hostBridges[hostBridge!]!.devices
  let node: TopologyNode | undefined
  for (const devfn of steps) {
    node = nodes.find(({ at }) => slotOf(at).device * 8 + slotOf(at).fn === devfn)
    nodes = node?.devices ?? []
  }
  return node!
}

/** Everything behind a port is gone, with what it had made. */
function unplug(port: PcieFunction): void {
  for (const fn of port.secondary?.clear() ?? []) {
    unplug(fn)
    fn.sriov?.removeFunctions()
    fn.remove()
  }
}

function slotOfPort(port: PcieFunction): Port {
  if (port.port?.slot?.hotPluggable === true) return port.port
  throw conflict(port, 'it has no hot-plug slot')
}

const conflict = (port: PcieFunction, rule: string): NorthbridgeError =>
  new NorthbridgeError('topologyConflict', `${port.definition.model}: ${rule}`, { rid: port.rid })
