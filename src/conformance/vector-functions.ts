/**
 * The functions of a program as parts of a real fabric: behind the ports and bridges that its `path` names, so that
 * their requests come to carry the requester id that was recorded.
 */
import { busOf, devfnOf, NorthbridgeError, parseFunctionAddress, type RequesterId } from '../core/index.ts'
import { definitionFromDataSheet, loadDataSheet } from '../devices/index.ts'
import { BUS_NUMBERS, COMMAND_STATUS } from '../pcie/formats/index.ts'
import {
  type Fabric,
  type FunctionDefinition,
  HostBridge,
  type PcieFunction,
  type UpstreamSink,
} from '../pcie/index.ts'
import type { VectorFunction } from './vtd-vectors.ts'

/** A port or bridge on the way to a function. */
interface Hop {
  readonly model: string
  readonly rid: RequesterId
}

const MODELS: readonly (readonly [RegExp, string])[] = [
  [/root port/i, 'root-port'],
  [/PCIe-to-PCI bridge/i, 'pcie-pci-bridge'],
  [/PCI bridge/i, 'pci-bridge'],
]
const ENDPOINT = 'intel-82574l'
/** Any bus number is below a root bus that starts at 0. */
const LAST_BUS = 0xff
const MASTER = COMMAND_STATUS.f.BME.mask

const definitions = new Map<string, FunctionDefinition>()

function definitionOf(model: string): FunctionDefinition {
  let definition = definitions.get(model)
  if (definition === undefined) {
    definition = definitionFromDataSheet(loadDataSheet(model))
    definitions.set(model, definition)
  }
  return definition
}

/** The ports and bridges named before the colon of a path, from the root bus down. */
export function hopsOf({ name, path }: VectorFunction): Hop[] {
  const way = path.replace(/: requester id.*$/, '')
  if (way === 'root complex') return []
  const hops = way.split(', ').map((text): Hop | undefined => {
    const address = /\b[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\b/i.exec(text)?.[0]
    const model = MODELS.find(([pattern]) => pattern.test(text))?.[1]
    return address === undefined || model === undefined
      ? undefined
      : { model, rid: parseFunctionAddress(address).rid }
  })
  if (hops.some(hop => hop === undefined)) {
    throw new NorthbridgeError('unsupported', `function ${name}: its path "${path}" is not understood`)
  }
  return hops as Hop[]
}

/** One bus master per requester id: on a root bus of its own number, whatever is really between it and the unit. */
export function addRequester(fabric: Fabric, ingress: UpstreamSink, rid: RequesterId): PcieFunction {
  const bus = busOf(rid)
  let host = fabric.hostBridges.find(bridge => bridge.bus === bus)
  if (host === undefined) fabric.add((host = new HostBridge({ segment: 0, bus, lastBus: bus }, ingress)))
  const devfn = devfnOf(rid)
  const fn = host.addFunction(devfn >>> 3, devfn & 7, definitionOf(ENDPOINT))
  enable(fabric, fn, rid)
  return fn
}

/** Plugs the functions of a program in, programs the bridges above them, and lets everyone be a bus master. */
export class VectorFabric {
  readonly #fabric: Fabric
  readonly #host: HostBridge
  readonly #plugged = new Map<RequesterId, PcieFunction>()

  constructor(fabric: Fabric, ingress: UpstreamSink) {
    this.#fabric = fabric
    this.#host = new HostBridge({ segment: 0, bus: 0, lastBus: LAST_BUS }, ingress)
    fabric.add(this.#host)
  }

  /** Functions on the root bus. */
  get entries(): readonly PcieFunction[] {
    return this.#host.rootBus.functions
  }

  add(fn: VectorFunction): PcieFunction {
    const { rid } = parseFunctionAddress(fn.bdf)
    const hops = hopsOf(fn)
    let parent: PcieFunction | undefined
    for (const [i, hop] of hops.entries()) {
      const behind = busOf(hops[i + 1]?.rid ?? rid)
      parent = this.#plugged.get(hop.rid) ?? this.#plug(hop.model, hop.rid, parent)
      this.#openBus(parent, hop.rid, behind, busOf(rid))
    }
    return this.#plugged.get(rid) ?? this.#plug(ENDPOINT, rid, parent)
  }

  #plug(model: string, rid: RequesterId, parent: PcieFunction | undefined): PcieFunction {
    const devfn = devfnOf(rid)
    const fn = this.#host.addFunction(devfn >>> 3, devfn & 7, definitionOf(model), parent)
    this.#plugged.set(rid, fn)
    enable(this.#fabric, fn, rid)
    return fn
  }

  /** Gives a bridge its bus numbers; several functions may lie behind it. */
  #openBus(bridge: PcieFunction, rid: RequesterId, secondary: number, last: number): void {
    const subordinate = Math.max(last, bridge.subordinateBus)
    const value = busOf(rid) | (secondary << 8) | (subordinate << 16)
    this.#fabric.writeConfig(0, busOf(rid), devfnOf(rid), BUS_NUMBERS.offset, value, 0x00ff_ffff)
  }
}

function enable(fabric: Fabric, fn: PcieFunction, rid: RequesterId): void {
  fn.captureBus(busOf(rid))
  fabric.writeConfig(0, busOf(rid), devfnOf(rid), COMMAND_STATUS.offset, MASTER, MASTER)
  if (!fn.busMasterEnabled) fn.writeConfig(COMMAND_STATUS.offset, MASTER, MASTER)
}
