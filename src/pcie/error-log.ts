/** Inspection: the errors that a function has logged, read out of its registers. */
import { get } from '../core/index.ts'
import { EXPRESS } from './formats/capabilities.ts'
import { CAPABILITY, EXTENDED_CAPABILITY } from './formats/capability-ids.ts'
import { AER, DPC } from './formats/extended-capabilities.ts'
import type { FunctionNode } from './parts.ts'

export interface ErrorLog {
  /** Device Status, bits 3:0. */
  readonly device: number
  readonly uncorrectable: number
  readonly correctable: number
  /** First Error Pointer, and whether the bit that it names is set. */
  readonly first: number
  readonly firstValid: boolean
  readonly header: readonly number[]
  /** Root Error Status and Error Source Identification, of a root port or event collector. */
  readonly root?: { status: number; correctableSource: number; uncorrectableSource: number }
  readonly containment?: { triggered: boolean; reason: number; source: number }
}

const ROOT_TYPES: ReadonlySet<number> = new Set([0x4, 0xa])

export function readErrorLog({ words, layout }: FunctionNode): ErrorLog {
  const express = layout.find(CAPABILITY.EXPRESS)
  const aer = layout.findExtended(EXTENDED_CAPABILITY.AER)
  const dpc = layout.findExtended(EXTENDED_CAPABILITY.DPC)
  const word = (base: number, offset: number): number => (base === 0 ? 0 : words[(base + offset) >>> 2]!)
  const uncorrectable = word(aer, AER.UNCORRECTABLE_STATUS.offset)
  const first = aer === 0 ? 0 : get(AER.CONTROL.f.FIRST, words, (aer + AER.CONTROL.offset) >>> 2)
  const sources = word(aer, AER.ROOT_SOURCE)
  const isRoot =
    aer > 0 && express > 0 && ROOT_TYPES.has(get(EXPRESS.CAPABILITIES.f.TYPE, words, express >>> 2))
  const containment = word(dpc, DPC.STATUS.offset)
  return {
    device: (word(express, EXPRESS.DEVICE_CONTROL.offset) >>> 16) & 0xf,
    uncorrectable,
    correctable: word(aer, AER.CORRECTABLE_STATUS.offset),
    first,
    firstValid: (uncorrectable & (1 << first)) !== 0,
    header: [0, 4, 8, 12].map(at => word(aer, AER.HEADER_LOG + at)),
    ...(isRoot && {
      root: {
        status: word(aer, AER.ROOT_STATUS.offset) & AER.ROOT_STATUS_ERRORS,
        correctableSource: sources & 0xffff,
        uncorrectableSource: sources >>> 16,
      },
    }),
    ...(dpc > 0 && {
      containment: {
        triggered: (containment & DPC.STATUS.f.TRIGGERED.mask) !== 0,
        reason: get(DPC.STATUS.f.REASON, [containment]),
        source: containment >>> 16,
      },
    }),
  }
}
