/** "Page Request Descriptor": what a unit enters into the page request queue for software to serve. */
import { rw } from '../../core/index.ts'

/** 32 bytes. Bits that no field names are 0. */
export const PAGE_REQUEST = {
  TYPE: rw(7, 0),
  /** PASID Present */
  PP: rw(8),
  RID: rw(31, 16),
  PASID: rw(51, 32),
  /** Execute and privileged mode requested. */
  EXE: rw(52),
  PRIV: rw(53),
  R: rw(64),
  W: rw(65),
  /** Last Page In Group */
  LPIG: rw(66),
  /** Page Request Group Index */
  PRGI: rw(75, 67),
  ADDR: rw(127, 76),
} as const
export const PAGE_REQUEST_BYTES = 32

/** `PAGE_REQUEST.TYPE` */
export const PAGE_REQUEST_TYPE = 1
