/** What a packet costs somewhere: a step of an I/O model, with its price. */
import type { Costs } from '../../../timing/index.ts'
import type { Scenario } from '../../scenario.ts'
import type { Packets } from './packets.ts'

export interface Charge {
  readonly resource: string
  readonly cause: string
  /** Nanoseconds of a packet. */
  readonly nanoseconds: number
  /** VM exits of a packet, and whether they are I/O port or register accesses. */
  readonly exits?: number
  readonly register?: true
  /** Made once for an interrupt, however many packets it announces. */
  readonly interrupt?: true
  /** Interrupts injected for a packet. */
  readonly injections?: number
}

export const GUEST = 'virtual processor'
export const HOST = 'host processor'
export const BACKEND = 'back end'

export interface Situation {
  readonly scenario: Scenario
  readonly costs: Costs
  readonly packets: Packets
  /** Packets that one interrupt announces. */
  readonly together: number
}
