/** A host bridge: the root bus of a hierarchy and the door of the root complex above it. */
import { devfn, NorthbridgeError } from '../core/index.ts'
import { AttributeTables } from './attribute-table.ts'
import { Bus } from './bus.ts'
import { ConfigMemory } from './config-memory.ts'
import type { FunctionDefinition } from './definition.ts'
import { MessageSender } from './message-sender.ts'
import type { Clock, HostNode, PeerToPeer, UpstreamSink } from './parts.ts'
import { PcieFunction } from './pcie-function.ts'

export interface HostBridgeOptions {
  readonly segment: number
  /** Bus number strapped to the root bus. */
  readonly bus: number
  /** Last bus number that configuration requests below it may carry. */
  readonly lastBus: number
  /** Virtual time; without it, what takes time is done at once. */
  readonly clock?: Clock
  /** Default: `everywhere`, and not directly. */
  readonly peerToPeer?: PeerToPeer
  readonly directPeerToPeer?: boolean
}

/** Where configuration requests with a bus number end: on the bus that has it, or one whose functions may spill over. */
interface Destination {
  readonly bus: Bus<PcieFunction>
  /** Whether the number is the bus's own, so that the request is one of Type 0 there. */
  readonly own: boolean
}

export class HostBridge implements HostNode {
  readonly segment: number
  readonly bus: number
  readonly lastBus: number
  readonly ingress: UpstreamSink
  readonly rootBus: Bus<PcieFunction>
  readonly messages = new MessageSender()
  readonly attributes = new AttributeTables()
  readonly configMemory = new ConfigMemory()
  readonly clock: Clock | undefined
  readonly peerToPeer: PeerToPeer
  readonly directPeerToPeer: boolean
  changes = 0
  /** Told when a function of the root bus decodes other addresses. */
  onRootDecoding: () => void = () => {}
  /** Told of each function that was plugged in, before anything reaches it. */
  onFunctionAdded: (fn: PcieFunction) => void = () => {}
  /** By bus number, filled as requests come; null where nobody answers. */
  readonly #destinations: (Destination | null | undefined)[] = []

  /** @param ingress where requests go that no peer below took. */
  constructor(options: HostBridgeOptions, ingress: UpstreamSink) {
    const { segment, bus, lastBus, clock, peerToPeer = 'everywhere', directPeerToPeer = false } = options
    this.clock = clock
    this.peerToPeer = peerToPeer
    this.directPeerToPeer = directPeerToPeer
    this.segment = segment
    this.bus = bus
    this.lastBus = lastBus
    this.ingress = ingress
    this.rootBus = new Bus('root', this)
  }

  rootDecodingChanged(): void {
    this.onRootDecoding()
  }

  numbersChanged(): void {
    this.#destinations.length = 0
  }

  /** Where configuration requests with a bus number end now; null if no bridge passes them on. */
  destination(number: number): Destination | null {
    const known = this.#destinations[number]
    if (known !== undefined) return known
    return (this.#destinations[number] = this.#findDestination(number))
  }

  #findDestination(number: number): Destination | null {
    let bus = this.rootBus
    while (number !== bus.number) {
      // "Type 1 Configuration Request": goes to the bridge whose range holds the bus number, as it is programmed.
      const bridge = bus.bridges.find(
        b => b.secondaryBus <= number && number <= b.subordinateBus && b.secondaryBus > 0,
      )
      if (bridge === undefined) return { bus, own: false }
      if (bridge.secondaryDown) return null
      bus = bridge.secondary!
    }
    return { bus, own: true }
  }

  /**
   * Plugs a function in: on the root bus, or on the bus behind `parent`. With ARI, function numbers above 7 are given
   * as device and function number of their 8 bits. Throws `topologyConflict`.
   */
  addFunction(
    deviceNumber: number,
    functionNumber: number,
    definition: FunctionDefinition,
    parent?: PcieFunction,
  ): PcieFunction {
    const bus = parent === undefined ? this.rootBus : parent.secondary
    const place = `device ${deviceNumber} function ${functionNumber}`
    const refuse = (rule: string): never => {
      throw new NorthbridgeError('topologyConflict', `${definition.model} at ${place}: ${rule}`)
    }
    if (bus === undefined || bus.host !== this)
      return refuse('its parent has no bus of this host bridge behind it')
    if (deviceNumber > 31 || functionNumber > 7) refuse('devices count 0 to 31, functions 0 to 7')
    if (bus.at(devfn(deviceNumber, functionNumber)) !== undefined) refuse('the place is taken')
    if (definition.kind === 'rootPort' && bus.kind !== 'root') refuse('root ports sit on a root bus')
    if ((definition.kind === 'downstreamPort') !== (bus.kind === 'switch')) {
      refuse('downstream ports, and nothing else, sit behind an upstream port')
    }
    if (definition.kind === 'upstreamPort' && bus.kind !== 'link') {
      refuse('an upstream port sits behind a root port or a downstream port')
    }
    const fn = new PcieFunction(definition, bus, devfn(deviceNumber, functionNumber))
    bus.add(fn)
    this.onFunctionAdded(fn)
    parent?.port?.plugged(fn)
    return fn
  }
}
