/** What a trace calls a frame, so that it is told from others. */
import { hex } from '../../core/index.ts'
import type { Frame } from './frame.ts'
import { frameCheckSequence } from './frame-check-sequence.ts'
import { formatMac, macHigh, macLow } from './mac-address.ts'

const SOURCE = 6

export type FrameName = {
  readonly to: string
  readonly from: string
  /** Bytes without frame check sequence. */
  readonly length: number
  /** Of frames with the same addresses, which: the value that a capture on the wire would show. */
  readonly checkSequence: string
}

export const nameOf = ({ bytes, length }: Frame): FrameName => ({
  to: formatMac(macLow(bytes, 0), macHigh(bytes, 0)),
  from: formatMac(macLow(bytes, SOURCE), macHigh(bytes, SOURCE)),
  length,
  checkSequence: hex(frameCheckSequence(bytes, length)),
})
