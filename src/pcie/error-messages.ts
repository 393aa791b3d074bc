/**
 * Error messages: ERR_COR, ERR_NONFATAL and ERR_FATAL climb to the root port, each bridge letting them pass or not, and
 * are collected in its root error registers; those of functions of the root complex go to an event collector.
 */
import { DPC_REASON } from './containment-reasons.ts'
import { EXPRESS, PORT_TYPE } from './formats/capabilities.ts'
import { CAPABILITY, EXTENDED_CAPABILITY } from './formats/capability-ids.ts'
import { AER, RCEC } from './formats/extended-capabilities.ts'
import { BRIDGE_CONTROL, COMMAND_STATUS, IO_WINDOW } from './formats/header.ts'
import { expressTypeOf } from './gate.ts'
import type { FunctionNode } from './parts.ts'

/** In the order of their enables in Device Control, Root Control and Root Error Command. */
export const ERROR_MESSAGE = { correctable: 0, nonFatal: 1, fatal: 2 } as const
export type ErrorMessage = (typeof ERROR_MESSAGE)[keyof typeof ERROR_MESSAGE]

const STATUS = AER.ROOT_STATUS.f
const { SERR, SSE } = COMMAND_STATUS.f

/** Sends a message on behalf of a function that detected an error and may report it. */
export function sendErrorMessage(fn: FunctionNode, message: ErrorMessage): void {
  const source = fn.rid
  const reporter = fn.physicalFunction ?? fn
  if (reporter.bus.kind === 'root') {
    const root = reporter.kind === 'rootPort' ? reporter : eventCollectorOf(reporter)
    if (root !== undefined) receive(root, message, source)
    return
  }
  let below = reporter
  for (let bridge = below.bus.bridge; bridge !== undefined; bridge = below.bus.bridge) {
    if (!forwards(bridge, message, source)) return
    if (bridge.kind === 'rootPort') {
      receive(bridge, message, source)
      return
    }
    below = bridge
  }
}

/** "Error Message Controls": whether a bridge passes a message from its secondary side on. */
function forwards(bridge: FunctionNode, message: ErrorMessage, source: number): boolean {
  if (bridge.kind === 'bridge' || bridge.secondaryDown) return false
  const { words } = bridge
  const uncorrectable = message !== ERROR_MESSAGE.correctable
  if (uncorrectable) {
    words[IO_WINDOW.at]! |= IO_WINDOW.f.RSE.mask
    const fatal = message === ERROR_MESSAGE.fatal
    const reason = fatal ? DPC_REASON.fatalMessage : DPC_REASON.nonFatalMessage
    if (bridge.port?.contain(reason, source, fatal)) return false
  }
  if (!(words[BRIDGE_CONTROL.at]! & BRIDGE_CONTROL.f.SERR.mask)) return false
  const express = bridge.layout.find(CAPABILITY.EXPRESS)
  const control = words[(express + EXPRESS.DEVICE_CONTROL.offset) >>> 2]!
  if (uncorrectable && words[COMMAND_STATUS.at]! & SERR.mask) {
    words[COMMAND_STATUS.at]! |= SSE.mask
    return true
  }
  return (control & (1 << message)) !== 0
}

/** "Root Error Status" and "Error Source Identification": the first source is kept, what follows is counted as more. */
function receive(root: FunctionNode, message: ErrorMessage, source: number): void {
  const aer = root.layout.findExtended(EXTENDED_CAPABILITY.AER)
  if (aer === 0) return
  const { words } = root
  const at = (aer + AER.ROOT_STATUS.offset) >>> 2
  const sourceAt = (aer + AER.ROOT_SOURCE) >>> 2
  const before = words[at]!
  if (message === ERROR_MESSAGE.correctable) {
    if (before & STATUS.COR.mask) words[at]! |= STATUS.MULTI_COR.mask
    else words[sourceAt] = (words[sourceAt]! & 0xffff_0000) | source
    words[at]! |= STATUS.COR.mask
  } else {
    const fatal = message === ERROR_MESSAGE.fatal
    if (before & STATUS.UNCOR.mask) words[at]! |= STATUS.MULTI_UNCOR.mask
    else {
      words[sourceAt] = (words[sourceAt]! & 0xffff) | (source << 16)
      if (fatal) words[at]! |= STATUS.FIRST_FATAL.mask
    }
    words[at]! |= STATUS.UNCOR.mask | (fatal ? STATUS.FATAL.mask : STATUS.NON_FATAL.mask)
  }
  if (!rootErrorPending(words, aer, before) && rootErrorPending(words, aer, words[at]!)) {
    root.bus.host.messages.signal(root, (words[at]! & STATUS.MESSAGE.mask) >>> STATUS.MESSAGE.shift)
  }
}

/** Whether an error that Root Error Status shows is enabled to interrupt. */
function rootErrorPending(words: Uint32Array, aer: number, status: number): boolean {
  const { CORRECTABLE, NON_FATAL, FATAL } = AER.ROOT_COMMAND.f
  const command = words[(aer + AER.ROOT_COMMAND.offset) >>> 2]!
  return (
    ((status & STATUS.COR.mask) !== 0 && (command & CORRECTABLE.mask) !== 0) ||
    ((status & STATUS.NON_FATAL.mask) !== 0 && (command & NON_FATAL.mask) !== 0) ||
    ((status & STATUS.FATAL.mask) !== 0 && (command & FATAL.mask) !== 0)
  )
}

/** After a write to the root error registers: an error that waited for its enable interrupts now. */
export function rootErrorsWritten(root: FunctionNode, at: number, before: number): void {
  const aer = root.layout.findExtended(EXTENDED_CAPABILITY.AER)
  if (aer === 0 || at !== (aer + AER.ROOT_COMMAND.offset) >>> 2) return
  const { words } = root
  const status = words[(aer + AER.ROOT_STATUS.offset) >>> 2]!
  const now = words[at]!
  words[at] = before
  const was = rootErrorPending(words, aer, status)
  words[at] = now
  if (!was && rootErrorPending(words, aer, status)) {
    root.bus.host.messages.signal(root, (status & STATUS.MESSAGE.mask) >>> STATUS.MESSAGE.shift)
  }
}

/** "Root Complex Event Collector Endpoint Association": the collector that serves a function of its root bus. */
function eventCollectorOf(fn: FunctionNode): FunctionNode | undefined {
  const device = 1 << (fn.devfn >>> 3)
  for (const other of fn.bus.functions) {
    if (expressTypeOf(other) !== PORT_TYPE.eventCollector) continue
    if (other === fn) return other
    const association = other.layout.findExtended(EXTENDED_CAPABILITY.RC_EVENT_COLLECTOR)
    if (association > 0 && other.words[(association + RCEC.DEVICES.offset) >>> 2]! & device) return other
  }
  return undefined
}
