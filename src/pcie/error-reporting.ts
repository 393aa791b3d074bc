/**
 * "Error Signaling and Logging": what a function does with an error it detects. Device Status, the log of Advanced Error
 * Reporting where the function has it, and the message that tells the root complex.
 */
import { DPC_REASON } from './containment-reasons.ts'
import { ERROR_MESSAGE, sendErrorMessage } from './error-messages.ts'
import { EXPRESS } from './formats/capabilities.ts'
import { CAPABILITY, EXTENDED_CAPABILITY } from './formats/capability-ids.ts'
import { AER } from './formats/extended-capabilities.ts'
import { COMMAND_STATUS } from './formats/header.ts'
import type { FunctionNode } from './parts.ts'
import type { MemoryRequest } from './request.ts'
import { completionStatusOf, headerOf, isNonPosted } from './tlp-header.ts'

/** Uncorrectable errors, by bit of the status register. */
export const UNCORRECTABLE = {
  dataLinkProtocol: 4,
  surpriseDown: 5,
  poisonedTlp: 12,
  flowControlProtocol: 13,
  completionTimeout: 14,
  completerAbort: 15,
  unexpectedCompletion: 16,
  receiverOverflow: 17,
  malformedTlp: 18,
  ecrc: 19,
  unsupportedRequest: 20,
  acsViolation: 21,
  uncorrectableInternal: 22,
} as const

/** Correctable errors, by bit of the status register. */
export const CORRECTABLE = {
  receiverError: 0,
  badTlp: 6,
  badDllp: 7,
  replayNumRollover: 8,
  replayTimerTimeout: 12,
  advisoryNonFatal: 13,
  correctedInternal: 14,
  headerLogOverflow: 15,
} as const

/** "Uncorrectable Error Severity Register", default values: which errors are fatal without the register. */
const DEFAULT_SEVERITY = 0x0046_2030

const { CERE, URRE, CED, NFED, FED, URD } = EXPRESS.DEVICE_CONTROL.f
const { SERR, SSE, STA, RTA, RMA, MDPE, DPE, PER } = COMMAND_STATUS.f

/** The completer of a request that it refuses: a read it answers so, which makes the error advisory, a write is lost. */
export function logRefusal(completer: FunctionNode, error: number, request: MemoryRequest): void {
  if (error === UNCORRECTABLE.completerAbort || error === UNCORRECTABLE.acsViolation) {
    if (isNonPosted(request)) mark(completer, STA.mask)
  }
  if (error === UNCORRECTABLE.poisonedTlp) mark(completer, DPE.mask)
  reportUncorrectable(completer, error, headerOf(request), isNonPosted(request))
}

/** The requester of a request that came back unsuccessful: its Status says how. */
export function noteCompletion(requester: FunctionNode, request: MemoryRequest): void {
  if (request.poisoned && requester.words[COMMAND_STATUS.at]! & PER.mask) mark(requester, MDPE.mask)
  if (!isNonPosted(request)) return
  const completion = completionStatusOf(request.status)
  if (completion === 'UR') mark(requester, RMA.mask)
  else if (completion === 'CA') mark(requester, RTA.mask)
}

/**
 * An uncorrectable error, in the order of "Sequence of Device Error Signaling and Logging Operations".
 *
 * @param header of the packet in question, if there is one.
 * @param advisory a non-fatal error that is signaled as correctable, because the requester is told.
 */
export function reportUncorrectable(
  fn: FunctionNode,
  error: number,
  header: Uint32Array | undefined,
  advisory: boolean,
): void {
  const express = fn.layout.find(CAPABILITY.EXPRESS)
  if (express === 0) return
  const { words } = fn
  const aer = fn.layout.findExtended(EXTENDED_CAPABILITY.AER)
  const bit = 1 << error
  const rules = ruling(fn)
  const severity = aerDword(rules, AER.UNCORRECTABLE_SEVERITY.offset, DEFAULT_SEVERITY)
  const fatal = (severity & bit) !== 0
  const asAdvisory = advisory && !fatal
  const device = (express + EXPRESS.DEVICE_CONTROL.offset) >>> 2
  const unsupported = error === UNCORRECTABLE.unsupportedRequest
  words[device]! |= (asAdvisory ? CED.mask : fatal ? FED.mask : NFED.mask) | (unsupported ? URD.mask : 0)
  if (aer !== 0) {
    if (asAdvisory && !logAdvisory(words, aer, rules)) return
    const status = (aer + AER.UNCORRECTABLE_STATUS.offset) >>> 2
    const before = words[status]!
    words[status] = before | bit
    const mask = aerDword(rules, AER.UNCORRECTABLE_MASK.offset, 0)
    if (mask & bit) return
    logHeader(words, aer, error, before & ~mask, header)
  }
  const control = deviceControlOf(rules)
  const systemError = (rules.words[COMMAND_STATUS.at]! & SERR.mask) !== 0
  // "Unsupported Request Reporting Enable" gates what the other enables would let pass.
  const allowed = !unsupported || (control & URRE.mask) !== 0
  if (asAdvisory) {
    if (allowed && control & CERE.mask) sendErrorMessage(fn, ERROR_MESSAGE.correctable)
    return
  }
  if (fn.port?.contain(DPC_REASON.unmaskedError, fn.rid, fatal)) return
  const enable = fatal ? EXPRESS.DEVICE_CONTROL.f.FERE : EXPRESS.DEVICE_CONTROL.f.NFERE
  if (!systemError && !(allowed && control & enable.mask)) return
  if (systemError) mark(fn, SSE.mask)
  sendErrorMessage(fn, fatal ? ERROR_MESSAGE.fatal : ERROR_MESSAGE.nonFatal)
}

export function reportCorrectable(fn: FunctionNode, error: number): void {
  const express = fn.layout.find(CAPABILITY.EXPRESS)
  if (express === 0) return
  const { words } = fn
  const aer = fn.layout.findExtended(EXTENDED_CAPABILITY.AER)
  const device = (express + EXPRESS.DEVICE_CONTROL.offset) >>> 2
  words[device]! |= CED.mask
  const rules = ruling(fn)
  if (aer !== 0) {
    words[(aer + AER.CORRECTABLE_STATUS.offset) >>> 2]! |= 1 << error
    if (aerDword(rules, AER.CORRECTABLE_MASK.offset, 0) & (1 << error)) return
  }
  if (deviceControlOf(rules) & CERE.mask) sendErrorMessage(fn, ERROR_MESSAGE.correctable)
}

/** "VF Error Handling": what enables, masks and grades the errors of a virtual function is its physical function's. */
const ruling = (fn: FunctionNode): FunctionNode => fn.physicalFunction ?? fn

const deviceControlOf = ({ words, layout }: FunctionNode): number =>
  words[(layout.find(CAPABILITY.EXPRESS) + EXPRESS.DEVICE_CONTROL.offset) >>> 2]!

/** A dword of Advanced Error Reporting, or what holds without it. */
function aerDword({ words, layout }: FunctionNode, offset: number, otherwise: number): number {
  const aer = layout.findExtended(EXTENDED_CAPABILITY.AER)
  return aer === 0 ? otherwise : words[(aer + offset) >>> 2]!
}

/** "Advisory Non-Fatal Error Logging". False if the mask ends it here. */
function logAdvisory(words: Uint32Array, aer: number, rules: FunctionNode): boolean {
  words[(aer + AER.CORRECTABLE_STATUS.offset) >>> 2]! |= AER.CORRECTABLE_STATUS.f.ADVISORY.mask
  return (aerDword(rules, AER.CORRECTABLE_MASK.offset, 0) & AER.CORRECTABLE_MASK.f.ADVISORY.mask) === 0
}

/**
 * "First Error Pointer": valid while the status bit that it names is set; the header of the first error is kept.
 *
 * @param unmasked the status register without this error, and without those that are masked.
 */
function logHeader(
  words: Uint32Array,
  aer: number,
  error: number,
  unmasked: number,
  header: Uint32Array | undefined,
): void {
  const control = (aer + AER.CONTROL.offset) >>> 2
  const { FIRST } = AER.CONTROL.f
  if (unmasked & (1 << (words[control]! & FIRST.mask))) return
  words[control] = (words[control]! & ~FIRST.mask) | error
  for (let i = 0; i < 4; i++) words[((aer + AER.HEADER_LOG) >>> 2) + i] = header?.[i] ?? 0
}

export function mark(fn: FunctionNode, bit: number): void {
  fn.words[COMMAND_STATUS.at]! |= bit
}
