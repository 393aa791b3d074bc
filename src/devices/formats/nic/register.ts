/**
 * How the register files of network controllers are declared: once, as data. A declaration is one register or an array
 * of equal ones; the same register may answer at a second place (`alias`).
 */
import { assert } from '../../../core/index.ts'

/**
 * `RW`, `RO`, `WO` (reads 0), `RC` (read-to-clear statistics), `RW1C` (write 1 to clear). Side effects beyond storing
 * bits hang on the register in the model.
 */
export type NicAccess = 'RW' | 'RO' | 'WO' | 'RC' | 'RW1C'

export interface NicRegister<Bits extends string = string> {
  /** Number of the declaration in its register file, from 1. */
  readonly id: number
  readonly name: string
  /** Of the first one, in bytes. */
  readonly offset: number
  readonly count: number
  /** Bytes from one to the next. */
  readonly stride: number
  readonly access: NicAccess
  /** After a reset of the port. */
  readonly reset: number
  /** Bits that software can write, of `RW` and `RW1C`. */
  readonly writable: number
  /** Masks of fields, in place. */
  readonly bits: Readonly<Record<Bits, number>>
  /** Where the first `count` of them answer as well. */
  readonly alias: { readonly offset: number; readonly stride: number; readonly count: number } | undefined
}

export interface NicRegisterOptions<Bits extends string> {
  readonly count?: number
  readonly stride?: number
  readonly reset?: number
  readonly writable?: number
  readonly bits?: Readonly<Record<Bits, number>>
  readonly alias?: { readonly offset: number; readonly stride: number; readonly count: number }
}

/** Mask of bits `high` to `low`. */
export const bits = (high: number, low: number = high): number => {
  assert(high < 32 && low <= high, `bits ${high}:${low} are of one dword`)
  return (((high - low === 31 ? 0 : 1 << (high - low + 1)) - 1) << low) >>> 0
}

/** The value of the field that a mask names. */
export const fieldOf = (value: number, mask: number): number =>
  (value & mask) >>> (31 - Math.clz32(mask & -mask))

/** A value moved to where a mask names a field. */
export const inField = (mask: number, value: number): number =>
  ((value << (31 - Math.clz32(mask & -mask))) & mask) >>> 0

export interface NicRegisterFile {
  /** Bytes of the window. */
  readonly size: number
  readonly registers: readonly NicRegister[]
}

/** Declares the registers of one file, in order. @param before those of another file that it has as well */
export function registerDeclarations(before: readonly NicRegister[] = []): {
  readonly declared: NicRegister[]
  declare<const Bits extends string = never>(
    offset: number,
    name: string,
    access: NicAccess,
    options?: NicRegisterOptions<Bits>,
  ): NicRegister<Bits>
} {
  const declared: NicRegister[] = [...before]
  return {
    declared,
    declare(offset, name, access, options = {}) {
      const { count = 1, stride = 4, reset = 0, writable = 0xffff_ffff, bits: fields, alias } = options
      const register = Object.freeze({
        id: declared.length + 1,
        name,
        offset,
        count,
        stride,
        access,
        reset,
        writable,
        bits: fields ?? ({} as Readonly<Record<never, number>>),
        alias,
      })
      declared.push(register)
      return register as never
    },
  }
}

/** Byte offset of number `index` of an array of registers. */
export const offsetOf = ({ offset, stride }: NicRegister, index: number): number => offset + index * stride
