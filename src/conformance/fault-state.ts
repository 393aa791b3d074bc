/** The fault registers of a unit as driver software reads them, and what a record says. */
import { decode, hex } from '../core/index.ts'
import { CAP, FECTL, FSTS } from '../vtd/formats/index.ts'

/** Registers of a unit, as its driver reads them. */
export interface RegisterReader {
  readRegister(offset: number, width: 32 | 64): bigint
}

/** Bit 127 of a fault record, seen from its high half. */
const F = 1n << 63n
const REASON_SHIFT = 32n
const REASON = 0xffn << REASON_SHIFT

export interface FaultState {
  readonly fsts: number
  /** Fault recording register 0 while its F is set, `[low, high]`. */
  readonly record: FaultRecord | undefined
}
export type FaultRecord = readonly [low: bigint, high: bigint]

export const sameRecord = (a: FaultRecord | undefined, b: FaultRecord | undefined): boolean =>
  a?.[0] === b?.[0] && a?.[1] === b?.[1]

/** Bits of FSTS that are conditions of the fault event. */
export const FSTS_CONDITIONS =
  FSTS.f.PFO.mask | FSTS.f.PPF.mask | FSTS.f.IQE.mask | FSTS.f.ICE.mask | FSTS.f.ITE.mask

/** Offset of fault recording register 0. */
export function faultRecordOffset(machine: RegisterReader): number {
  const cap = machine.readRegister(CAP.offset, 64)
  const words = [Number(cap & 0xffff_ffffn), Number(cap >> 32n)]
  return decode(CAP.f, words).FRO! * 16
}

export function faultState(machine: RegisterReader, recordAt: number): FaultState {
  const fsts = Number(machine.readRegister(FSTS.offset, 32))
  const high = machine.readRegister(recordAt + 8, 64)
  return { fsts, record: high & F ? [machine.readRegister(recordAt, 64), high] : undefined }
}

export const faultEventMasked = (fectl: bigint): boolean => (Number(fectl) & FECTL.f.IM.mask) !== 0

export const reasonOf = ([, high]: FaultRecord): number => Number((high & REASON) >> REASON_SHIFT)

export const withReason = ([low, high]: FaultRecord, reason: number): FaultRecord => [
  low,
  (high & ~REASON) | (BigInt(reason) << REASON_SHIFT),
]

export const withAddress = ([, high]: FaultRecord, address: bigint): FaultRecord => [address, high]

export const sourceIdOf = ([, high]: FaultRecord): number => Number(high & 0xffffn)

/** A record of an untranslated DMA request without PASID. */
export const dmaRecord = (sourceId: number, page: bigint, write: boolean, reason: number): FaultRecord => [
  page << 12n,
  F | (write ? 0n : 1n << 62n) | (BigInt(reason) << REASON_SHIFT) | BigInt(sourceId),
]

/** A record of an interrupt request. */
export const interruptRecord = (sourceId: number, index: number, reason: number): FaultRecord => [
  BigInt(index) << 48n,
  F | (BigInt(reason) << REASON_SHIFT) | BigInt(sourceId),
]

/** The fields that recordings decode from a record of a DMA request. */
export const decodedDmaFault = ([low, high]: FaultRecord) => ({
  reason: reasonOf([low, high]),
  sourceId: sourceIdOf([low, high]),
  address: `0x${(low & ~0xfffn).toString(16)}`,
  type: ['write', 'page', 'read', 'atomic'][Number((high >> 62n) & 1n) * 2 + Number((high >> 28n) & 1n)]!,
  pasidPresent: Number((high >> 31n) & 1n),
  pasid: Number((high >> 40n) & 0xf_ffffn),
  execute: Number((high >> 30n) & 1n),
  privileged: Number((high >> 29n) & 1n),
})

/** And of an interrupt request. */
export const decodedInterruptFault = ([low, high]: FaultRecord) => ({
  reason: reasonOf([low, high]),
  sourceId: sourceIdOf([low, high]),
  interruptIndex: Number(low >> 48n),
})

export const tellRecord = (record: FaultRecord | undefined): string =>
  record === undefined ? 'no record' : `record 0x${record[1].toString(16)} 0x${record[0].toString(16)}`

export const tellReason = (reason: number): string => hex(reason)
