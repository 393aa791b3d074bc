/** What a port or bridge does with a request that reaches it from below, as bits that are tested once per hop. */
import { EXPRESS, PORT_TYPE } from './formats/capabilities.ts'
import { CAPABILITY } from './formats/capability-ids.ts'
import { ACS_BIT } from './formats/extended-capabilities.ts'
import type { FunctionNode } from './parts.ts'

export const GATE = {
  /** Its link is down, or its secondary side is held in reset. */
  down: 1,
  /** Bus Master Enable is clear, or it is not in D0. */
  closed: 2,
  /** It puts an id of its own in the place of the requester's. */
  alias: 4,
  /** ACS Source Validation, ACS Translation Blocking. */
  validation: 8,
  translationBlocking: 16,
  /** With `alias`: the first id of its secondary bus, not that of the bridge itself. */
  secondaryAlias: 32,
} as const

export function gateOf(fn: FunctionNode): number {
  const checked = fn.kind === 'rootPort' || fn.kind === 'downstreamPort' ? fn.acsControl : 0
  return (
    (fn.secondaryDown ? GATE.down : 0) |
    (fn.busMasterEnabled && fn.isPoweredUp ? 0 : GATE.closed) |
    (fn.kind === 'bridge' ? GATE.alias : 0) |
    (fn.kind === 'bridge' && expressTypeOf(fn) === PORT_TYPE.pcieToPciBridge ? GATE.secondaryAlias : 0) |
    (checked & ACS_BIT.SV ? GATE.validation : 0) |
    (checked & ACS_BIT.TB ? GATE.translationBlocking : 0)
  )
}

/** "Device/Port Type" of a function, -1 without the PCI Express capability. */
export function expressTypeOf(fn: FunctionNode): number {
  const express = fn.layout.find(CAPABILITY.EXPRESS)
  if (express === 0) return -1
  const { TYPE } = EXPRESS.CAPABILITIES.f
  return (fn.words[express >>> 2]! & TYPE.mask) >>> TYPE.shift
}
