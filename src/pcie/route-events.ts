/** What can happen to a request on its way, and the access control bits that decide it. */
import type { ACS_BIT } from './formats/extended-capabilities.ts'

export type AcsBitName = keyof typeof ACS_BIT

/** What happened to a request at a function. */
export type RouteEvent =
  /** Left its requester, or did not: bus mastering off, not in D0, gone. */
  | 'issued'
  | 'notIssued'
  /** Taken from below and passed up. */
  | 'passedUp'
  /** Passed up under the bridge's own requester id. */
  | 'aliased'
  /** Not passed up: Bus Master Enable of the bridge is clear. */
  | 'bridgeClosed'
  /** The link is down, or held in reset. */
  | 'linkDown'
  /** Taken over to a peer on the same bus; by ACS Direct Translated, or a clear bit of the egress vector. */
  | 'turned'
  /** Sent up although a peer claims it, or the port's own window, or the switch's. */
  | 'redirected'
  /** An ACS violation. */
  | 'violation'
  /** Lies behind the port that it came out of, or in a window of the switch that nobody claims. */
  | 'unsupported'
  /** Passed down through a window. */
  | 'passedDown'
  /** Claimed by a region of the function. */
  | 'claimed'
  /** Nobody claims it below this port. */
  | 'unclaimed'
  /** Reached the root complex. */
  | 'rootComplex'
  /** The completion of a read was sent up by ACS P2P Completion Redirect, or came back directly. */
  | 'completionRedirected'
  | 'completionLost'

/** Hears of every decision on the way of a request. */
export interface RouteListener {
  note(at: object, event: RouteEvent, acs?: AcsBitName): void
}
