/**
 * The way of a memory request through the fabric: from the requester up, bridge by bridge, with access control at each
 * port, until a peer claims it or it reaches the host bridge. A request that turns down never climbs again, so every
 * way ends; where it ends unsuccessfully, the function that found out logs the error.
 */

import {
  forwardsUpstream,
  isOutside,
  judge,
  meetDirectly,
  redirectsUnclaimed,
  VERDICT,
} from './access-control.ts'
import { returnCompletion } from './completion.ts'
import { descend } from './descent.ts'
import { GATE } from './gate.ts'
import type { PageRequest } from './page-request.ts'
import type { FunctionNode } from './parts.ts'
import { refuse } from './refusal.ts'
import { ADDRESS_TYPE, type MemoryRequest, STATUS } from './request.ts'

/** What becomes of a request on the bus of the function that it comes from. */
const TURN = {
  /** It goes on up. */
  none: 0,
  /** It goes on up although a window above contains it: a port redirected it. */
  redirected: 1,
  /** It has ended. */
  ended: 2,
} as const

/** Takes a request from its requester up toward the host bridge. The completion fields say how it ended. */
export function climb(requester: FunctionNode, request: MemoryRequest): void {
  // Wider than any physical address: no window can contain it. Translation requests are for the root complex alone.
  const forPeers = request.page < 2 ** 40 && request.addressType !== ADDRESS_TYPE.translationRequest
  let below = requester
  let redirected = false
  for (let fn = requester; ; ) {
    const claim = forPeers ? fn.bus.memory.claimOfRequest(request) : -1
    if (claim >= 0) {
      const turn = turnAt(fn, below, redirected, claim, request)
      if (turn === TURN.ended) return
      if (turn === TURN.redirected) redirected = true
    }
    const bridge = fn.bus.bridge
    if (bridge === undefined) {
      if (request.observer !== undefined) request.observer.note(fn, 'rootComplex')
      else fn.bus.host.ingress.request(request, fn.physicalFunction ?? fn)
      return
    }
    request.hops++
    if (!passes(bridge, request)) return
    below = fn
    fn = bridge
  }
}

/** Takes a page request message up to the root complex. False if it does not arrive: bridges to PCI pass no messages. */
export function climbWithPageRequest(requester: FunctionNode, request: PageRequest): boolean {
  if (!requester.busMasterEnabled || !requester.isPoweredUp) return false
  let fn = requester
  for (let bridge = fn.bus.bridge; bridge !== undefined; bridge = fn.bus.bridge) {
    const { gate } = bridge
    if (gate & (GATE.down | GATE.closed | GATE.alias)) return false
    if (gate & GATE.validation && isOutside(bridge, request.sourceId >>> 8)) return false
    fn = bridge
  }
  const { ingress } = fn.bus.host
  ingress.pageRequest?.(request, fn.physicalFunction ?? fn)
  return ingress.pageRequest !== undefined
}

/** Whether a bridge takes a request from its secondary side; if not, the status says why. */
function passes(bridge: FunctionNode, request: MemoryRequest): boolean {
  const { gate } = bridge
  const { observer } = request
  if (gate === 0) {
    observer?.note(bridge, 'passedUp')
    return true
  }
  if (gate & GATE.down) {
    observer?.note(bridge, 'linkDown')
    request.status = STATUS.notIssued
    return false
  }
  if (gate & GATE.closed) {
    observer?.note(bridge, 'bridgeClosed')
    refuse(request, STATUS.bridgeBusMasterDisabled, bridge)
    return false
  }
  if (gate & GATE.alias) {
    // A PCIe-to-PCI bridge speaks for its secondary bus; one from PCI to PCI, or to PCI Express, under its own id.
    request.requesterId = gate & GATE.secondaryAlias ? bridge.secondaryBus << 8 : bridge.rid
    observer?.note(bridge, 'aliased')
    return true
  }
  if (gate & GATE.validation && isOutside(bridge, request.requesterId >>> 8)) {
    observer?.note(bridge, 'violation', 'SV')
    refuse(request, STATUS.acsBlocked, bridge)
    return false
  }
  if (gate & GATE.translationBlocking && request.addressType !== ADDRESS_TYPE.untranslated) {
    observer?.note(bridge, 'violation', 'TB')
    refuse(request, STATUS.acsBlocked, bridge)
    return false
  }
  observer?.note(bridge, 'passedUp')
  return true
}

/** @param below where the request came to `fn` from, `fn` itself if it is the requester. */
function turnAt(
  fn: FunctionNode,
  below: FunctionNode,
  redirected: boolean,
  claim: number,
  request: MemoryRequest,
): number {
  const { bus } = fn
  const owner = bus.memory.claimOwner(claim)
  if (owner === fn || owner === fn.physicalFunction) return ownWindow(fn, below, redirected, request)
  if (bus.kind !== 'conventional') {
    if (bus.kind !== 'switch' && !meetDirectly(fn, owner)) return TURN.none
    const verdict = judge(fn, owner, request)
    if (verdict === VERDICT.redirect) return TURN.redirected
    if (verdict === VERDICT.violation) {
      refuse(request, STATUS.acsBlocked, fn)
      return TURN.ended
    }
  } else request.observer?.note(fn, 'turned')
  descend(bus, claim, request.page, request.offset, request)
  if (request.status === STATUS.successful && !request.write) returnCompletion(owner, fn, request)
  return TURN.ended
}

/** The address lies behind the very function that the request came out of. */
function ownWindow(
  fn: FunctionNode,
  below: FunctionNode,
  redirected: boolean,
  request: MemoryRequest,
): number {
  switch (fn.kind) {
    case 'downstreamPort':
      if (forwardsUpstream(fn)) {
        request.observer?.note(fn, 'redirected', 'UF')
        return TURN.redirected
      }
      break
    case 'upstreamPort':
      // No port of the switch claimed it.
      if (redirected) return TURN.redirected
      if (redirectsUnclaimed(below)) {
        request.observer?.note(fn, 'redirected')
        return TURN.redirected
      }
      break
    case 'bridge':
      break
    default:
      // A root port compares after translation only; what an endpoint sends to itself goes up as anything else.
      return TURN.none
  }
  request.observer?.note(fn, 'unsupported')
  refuse(request, STATUS.unsupportedRequest, fn)
  return TURN.ended
}
