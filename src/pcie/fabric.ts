/** All host bridges of a platform: configuration by bus number, memory by address, reset and state of the whole. */
import { assert, PAGE_SIZE, type RequesterId, requesterId, type Saved } from '../core/index.ts'
import { forwardsUpstream } from './access-control.ts'
import type { Bus } from './bus.ts'
import { descend, Location, locate, locateIo } from './descent.ts'
import { EXPRESS } from './formats/capabilities.ts'
import { CAPABILITY } from './formats/capability-ids.ts'
import { ID } from './formats/header.ts'
import type { HostBridge } from './host-bridge.ts'
import type { FunctionNode } from './parts.ts'
import type { PcieFunction } from './pcie-function.ts'
import { refuse } from './refusal.ts'
import { type MemoryRequest, STATUS } from './request.ts'
import { RootDecoder } from './root-decoder.ts'

/** Inspection: hears of accesses of processors that reached a function: of writes before, of reads after they happened. */
export interface RegisterWatcher {
  /** @param offset within the BAR that claimed the address. */
  accessed(fn: FunctionNode, offset: number, write: boolean, value: number): void
}

/** What a processor reads where nobody answers. */
const ALL_ONES = 0xffff_ffff
/** What reads instead of Vendor ID and Device ID while a function asks to be tried again. */
const RETRY_VENDOR = 0xffff_0001

export class Fabric {
  readonly #hosts: HostBridge[] = []
  readonly #rootBuses: Bus<PcieFunction>[] = []
  /** By segment: the host bridge of each bus number. */
  readonly #segments = new Map<number, (HostBridge | undefined)[]>()
  readonly #memory = new RootDecoder(this.#rootBuses, 'memory')
  readonly #io = new RootDecoder(this.#rootBuses, 'io')
  readonly #location = new Location()
  watcher: RegisterWatcher | undefined = undefined

  add(host: HostBridge): void {
    let byBus = this.#segments.get(host.segment)
    if (byBus === undefined) this.#segments.set(host.segment, (byBus = []))
    for (let bus = host.bus; bus <= host.lastBus; bus++) {
      assert(byBus[bus] === undefined, 'bus ranges of host bridges in a segment are disjoint')
      byBus[bus] = host
    }
    this.#hosts.push(host)
    this.#rootBuses.push(host.rootBus)
    host.onRootDecoding = () => {
      this.#memory.changed()
      this.#io.changed()
    }
    host.onRootDecoding()
  }

  get hostBridges(): readonly HostBridge[] {
    return this.#hosts
  }

  // Configuration

  /** A dword of configuration space as the host bridge routes it; all ones if nobody answers. */
  readConfig(segment: number, bus: number, devfn: number, offset: number): number {
    const fn = this.#configTarget(segment, bus, devfn)
    if (fn === undefined) return ALL_ONES
    if (fn.isReady) return fn.readConfig(offset)
    // "Request Retry Status": shown for the Vendor ID if software asked for it, else retried in vain.
    return offset === ID.offset && fn.asksForRetry && showsRetryStatus(fn) ? RETRY_VENDOR : ALL_ONES
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
    if (fn === undefined || !fn.isReady) return
    if (fn.physicalFunction === undefined) fn.captureBus(bus)
    fn.writeConfig(offset, value, lanes)
  }

  /** The function that configuration requests to an address reach now. */
  functionAt(segment: number, rid: RequesterId): PcieFunction | undefined {
    return this.#configTarget(segment, rid >>> 8, rid & 0xff)
  }

  #configTarget(segment: number, number: number, devfn: number): PcieFunction | undefined {
    const destination = this.#segments.get(segment)?.[number]?.destination(number)
    if (destination === undefined || destination === null) return undefined
    const { bus, own } = destination
    if (!own) return virtualFunctionAt(bus, number, devfn)
    // "Type 0 Configuration Request": a link has device 0 only, unless ARI makes the device number part of the function's.
    if (bus.kind === 'link' && devfn > 7 && !bus.bridge!.ariForwarding) return undefined
    return bus.at(devfn) ?? virtualFunctionAt(bus, number, devfn)
  }

  // Memory and I/O

  /** An aligned dword as a processor reads it through the windows of the host bridges. */
  readMemory(address: number): number {
    const at = this.#at(address)
    if (at === undefined) return ALL_ONES
    const { function: fn, offset } = at
    const value = at.region!.readDword(offset & ~3) >>> 0
    if (this.watcher !== undefined) this.watcher.accessed(fn!, offset & ~3, false, value)
    return value
  }

  /** Writes an aligned dword; lost if nobody answers. */
  writeMemory(address: number, value: number, lanes: number): void {
    const at = this.#at(address)
    if (at === undefined) return
    if (this.watcher !== undefined) this.watcher.accessed(at.function!, at.offset & ~3, true, value)
    at.region!.writeDword(at.offset & ~3, value, lanes)
  }

  /** The dword of I/O space around a port, as {@link readMemory}. */
  readIo(port: number): number {
    const at = this.#ioAt(port)
    return at === undefined ? ALL_ONES : at.region!.readDword(at.offset & ~3) >>> 0
  }

  writeIo(port: number, value: number, lanes: number): void {
    const at = this.#ioAt(port)
    if (at !== undefined) at.region!.writeDword(at.offset & ~3, value, lanes)
  }

  /** The function whose BAR decodes an address now. */
  functionDecoding(address: number): FunctionNode | undefined {
    return this.#at(address)?.function
  }

  #at(address: number): Location | undefined {
    const page = Math.floor(address / PAGE_SIZE)
    const offset = address % PAGE_SIZE
    const bus = this.#memory.busAt(page, offset)
    return bus !== undefined && locate(bus, bus.claim(page, offset), page, offset, this.#location)
      ? this.#location
      : undefined
  }

  #ioAt(port: number): Location | undefined {
    const bus = this.#io.busAt(0, port)
    return bus !== undefined && locateIo(bus, bus.io.claim(port), port, this.#location)
      ? this.#location
      : undefined
  }

  /**
   * Routes a request down again that the root complex has translated: `physicalPage` and `offset` say where to. A peer
   * answers, if the root complex passes requests between functions, or the request ends as unsupported. It goes back
   * through the root port that it came from only with ACS Upstream Forwarding.
   *
   * @param entry the function on the root bus through which the request came up.
   */
  request(request: MemoryRequest, entry?: PcieFunction): void {
    const { physicalPage, offset } = request
    const bus = this.#memory.busAt(physicalPage, offset)
    const from = entry?.bus
    const passes = from === undefined ? 'everywhere' : from.host.peerToPeer
    if (bus === undefined || passes === 'none' || (passes === 'withinHostBridge' && bus !== from)) {
      if (entry !== undefined) request.observer?.note(entry, 'unsupported')
      refuse(request, STATUS.unsupportedRequest, entry?.secondary && entry)
      return
    }
    const claim = bus.claim(physicalPage, offset)
    if (bus.claimOwner(claim) === entry && entry.secondary !== undefined && !forwardsUpstream(entry)) {
      request.observer?.note(entry, 'unsupported')
      refuse(request, STATUS.unsupportedRequest, entry)
      return
    }
    descend(bus, claim, physicalPage, offset, request)
  }

  // Inspection, reset, state

  /** Every function, virtual ones behind their physical function, in the order of the tree. */
  functions(): PcieFunction[] {
    return this.#hosts.flatMap(host => functionsBelow(host.rootBus))
  }

  /** How many {@link functions} there are. */
  get functionCount(): number {
    let count = 0
    for (const host of this.#hosts) count += countBelow(host.rootBus)
    return count
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

/** "RRS Software Visibility Enable" of the root port that requests to a function pass. */
function showsRetryStatus(fn: PcieFunction): boolean {
  let top: FunctionNode = fn
  for (let bridge = top.bus.bridge; bridge !== undefined; bridge = top.bus.bridge) top = bridge
  const express = top.kind === 'rootPort' ? top.layout.find(CAPABILITY.EXPRESS) : 0
  if (express === 0) return false
  const control = top.words[(express + EXPRESS.ROOT_CONTROL.offset) >>> 2]!
  return (control & EXPRESS.ROOT_CONTROL.f.RRS_VISIBLE.mask) !== 0
}

/** Virtual functions answer on the bus of their physical function and on the ones behind it that they spill over to. */
function virtualFunctionAt(bus: Bus<PcieFunction>, number: number, devfn: number): PcieFunction | undefined {
  const rid = requesterId(number, devfn)
  for (const fn of bus.physicalFunctions) {
    const found = fn.sriov?.functionAt(rid)
    if (found !== undefined) return found
  }
  return undefined
}

function countBelow({ functions }: Bus<PcieFunction>): number {
  let count = functions.length
  for (const { virtualFunctions, secondary } of functions)
    count += virtualFunctions.length + (secondary === undefined ? 0 : countBelow(secondary))
  return count
}

function functionsBelow(bus: Bus<PcieFunction>): PcieFunction[] {
  return bus.functions.flatMap(fn => [
    fn,
    ...fn.virtualFunctions,
    ...(fn.secondary === undefined ? [] : functionsBelow(fn.secondary)),
  ])
}
