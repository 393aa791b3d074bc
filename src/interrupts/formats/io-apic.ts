/** "I/O Advanced Programmable Interrupt Controller": direct registers, indirect registers, redirection entries. */
import { ro, rw } from '../../core/index.ts'

/** Physical address of the first I/O APIC. */
export const IO_APIC_BASE = 0xfec0_0000

/** Offsets of the direct registers in the page. */
export const IO_APIC = { IOREGSEL: 0x00, IOWIN: 0x10, EOI: 0x40 } as const

/** Indices of the indirect registers; entry n is at `RTE + 2n` (low dword) and `RTE + 2n + 1`. */
export const IO_APIC_INDEX = { ID: 0x00, VER: 0x01, ARB: 0x02, RTE: 0x10 } as const

/** Redirection table entry, compatibility format. */
export const RTE = {
  V: rw(7, 0),
  DLM: rw(10, 8),
  DM: rw(11),
  DS: ro(12),
  POL: rw(13),
  RIRR: ro(14),
  TM: rw(15),
  M: rw(16),
  DST: rw(63, 56),
} as const

/** The fields that replace others where bit 48 marks the remappable format. */
export const REMAPPABLE_RTE = { INDEX_15: rw(11), FORMAT: rw(48), INDEX: rw(63, 49) } as const

/** Low and high dword of a redirection entry in remappable format; `index` is the IRTE's, 0 to 65535. */
export const remappableRte = (index: number, vector: number, level: boolean, activeLow: boolean) =>
  [
    (vector | ((index >>> 15) << 11) | (activeLow ? 1 << 13 : 0) | (level ? 1 << 15 : 0)) >>> 0,
    (((index & 0x7fff) << 17) | (1 << 16)) >>> 0,
  ] as const
