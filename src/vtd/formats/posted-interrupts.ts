/** "Interrupt Remapping Table Entry (IRTE) for Posted Interrupts" and the "Posted Interrupt Descriptor" it points to. */
import { rw } from '../../core/index.ts'

/** An IRTE with IM=1, 16 bytes. Bits 11:8 are available to software. */
export const POSTED_IRTE = {
  P: rw(0),
  FPD: rw(1),
  AVAIL: rw(11, 8),
  /** Urgent: notified even while SN of the descriptor is set. */
  URG: rw(14),
  IM: rw(15),
  /** Virtual vector: the bit of PIR. */
  V: rw(23, 16),
  /** Address bits 31:6 of the descriptor. */
  PDAL: rw(63, 38),
  SID: rw(79, 64),
  SQ: rw(81, 80),
  SVT: rw(83, 82),
  /** Address bits 63:32 of the descriptor. */
  PDAH: rw(127, 96),
} as const

/** 64 bytes, aligned to them; the first 256 bits are PIR, one for each virtual vector. */
export const POSTED_INTERRUPT_DESCRIPTOR = {
  /** Outstanding Notification */
  ON: rw(256),
  /** Suppress Notification */
  SN: rw(257),
  /** Notification Vector */
  NV: rw(279, 272),
  /** EIME=1: x2APIC identifier. EIME=0: the identifier is in bits 15:8 of the field, the rest is reserved. */
  NDST: rw(319, 288),
} as const
export const POSTED_INTERRUPT_DESCRIPTOR_WORDS = 16
