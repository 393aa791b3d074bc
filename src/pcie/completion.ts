/** The completion of a peer's read on its way back: routed by the requester's id, redirected where a port says so. */
import { forwardsUpstream, isOutside, redirectsCompletions } from './access-control.ts'
import type { FunctionNode } from './parts.ts'
import { type MemoryRequest, STATUS, TARGET } from './request.ts'

/**
 * Brings the completion back that a read between siblings of a bus ends with. Without redirect it takes the way of the
 * request; with "ACS P2P Completion Redirect" and without Relaxed Ordering it goes up to the root complex and comes down
 * again, if every port above lets it.
 *
 * @param from the function of the bus that the completion comes out of. @param to the one that the request came by.
 */
export function returnCompletion(from: FunctionNode, to: FunctionNode, request: MemoryRequest): void {
  if (request.relaxedOrdering || !redirectsCompletions(from)) return
  request.observer?.note(from, 'completionRedirected', 'CR')
  let fn = from
  for (let bridge = from.bus.bridge; bridge !== undefined; bridge = fn.bus.bridge) {
    request.hops++
    // The requester is below this port too: what was redirected below may leave upward with Upstream Forwarding only.
    const below = bridge.kind === 'downstreamPort' && !isOutside(bridge, request.requesterId >>> 8)
    if (below && !forwardsUpstream(bridge)) {
      lose(bridge, request)
      return
    }
    fn = bridge
  }
  const { peerToPeer } = to.bus.host
  const turnsInRootPort = fn.kind === 'rootPort' && !isOutside(fn, request.requesterId >>> 8)
  if (peerToPeer === 'none' || (turnsInRootPort && !forwardsUpstream(fn))) lose(fn, request)
}

function lose(at: FunctionNode, request: MemoryRequest): void {
  request.observer?.note(at, 'completionLost', 'CR')
  request.status = STATUS.completionTimeout
  request.target = TARGET.none
}
