/** A link between a port and the device at its far end: the speed and width that both ends and the wires allow. */
import { get } from '../core/index.ts'
import { EXPRESS } from './formats/capabilities.ts'
import { CAPABILITY } from './formats/capability-ids.ts'
import type { FunctionNode } from './parts.ts'
import { pinnedBits } from './pinned-bits.ts'

const { LINK_CAPABILITIES, LINK_CONTROL, LINK_CONTROL_2 } = EXPRESS
const { DLL_ACTIVE, SPEED, WIDTH, LBMS } = LINK_CONTROL.f

/** What the wires allow: a speed code and a number of lanes; 0 for as much as both ends can. */
export interface LinkLimit {
  readonly speed: number
  readonly width: number
}

export const UNLIMITED: LinkLimit = Object.freeze({ speed: 0, width: 0 })

/** The lower of two values of which 0 says nothing. */
const lower = (a: number, b: number): number => (a === 0 ? b : b === 0 ? a : Math.min(a, b))

/** Trains the link between a port and functions of the device below: both ends show the same speed and width. */
export function train(port: FunctionNode, below: readonly FunctionNode[], limit: LinkLimit): void {
  const near = port.layout.find(CAPABILITY.EXPRESS)
  const far = below[0]?.layout.find(CAPABILITY.EXPRESS) ?? 0
  // A link to a device without registers for it (a conventional one, drawn below a port) shows what it was built with.
  if (near === 0 || far === 0 || !hasLink(below[0]!, far)) return
  const capabilities = [capabilitiesAt(port, near), capabilitiesAt(below[0]!, far)] as const
  const target = targetSpeed(port, near)
  const trained = imageOf(below[0]!, far)
  const speed = lower(
    lower(lower(capabilities[0].speed, capabilities[1].speed), target),
    lower(limit.speed, trained.speed),
  )
  const width = lower(lower(capabilities[0].width, capabilities[1].width), lower(limit.width, trained.width))
  for (const fn of [port, ...below]) {
    const express = fn.layout.find(CAPABILITY.EXPRESS)
    if (express === 0) continue
    show(fn, express, SPEED.mask | WIDTH.mask, (speed << SPEED.shift) | (width << WIDTH.shift))
  }
}

/** Sets bits of Link Status, less those that the device shows its own way. */
function show(fn: FunctionNode, express: number, mask: number, value: number): void {
  const offset = express + LINK_CONTROL.offset
  const changed = mask & ~pinnedBits(fn.definition, offset)
  fn.words[offset >>> 2] = (fn.words[offset >>> 2]! & ~changed) | (value & changed)
}

const hasLink = (fn: FunctionNode, express: number): boolean =>
  fn.words[(express + LINK_CAPABILITIES.offset) >>> 2] !== 0

function capabilitiesAt(fn: FunctionNode, express: number): LinkLimit {
  const at = (express + LINK_CAPABILITIES.offset) >>> 2
  return {
    speed: get(LINK_CAPABILITIES.f.SPEED, fn.words, at),
    width: get(LINK_CAPABILITIES.f.WIDTH, fn.words, at),
  }
}

/** "Target Link Speed" of version 2; 0 without it. */
function targetSpeed(port: FunctionNode, express: number): number {
  const version = get(EXPRESS.CAPABILITIES.f.VERSION, port.words, express >>> 2)
  if (version < 2) return 0
  return get(LINK_CONTROL_2.f.TARGET_SPEED, port.words, (express + LINK_CONTROL_2.offset) >>> 2)
}

/** What the device had come up with when it was captured: its slot may have had fewer lanes than its connector. */
function imageOf({ definition }: FunctionNode, express: number): LinkLimit {
  const status =
    (definition.image[express + LINK_CONTROL.offset + 2] ?? 0) |
    ((definition.image[express + LINK_CONTROL.offset + 3] ?? 0) << 8)
  return { speed: status & 0xf, width: (status >>> 4) & 0x3f }
}

/** "Data Link Layer Link Active" and, after retraining, "Link Bandwidth Management Status", where the port has them. */
export function showLink(port: FunctionNode, up: boolean, retrained: boolean): void {
  const express = port.layout.find(CAPABILITY.EXPRESS)
  if (express === 0) return
  const capabilities = port.words[(express + LINK_CAPABILITIES.offset) >>> 2]!
  if (capabilities & LINK_CAPABILITIES.f.DLL_ACTIVE_REPORTING.mask) {
    show(port, express, DLL_ACTIVE.mask, up ? DLL_ACTIVE.mask : 0)
  }
  if (retrained && capabilities & LINK_CAPABILITIES.f.BANDWIDTH_NOTIFICATION.mask) {
    show(port, express, LBMS.mask, LBMS.mask)
  }
}
