/** The way of a request from a function up to the root complex, asked for without being sent. */
import type { PageNumber } from '../../core/index.ts'
import {
  type Fabric,
  type FunctionNode,
  MemoryRequest,
  type PcieFunction,
  type RouteEvent,
  TARGET,
} from '../../pcie/index.ts'

/** Where a request ended on its own, and what happened there. */
export interface WayEnd {
  /** `rootComplex`, `peer`, or nowhere. */
  readonly target: 'rootComplex' | 'peer' | 'none'
  readonly at: FunctionNode
  readonly because: RouteEvent
  /** Where it turned to a peer. */
  readonly turnedAt: FunctionNode | undefined
  readonly requesterId: number
}

const DATA = new Uint8Array(4)

export function wayOf(fn: PcieFunction, page: PageNumber, offset: number, write: boolean): WayEnd {
  const request = new MemoryRequest()
  Object.assign(request, { page, offset, length: 4, write, data: DATA })
  let at: FunctionNode = fn
  let because: RouteEvent = 'notIssued'
  let turnedAt: FunctionNode | undefined
  request.observer = {
    note(where: FunctionNode, event: RouteEvent) {
      if (event === 'turned') turnedAt = where
      at = where
      because = event
    },
  }
  fn.issue(request)
  // The compiler does not see that the observer was called.
  const event = because as RouteEvent
  const target = event === 'rootComplex' ? 'rootComplex' : request.target === TARGET.peer ? 'peer' : 'none'
  return { target, at, because: event, turnedAt, requesterId: request.requesterId }
}

/** The function of a root bus by which requests enter. */
export const entryOf = ({ at }: WayEnd): PcieFunction =>
  (at as PcieFunction).physicalFunction ?? (at as PcieFunction)

/** Whether the root complex passes a request for a page on to a function. */
export function passesDown(
  fabric: Fabric,
  entry: PcieFunction,
  page: PageNumber,
  offset: number,
  write: boolean,
): boolean {
  const request = new MemoryRequest()
  Object.assign(request, { page, physicalPage: page, offset, length: 4, write, data: DATA })
  request.observer = { note: () => undefined }
  fabric.request(request, entry)
  return request.target === TARGET.peer
}

/** An interval of pages that something on the way may claim. */
export interface ClaimedPages {
  readonly first: PageNumber
  readonly end: PageNumber
}

/** Whole pages that functions claim on the buses from a function up, ascending and possibly overlapping. */
export function claimsAbove(fn: PcieFunction): ClaimedPages[] {
  const claims: ClaimedPages[] = []
  for (let bus: PcieFunction['bus'] | undefined = fn.bus; bus !== undefined; bus = bus.bridge?.bus) {
    for (const member of bus.functions) {
      member.claims((base, end) => {
        const first = Math.ceil(base / 4096)
        const last = Math.floor(end / 4096)
        if (last > first) claims.push({ first, end: last })
      })
    }
  }
  return claims.sort((a, b) => a.first - b.first)
}
