/** Inspection: who watches a request on its way hears of every decision, at which function and because of which bit. */
import type { FunctionNode } from './parts.ts'
import type { AcsBitName, RouteEvent, RouteListener } from './route-events.ts'

export interface RouteObserver extends RouteListener {
  note(at: FunctionNode, event: RouteEvent, acs?: AcsBitName): void
}
