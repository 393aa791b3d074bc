/** A host bridge: the root bus of a hierarchy and the door of the root complex above it. */
import { devfn, NorthbridgeError } from '../core/index.ts'
import { Bus } from './bus.ts'
import type { FunctionDefinition } from './definition.ts'
import { MessageSender } from './message-sender.ts'
import type { HostNode, UpstreamSink } from './parts.ts'
import { PcieFunction } from './pcie-function.ts'

export interface HostBridgeOptions {
  readonly segment: number
  /** Bus number strapped to the root bus. */
  readonly bus: number
  /** Last bus number that configuration requests below it may carry. */
  readonly lastBus: number
}

export class HostBridge implements HostNode {
  readonly segment: number
  readonly bus: number
  readonly lastBus: number
  readonly ingress: UpstreamSink
  readonly rootBus: Bus<PcieFunction>
  readonly messages = new MessageSender()
  changes = 0

  /** @param ingress where requests go that no peer below took. */
  constructor({ segment, bus, lastBus }: HostBridgeOptions, ingress: UpstreamSink) {
    this.segment = segment
    this.bus = bus
    this.lastBus = lastBus
    this.ingress = ingress
    this.rootBus = new Bus('root', this)
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
    return fn
  }
}
