/** The way down: from a claim on a bus through windows to the region that answers, and the access there. */
import type { MmioTarget } from '../memory/index.ts'
import { COMMAND_STATUS } from './formats/header.ts'
import { type BusNode, CLAIM, type FunctionNode } from './parts.ts'
import { refuse } from './refusal.ts'
import { type MemoryRequest, STATUS, type Status, TARGET } from './request.ts'

const { IOSE, MSE } = COMMAND_STATUS.f

/** What answers at an address: a region of a function, and where in it. A reused record. */
export class Location {
  /** Of what answers; else of who found out that nobody does. */
  function: FunctionNode | undefined
  region: MmioTarget | undefined
  /** Bytes from the start of the region, and its length. */
  offset = 0
  size = 0
  /** Ports and bridges crossed on the way down. */
  hops = 0
  /** Completion status if nobody answers. */
  refusal: Status = STATUS.unsupportedRequest
}

const location = new Location()

/** Takes a request from a claim on a bus down to the region that answers, and completes it there. */
export function descend(
  bus: BusNode,
  claim: number,
  page: number,
  pageOffset: number,
  request: MemoryRequest,
): void {
  const { observer } = request
  const found = locate(bus, claim, page, pageOffset, location, request)
  const { function: fn, region, offset, size } = location
  request.hops += location.hops
  if (!found || offset + request.length > size) {
    if (found) observer?.note(fn!, 'unclaimed')
    refuse(request, found ? STATUS.unsupportedRequest : location.refusal, fn)
    return
  }
  observer?.note(fn!, 'claimed')
  if (request.poisoned) {
    refuse(request, STATUS.poisoned, fn)
    return
  }
  if (observer === undefined) transfer(request, region!, offset)
  request.status = STATUS.successful
  request.target = TARGET.peer
  request.physicalPage = page
}

/** Follows a claim on memory through windows to a region. False if nobody answers. */
export function locate(
  from: BusNode,
  firstClaim: number,
  page: number,
  pageOffset: number,
  into: Location,
  request?: MemoryRequest,
): boolean {
  const observer = request?.observer
  let bus = from
  let claim = firstClaim
  into.hops = 0
  into.refusal = STATUS.unsupportedRequest
  while (claim >= 0) {
    const owner = bus.claimOwner(claim)
    const part = bus.claimPart(claim)
    if (part !== CLAIM.window) {
      return part < CLAIM.virtualBar
        ? own(owner, part, bus.claimOffset(claim, page, pageOffset), into)
        : ofVirtualFunction(owner, part - CLAIM.virtualBar, bus.claimOffset(claim, page, pageOffset), into)
    }
    if (!enter(owner, into)) {
      observer?.note(owner, 'linkDown')
      return false
    }
    observer?.note(owner, 'passedDown')
    bus = owner.secondary!
    claim = bus.claim(page, pageOffset)
    for (let bridge = claim < 0 ? subtractiveOf(bus, MSE.mask) : undefined; bridge !== undefined; ) {
      observer?.note(bridge, 'passedDown')
      bus = bridge.secondary!
      claim = bus.claim(page, pageOffset)
      bridge = claim < 0 ? subtractiveOf(bus, MSE.mask) : undefined
    }
  }
  into.function = detectorOn(bus)
  if (into.function !== undefined) observer?.note(into.function, 'unclaimed')
  return false
}

/** Follows a claim on an I/O address; as {@link locate}. */
export function locateIo(from: BusNode, firstClaim: number, address: number, into: Location): boolean {
  let bus = from
  let claim = firstClaim
  into.hops = 0
  into.refusal = STATUS.unsupportedRequest
  while (claim >= 0) {
    const owner = bus.io.claimOwner(claim)
    const part = bus.io.claimPart(claim)
    if (part !== CLAIM.window) return own(owner, part, address - bus.io.claimBase(claim), into)
    if (!enter(owner, into)) return false
    bus = owner.secondary!
    claim = bus.io.claim(address)
    for (let bridge = claim < 0 ? subtractiveOf(bus, IOSE.mask) : undefined; bridge !== undefined; ) {
      bus = bridge.secondary!
      claim = bus.io.claim(address)
      bridge = claim < 0 ? subtractiveOf(bus, IOSE.mask) : undefined
    }
  }
  into.function = detectorOn(bus)
  return false
}

/** Crosses a bridge on the way down. False if its secondary side is down. */
function enter(bridge: FunctionNode, into: Location): boolean {
  into.hops++
  if (!bridge.secondaryDown) return true
  into.function = bridge
  if (bridge.port !== undefined) into.refusal = bridge.port.refusal
  return false
}

/** The bridge that takes what nobody on a bus claims ("Subtractive Decode"), if it decodes that address space now. */
function subtractiveOf(bus: BusNode, enable: number): FunctionNode | undefined {
  const bridge = bus.subtractive
  return bridge !== undefined && decodes(bridge, enable) ? bridge : undefined
}

const decodes = (bridge: FunctionNode, enable: number): boolean =>
  (bridge.words[COMMAND_STATUS.at]! & enable) !== 0 && bridge.isPoweredUp && !bridge.secondaryDown

/** Who finds out that nobody on a bus claims a request: the device at the far end of a link, else the bridge above. */
const detectorOn = (bus: BusNode): FunctionNode | undefined =>
  bus.kind === 'link' ? (bus.functions[0] ?? bus.bridge) : bus.bridge

function own(fn: FunctionNode, part: number, offset: number, into: Location): boolean {
  into.function = fn
  into.region = fn.region(part)
  into.offset = offset
  into.size = part === CLAIM.rom ? fn.definition.romSize : fn.barSize(part)
  return true
}

function ofVirtualFunction(pf: FunctionNode, bar: number, offset: number, into: Location): boolean {
  const aperture = pf.sriov!.aperture(bar)
  const fn = pf.virtualFunctions[Math.floor(offset / aperture)]
  if (fn === undefined || !fn.isPoweredUp) {
    into.function = pf
    return false
  }
  own(fn, bar, offset % aperture, into)
  into.size = aperture
  return true
}

/** Moves the bytes of a request to or from a region, one dword with byte lanes at a time. */
function transfer(request: MemoryRequest, region: MmioTarget, offset: number): void {
  const { data, dataStart, length, write } = request
  for (let done = 0; done < length; ) {
    const first = (offset + done) & 3
    const count = Math.min(4 - first, length - done)
    const at = offset + done - first
    if (write) {
      let value = 0
      let lanes = 0
      for (let i = 0; i < count; i++) {
        value |= data[dataStart + done + i]! << ((first + i) * 8)
        lanes |= 0xff << ((first + i) * 8)
      }
      region.writeDword(at, value >>> 0, lanes >>> 0)
    } else {
      const value = region.readDword(at)
      for (let i = 0; i < count; i++) data[dataStart + done + i] = value >>> ((first + i) * 8)
    }
    done += count
  }
}
