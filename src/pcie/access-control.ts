/**
 * "Access Control Services" where a request could turn to a peer: at the port of a switch or of the root complex that
 * it came in by, or at the function of a multi-function device that sends it.
 */
import { ACS_BIT } from './formats/extended-capabilities.ts'
import type { FunctionNode } from './parts.ts'
import { ADDRESS_TYPE, type MemoryRequest } from './request.ts'

/** "ACS Unclaimed Request Redirect Control" of the Enhanced Capability. */
const UNCLAIMED_REDIRECT = 0x1000

export const VERDICT = { direct: 0, redirect: 1, violation: 2 } as const
export type Verdict = (typeof VERDICT)[keyof typeof VERDICT]

/** "ACS P2P Request Redirect", "ACS P2P Egress Control" and "ACS Direct Translated P2P". */
export function judge(fn: FunctionNode, owner: FunctionNode, request: MemoryRequest): Verdict {
  const acs = fn.acsControl
  const { observer } = request
  if (acs & ACS_BIT.DT && request.addressType === ADDRESS_TYPE.translated) {
    observer?.note(fn, 'turned', 'DT')
    return VERDICT.direct
  }
  const redirects = (acs & ACS_BIT.RR) !== 0
  if (acs & ACS_BIT.EC) {
    if (!fn.egressBlocked(egressNumber(fn, owner))) {
      observer?.note(fn, 'turned', 'EC')
      return VERDICT.direct
    }
    if (!redirects) {
      observer?.note(fn, 'violation', 'EC')
      return VERDICT.violation
    }
  }
  if (redirects) observer?.note(fn, 'redirected', 'RR')
  else observer?.note(fn, 'turned')
  return redirects ? VERDICT.redirect : VERDICT.direct
}

/** The vector counts ports of a switch or root complex by port number, functions of a device by function number. */
function egressNumber(fn: FunctionNode, owner: FunctionNode): number {
  if (fn.kind === 'rootPort' || fn.kind === 'downstreamPort') return owner.portNumber
  // Below a link a device has number 0, so that with ARI all 8 bits are function number.
  return fn.bus.kind === 'link' ? owner.devfn : owner.devfn & 7
}

/** Whether a port sends up what lies in a window of its switch that no port claims. */
export const redirectsUnclaimed = (port: FunctionNode): boolean =>
  (port.acsControl & UNCLAIMED_REDIRECT) !== 0

/** "ACS Source Validation": the bus number of the requester id is one of those behind the port. */
export const isOutside = (port: FunctionNode, bus: number): boolean =>
  bus < port.secondaryBus || bus > port.subordinateBus

/** "ACS Upstream Forwarding": requests and completions redirected below may leave by the port they came in by. */
export const forwardsUpstream = (port: FunctionNode): boolean => (port.acsControl & ACS_BIT.UF) !== 0

/** "ACS P2P Completion Redirect". */
export const redirectsCompletions = (fn: FunctionNode): boolean => (fn.acsControl & ACS_BIT.CR) !== 0

/**
 * Whether requests pass between two functions of a root bus or of one device without going up: inside a multi-function
 * device that does so, or between root ports where the root complex lets them.
 */
export function meetDirectly(fn: FunctionNode, owner: FunctionNode): boolean {
  const { kind, host } = fn.bus
  if (kind === 'root' && host.directPeerToPeer && fn.kind === 'rootPort' && owner.kind === 'rootPort')
    return true
  if (fn.physicalFunction !== undefined || fn.definition.internalPeerToPeer === false) return false
  return kind === 'link' || owner.devfn >>> 3 === fn.devfn >>> 3
}
