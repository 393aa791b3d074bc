/**
 * The machine port: the only thing of the hardware half that software may touch, together with the formats of
 * registers and structures. It offers what a kernel on silicon has: physical addresses (RAM, registers and ECAM
 * alike), I/O ports, and logical processors with the interrupts they take.
 */
import type { PageNumber } from '../core/index.ts'
import type { Operation, OperationResult } from '../vmx/formats/operations.ts'
import type { Board } from './board.ts'

/** A logical processor as the software running on it meets it. */
export interface ProcessorPort {
  /** Position among the platform's processors, 0 is the bootstrap processor. */
  readonly number: number
  /**
   * Executes one architectural operation in the present mode (root, non-root, or VMX off) and says how it ended. The
   * result is a record reused by the next call.
   */
  execute(operation: Operation): OperationResult
  /**
   * What the processor does between instructions when software outside non-root mode may be interrupted: acknowledges
   * the highest-priority deliverable interrupt of its local APIC and returns its vector, or -1.
   */
  takeInterrupt(): number
}

export interface MachinePort {
  /** What the board's maker knows and compiles into its firmware. Only `firmware/` reads it. */
  readonly board: Board
  readonly processors: readonly ProcessorPort[]

  /** An aligned dword of physical address space. Where nothing answers: 0xFFFF_FFFF. */
  readDword(address: number): number
  /** Writes an aligned dword; `lanes` (default all) marks the bits that the access carries. */
  writeDword(address: number, value: number, lanes?: number): void
  /** Bulk RAM access, what a `rep movs` would do. False, with nothing written, if part of the range is not RAM. */
  readBytes(address: number, target: Uint8Array, start?: number, length?: number): boolean
  writeBytes(address: number, source: Uint8Array, start?: number, length?: number): boolean
  /** Clears whole 4-KiB pages of RAM, what a `rep stos` would do. False, with nothing cleared, if any is not RAM. */
  zeroPages(first: PageNumber, count: number): boolean

  /** I/O port read and write; `width` 1, 2 or 4 bytes. */
  inPort(port: number, width: number): number
  outPort(port: number, width: number, value: number): void
}
