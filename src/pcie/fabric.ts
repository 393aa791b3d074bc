/** All host bridges of a platform: configuration by bus number, memory by address, reset and state of the whole. */
import { assert, type RequesterId, requesterId, type Saved } from '../core/index.ts'
import type { Bus } from './bus.ts'
import { ACS_BIT } from './formats/extended-capabilities.ts'
import type { HostBridge } from './host-bridge.ts'
import type { FunctionNode } from './parts.ts'
import type { PcieFunction } from './pcie-function.ts'
import { type MemoryRequest, STATUS } from './request.ts'
import { descend, Location, locate } from './routing.ts'

/** What a processor reads where nobody answers. */
const ALL_ONES = 0xffff_ffff

export class Fabric {
  readonly #hosts: HostBridge[] = []
  readonly #location = new Location()

  add(host: HostBridge): void {
    for (const other of this.#hosts) {
      assert(
        other.segment !== host.segment || other.lastBus < host.bus || other.bus > host.lastBus,
        'bus ranges of host bridges in a segment are disjoint',
      )
    }
    this.#hosts.push(host)
  }

  get hostBridges(): readonly HostBridge[] {
    return this.#hosts
  }

  // Configuration

  /** A dword of configuration space as the host bridge routes it; all ones if nobody answers. */
  readConfig(segment: number, bus: number, devfn: number, offset: number): number {
    return this.#configTarget(segment, bus, devfn)?.readConfig(offset) ?? ALL_ONES
  }

  /** Writes a dword of configuration space; lost if nobody answers. */
  writeConfig(
    segment: number,
    bus: number,
    devfn: number,
    offset: number,
    value: number,
    lanes: number,
  ): void {
    const fn = this.#configTarget(segment, bus, devfn)
    if (fn === undefined) return
    if (fn.physicalFunction === undefined) fn.captureBus(bus)
    fn.writeConfig(offset, value, lanes)
  }

  /** The function that configuration requests to an address reach now. */
  functionAt(segment: number, rid: RequesterId): PcieFunction | undefined {
    return this.#configTarget(segment, rid >>> 8, rid & 0xff)
  }

  #configTarget(segment: number, number: number, devfn: number): PcieFunction | undefined {
    const host = this.#hosts.find(h => h.segment === segment && number >= h.bus && number <= h.lastBus)
    if (host === undefined) return undefined
    let bus = host.rootBus
    while (number !== bus.number) {
      // "Type 1 Configuration Request": goes to the bridge whose range holds the bus number, as it is programmed.
      const bridge = bus.bridges.find(
        b => b.secondaryBus <= number && number <= b.subordinateBus && b.secondaryBus > 0,
      )
      if (bridge === undefined) return virtualFunctionAt(bus, number, devfn)
      if (bridge.holdsSecondaryInReset) return undefined
      bus = bridge.secondary!
    }
    // "Type 0 Configuration Request": a link has device 0 only, unless ARI makes the device number part of the function's.
    if (bus.kind === 'link' && devfn > 7 && !bus.bridge!.ariForwarding) return undefined
    return bus.at(devfn) ?? virtualFunctionAt(bus, number, devfn)
  }

  // Memory

  /** An aligned dword as a processor reads it through the windows of the host bridges. */
  readMemory(address: number): number {
    const at = this.#at(address)
    return at === undefined ? ALL_ONES : at.region!.readDword(at.offset & ~3) >>> 0
  }

  /** Writes an aligned dword; lost if nobody answers. */
  writeMemory(address: number, value: number, lanes: number): void {
    const at = this.#at(address)
    if (at !== undefined) at.region!.writeDword(at.offset & ~3, value, lanes)
  }

  /** The function whose BAR decodes an address now. */
  functionDecoding(address: number): FunctionNode | undefined {
    return this.#at(address)?.function
  }

  #at(address: number): Location | undefined {
    for (const { rootBus } of this.#hosts) {
      const claim = rootBus.claim(address)
      if (claim >= 0) return locate(rootBus, claim, address, this.#location) ? this.#location : undefined
    }
    return undefined
  }

  /**
   * Routes a request down again that the root complex has translated: `physicalPage` and `offset` say where to. A peer
   * answers, or the request ends as unsupported. It goes back through the root port that it came from only with ACS
   * Upstream Forwarding.
   *
   * @param entry the function on the root bus through which the request came up.
   */
  request(request: MemoryRequest, entry?: PcieFunction): void {
    const address = request.physicalPage * 4096 + request.offset
    for (const { rootBus } of this.#hosts) {
      const claim = rootBus.claim(address)
      if (claim < 0) continue
      if (rootBus.claimOwner(claim) === entry && !(entry.acsControl & ACS_BIT.UF)) break
      descend(rootBus, claim, address, request)
      return
    }
    request.status = STATUS.unsupportedRequest
  }

  // Inspection, reset, state

  /** Every function, virtual ones behind their physical function, in the order of the tree. */
  functions(): PcieFunction[] {
    return this.#hosts.flatMap(host => functionsBelow(host.rootBus))
  }

  /** Reset of the platform: nothing survives. */
  conventionalReset(): void {
    for (const host of this.#hosts) for (const fn of host.rootBus.functions) fn.reset('fundamental')
  }

  save(): Saved {
    const physical = this.functions().filter(fn => fn.physicalFunction === undefined)
    return { version: 1, functions: physical.map(fn => fn.save()) }
  }

  load(saved: Saved): void {
    const { functions } = saved as { functions: Saved[] }
    const physical = this.functions().filter(fn => fn.physicalFunction === undefined)
    assert(functions.length === physical.length, 'state is loaded into the fabric it was saved from')
    for (const [i, fn] of physical.entries()) fn.load(functions[i]!)
  }
}

/** Virtual functions answer on the bus of their physical function and on the ones behind it that they spill over to. */
function virtualFunctionAt(bus: Bus<PcieFunction>, number: number, devfn: number): PcieFunction | undefined {
  const rid = requesterId(number, devfn)
  for (const fn of bus.functions) {
    const found = fn.sriov?.functionAt(rid)
    if (found !== undefined) return found
  }
  return undefined
}

function functionsBelow(bus: Bus<PcieFunction>): PcieFunction[] {
  return bus.functions.flatMap(fn => [
    fn,
    ...fn.virtualFunctions,
    ...(fn.secondary === undefined ? [] : functionsBelow(fn.secondary)),
  ])
}
