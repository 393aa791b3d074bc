/** What a frame occupies of an Ethernet line. */
import { FCS_SIZE, SHORTEST_FRAME } from './frame.ts'

/** "Media access control frame and packet specifications", IEEE 802.3: preamble with start delimiter, interpacket gap. */
export const PREAMBLE_SIZE = 8
export const INTERPACKET_GAP = 12

/** Bytes that a frame of `length`, without frame check sequence, occupies of the line. */
export const lineOccupancy = (length: number): number =>
  PREAMBLE_SIZE + Math.max(length, SHORTEST_FRAME) + FCS_SIZE + INTERPACKET_GAP

/** Nanoseconds, rounded up, for which bytes occupy a line of some speed in Mb/s. */
export const lineTime = (bytes: number, speed: number): number => Math.ceil((bytes * 8000) / speed)
