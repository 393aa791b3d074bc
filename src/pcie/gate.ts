/** What a port or bridge does with a request that reaches it from below, as bits that are tested once per hop. */
import { ACS_BIT } from './formats/extended-capabilities.ts'
import type { FunctionNode } from './parts.ts'

export const GATE = {
  /** Its secondary side is held in reset. */
  reset: 1,
  /** Bus Master Enable is clear, or it is not in D0. */
  closed: 2,
  /** It puts its own requester id in the place of the requester's. */
  alias: 4,
  /** ACS Source Validation, ACS Translation Blocking. */
  validation: 8,
  translationBlocking: 16,
} as const

export function gateOf(fn: FunctionNode): number {
  const checked = fn.kind === 'rootPort' || fn.kind === 'downstreamPort' ? fn.acsControl : 0
  return (
    (fn.holdsSecondaryInReset ? GATE.reset : 0) |
    (fn.busMasterEnabled && fn.isPoweredUp ? 0 : GATE.closed) |
    (fn.kind === 'bridge' ? GATE.alias : 0) |
    (checked & ACS_BIT.SV ? GATE.validation : 0) |
    (checked & ACS_BIT.TB ? GATE.translationBlocking : 0)
  )
}
