/**
 * The way of a memory request through the fabric. Up: from the requester bridge by bridge, with access control at each
 * port, until a peer claims it or it reaches the host bridge. Down: from a bus through windows to a BAR. A request
 * that turns down never climbs again, so every way ends. Completions come back at once and are not routed.
 */
import type { MmioTarget } from '../memory/index.ts'
import { ACS_BIT } from './formats/extended-capabilities.ts'
import { GATE } from './gate.ts'
import type { PageRequest } from './page-request.ts'
import { type BusNode, CLAIM, type FunctionNode } from './parts.ts'
import { ADDRESS_TYPE, type MemoryRequest, STATUS, TARGET } from './request.ts'

/** What answers at an address: a region of a function, and where in it. A reused record. */
export class Location {
  function: FunctionNode | undefined
  region: MmioTarget | undefined
  /** Bytes from the start of the region, and its length. */
  offset = 0
  size = 0
  /** Ports and bridges crossed on the way down. */
  hops = 0
}

const location = new Location()

/** Takes a request from its requester up toward the host bridge. The completion fields say how it ended. */
export function climb(requester: FunctionNode, request: MemoryRequest): void {
  // Wider than any physical address: no window can contain it. Translation requests are for the root complex alone.
  const forPeers = request.page < 2 ** 40 && request.addressType !== ADDRESS_TYPE.translationRequest
  const address = forPeers ? request.page * 4096 + request.offset : -1
  let fn = requester
  for (;;) {
    if (address >= 0 && turnsAt(fn, address, request)) return
    const bridge = fn.bus.bridge
    if (bridge === undefined) {
      fn.bus.host.ingress.request(request, fn.physicalFunction ?? fn)
      return
    }
    request.hops++
    if (!passes(bridge, request)) return
    fn = bridge
  }
}

/** Takes a page request message up to the root complex. False if it does not arrive: bridges to PCI pass no messages. */
export function climbWithPageRequest(requester: FunctionNode, request: PageRequest): boolean {
  if (!requester.busMasterEnabled || !requester.isPoweredUp) return false
  let fn = requester
  for (let bridge = fn.bus.bridge; bridge !== undefined; bridge = fn.bus.bridge) {
    const { gate } = bridge
    if (gate & (GATE.reset | GATE.closed | GATE.alias)) return false
    if (gate & GATE.validation && isOutside(bridge, request.sourceId >>> 8)) return false
    fn = bridge
  }
  const { ingress } = fn.bus.host
  ingress.pageRequest?.(request, fn.physicalFunction ?? fn)
  return ingress.pageRequest !== undefined
}

/** Whether a bridge takes a request from its secondary side; if not, the status says why. */
function passes(bridge: FunctionNode, request: MemoryRequest): boolean {
  const gate = bridge.gate
  if (gate === 0) return true
  if (gate & GATE.reset) request.status = STATUS.notIssued
  else if (gate & GATE.closed) request.status = STATUS.bridgeBusMasterDisabled
  else if (gate & GATE.alias) {
    // A PCIe-to-PCI bridge speaks for its secondary bus; a conventional bridge under its own id.
    request.requesterId = bridge.isExpress ? bridge.secondaryBus << 8 : bridge.rid
    return true
  } else if (gate & GATE.translationBlocking && request.addressType !== ADDRESS_TYPE.untranslated) {
    request.status = STATUS.acsBlocked
  } else if (gate & GATE.validation && isOutside(bridge, request.requesterId >>> 8)) {
    request.status = STATUS.acsBlocked
  } else return true
  return false
}

const isOutside = (bridge: FunctionNode, bus: number): boolean =>
  bus < bridge.secondaryBus || bus > bridge.subordinateBus

/** Whether a request ends on the bus of `fn`, at a peer or because nobody may have it. */
function turnsAt(fn: FunctionNode, address: number, request: MemoryRequest): boolean {
  const bus = fn.bus
  const claim = bus.claim(address)
  if (claim < 0) return false
  const owner = bus.claimOwner(claim)
  if (owner === fn || owner === fn.physicalFunction) {
    // The address lies behind the very port that the request came out of.
    const refused = fn.kind === 'bridge' || (fn.kind === 'downstreamPort' && !(fn.acsControl & ACS_BIT.UF))
    if (refused) request.status = STATUS.unsupportedRequest
    return refused
  }
  if (bus.kind !== 'conventional') {
    if (bus.kind !== 'switch' && !reachesInside(fn, owner)) return false
    const verdict = judge(fn, owner, request)
    if (verdict === REDIRECT) return false
    if (verdict === VIOLATION) {
      request.status = STATUS.acsBlocked
      return true
    }
  }
  descend(bus, claim, address, request)
  return true
}

/** Whether two functions belong to one device that passes requests between its functions. */
function reachesInside(fn: FunctionNode, owner: FunctionNode): boolean {
  if (fn.physicalFunction !== undefined || fn.definition.internalPeerToPeer === false) return false
  return fn.bus.kind === 'link' || owner.devfn >>> 3 === fn.devfn >>> 3
}

const DIRECT = 0
const REDIRECT = 1
const VIOLATION = 2

/** "ACS P2P Request Redirect", "ACS P2P Egress Control" and "ACS Direct Translated P2P". */
function judge(fn: FunctionNode, owner: FunctionNode, request: MemoryRequest): number {
  const acs = fn.acsControl
  if (acs & ACS_BIT.DT && request.addressType === ADDRESS_TYPE.translated) return DIRECT
  const redirected = acs & ACS_BIT.RR ? REDIRECT : DIRECT
  if (!(acs & ACS_BIT.EC)) return redirected
  // The vector counts ports of a switch by port number, functions of a device by function number.
  const blocked = fn.egressBlocked(fn.secondary === undefined ? owner.devfn : owner.portNumber)
  if (!blocked) return DIRECT
  return redirected === REDIRECT ? REDIRECT : VIOLATION
}

/** Takes a request from a claim on a bus down to the region that answers, and completes it there. */
export function descend(bus: BusNode, claim: number, address: number, request: MemoryRequest): void {
  if (!locate(bus, claim, address, location)) {
    request.status = STATUS.unsupportedRequest
    return
  }
  const { region, offset, size } = location
  request.hops += location.hops
  if (offset + request.length > size) {
    request.status = STATUS.unsupportedRequest
    return
  }
  transfer(request, region!, offset)
  request.status = STATUS.successful
  request.target = TARGET.peer
  request.physicalPage = Math.floor(address / 4096)
}

/** Follows a claim through windows to a region. False if nobody answers. */
export function locate(from: BusNode, firstClaim: number, address: number, into: Location): boolean {
  let bus = from
  let claim = firstClaim
  into.hops = 0
  while (claim >= 0) {
    const owner = bus.claimOwner(claim)
    const part = bus.claimPart(claim)
    if (part === CLAIM.window) {
      if (owner.holdsSecondaryInReset) return false
      bus = owner.secondary!
      claim = bus.claim(address)
      into.hops++
      continue
    }
    return part < CLAIM.virtualBar
      ? own(owner, part, address - bus.claimBase(claim), into)
      : ofVirtualFunction(owner, part - CLAIM.virtualBar, address - bus.claimBase(claim), into)
  }
  return false
}

function own(fn: FunctionNode, part: number, offset: number, into: Location): boolean {
  into.function = fn
  into.region = fn.region(part)
  into.offset = offset
  into.size = part === CLAIM.rom ? fn.definition.romSize : sizeOf(fn, part)
  return true
}

function ofVirtualFunction(pf: FunctionNode, bar: number, offset: number, into: Location): boolean {
  const size = pf.sriov!.definition.bars.find(({ index }) => index === bar)!.size
  const aperture = pf.sriov!.aperture(size)
  const fn = pf.virtualFunctions[Math.floor(offset / aperture)]
  if (fn === undefined || !fn.isPoweredUp) return false
  own(fn, bar, offset % aperture, into)
  into.size = aperture
  return true
}

const sizeOf = (fn: FunctionNode, bar: number): number => {
  for (const { index, size } of fn.definition.bars) if (index === bar) return size
  return 0
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
