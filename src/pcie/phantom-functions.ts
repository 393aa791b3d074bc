/**
 * "Phantom Functions": a function of a device with fewer than eight may send requests under numbers that no function
 * has, to have more of them outstanding at once.
 */
import { noteCompletion } from './error-reporting.ts'
import { EXPRESS } from './formats/capabilities.ts'
import { CAPABILITY, EXTENDED_CAPABILITY } from './formats/capability-ids.ts'
import type { FunctionNode } from './parts.ts'
import { type MemoryRequest, STATUS } from './request.ts'
import { climb } from './routing.ts'

const FUNCTION_BITS = 3

/** The requester id of phantom function `number` of a function, counted from 1; -1 if it may not use it. */
export function phantomIdOf(fn: FunctionNode, number: number): number {
  const express = fn.layout.find(CAPABILITY.EXPRESS)
  if (express === 0 || fn.physicalFunction !== undefined) return -1
  const { PHANTOM: supported } = EXPRESS.DEVICE_CAPABILITIES.f
  const { PHANTOM: enabled } = EXPRESS.DEVICE_CONTROL.f
  const capabilities = fn.words[(express + EXPRESS.DEVICE_CAPABILITIES.offset) >>> 2]!
  const bits = (capabilities & supported.mask) >>> supported.shift
  const isEnabled = (fn.words[(express + EXPRESS.DEVICE_CONTROL.offset) >>> 2]! & enabled.mask) !== 0
  const usesAri = fn.layout.findExtended(EXTENDED_CAPABILITY.ARI) > 0
  const phantom = number << (FUNCTION_BITS - bits)
  const taken = fn.bus.at((fn.devfn & ~7) | (fn.devfn & 7) | phantom) !== undefined
  if (!isEnabled || usesAri || number < 1 || number >= 1 << bits || fn.devfn & phantom || taken) return -1
  return fn.rid | phantom
}

/** Sends a memory request under the id of a phantom function. */
export function issueAsPhantom(fn: FunctionNode, request: MemoryRequest, number: number): void {
  request.begin()
  request.segment = fn.bus.host.segment
  const id = phantomIdOf(fn, number)
  request.requesterId = id < 0 ? fn.rid : id
  if (id < 0) request.status = STATUS.phantomDisabled
  else if (!fn.busMasterEnabled || !fn.isPoweredUp) request.status = STATUS.notIssued
  else {
    climb(fn, request)
    if (request.status !== STATUS.successful) noteCompletion(fn, request)
  }
}
