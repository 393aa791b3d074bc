/** What a model of a network controller shows of itself, and the names of what can become of a frame. */
import type { Frame } from '../../../net/index.ts'
import type { NetworkModel } from '../../device-model.ts'
import type { Delay } from './transmit-schedule.ts'

/** Why a frame was dropped. Each frame that comes in or is sent ends somewhere, or has one of these counted. */
export const DROP_CAUSES = [
  'noCarrier',
  'receiverDisabled',
  'damaged',
  'tooShort',
  'tooLong',
  'addressFilter',
  'vlanFilter',
  'noPool',
  'poolDisabled',
  'ownPool',
  'poolLengthLimit',
  'queueDisabled',
  'busMasterDisabled',
  'noDescriptor',
  'packetBufferFull',
  'dmaFault',
  'queueStopped',
  'macSpoof',
  'vlanSpoof',
  'malformedDescriptor',
  'pauseFrame',
  'reset',
] as const
export type DropCause = (typeof DROP_CAUSES)[number]

/** Counts by cause, without names on the hot path. */
export class DropCounts {
  readonly counts = new Float64Array(DROP_CAUSES.length)

  add(cause: number): void {
    this.counts[cause]!++
  }

  /** Those that happened, by name. */
  named(): Partial<Record<DropCause, number>> {
    const named: Partial<Record<DropCause, number>> = {}
    for (const [i, cause] of DROP_CAUSES.entries()) if (this.counts[i]! > 0) named[cause] = this.counts[i]!
    return named
  }
}

const causeNumbers = Object.fromEntries(DROP_CAUSES.map((cause, i) => [cause, i]))
/** Number of each cause. */
export const DROP = causeNumbers as Readonly<Record<DropCause, number>>

/** One decision about a frame, for those who follow one. */
export type NicEvent =
  | { readonly step: 'fromWire'; readonly length: number }
  | { readonly step: 'toWire'; readonly length: number; readonly sent: boolean }
  | { readonly step: 'fetched'; readonly queue: number; readonly pool: number; readonly length: number }
  | {
      readonly step: 'classified'
      readonly pools: readonly number[]
      readonly exact: boolean
      readonly loopback: boolean
    }
  | { readonly step: 'delayed'; readonly queue: number; readonly pool: number; readonly by: Delay }
  /** By EtherType, SYN or five-tuple, instead of by hash. */
  | { readonly step: 'steered'; readonly pool: number; readonly queue: number }
  | { readonly step: 'waits'; readonly queue: number }
  | {
      readonly step: 'stored'
      readonly queue: number
      readonly pool: number
      readonly descriptors: number
      readonly length: number
      readonly rssHash: number
    }
  | { readonly step: 'dropped'; readonly cause: DropCause; readonly pool: number; readonly queue: number }
  | { readonly step: 'cause'; readonly vector: number; readonly virtualFunction: number }
  | {
      readonly step: 'interrupt'
      readonly vector: number
      readonly virtualFunction: number
      readonly outcome: string
    }
  | { readonly step: 'moderated'; readonly vector: number; readonly untilNs: number }

export interface NicObserver {
  note(event: NicEvent): void
}

/** A ring as its registers say it is. */
export interface RingInspection {
  readonly queue: number
  readonly pool: number
  /** Number of the virtual function that it works for, -1 for the physical one. */
  readonly virtualFunction: number
  readonly enabled: boolean
  readonly base: string
  readonly descriptors: number
  readonly head: number
  readonly tail: number
  readonly stopped: boolean
  readonly frames: number
  readonly bytes: number
}

export interface NicInspection {
  readonly model: string
  readonly name: string
  readonly link: { readonly up: boolean; readonly speedMbps: number }
  readonly mode: string
  readonly receive: readonly RingInspection[]
  readonly transmit: readonly RingInspection[]
  readonly pools: readonly {
    readonly pool: number
    readonly virtualFunction: number
    readonly receiveEnabled: boolean
    readonly transmitEnabled: boolean
    readonly accepts: readonly string[]
    readonly macSpoofCheck: boolean
    readonly vlanSpoofCheck: boolean
    readonly portVlan: number | null
    /** Share of the line, Mb/s, that a rate limit leaves; null without one. */
    readonly rateLimitMbps: number | null
    readonly received: number
    readonly sent: number
  }[]
  readonly macFilters: readonly { readonly address: string; readonly pools: readonly number[] }[]
  readonly vlanFilters: readonly { readonly vlan: number; readonly pools: readonly number[] }[]
  /** What chooses queues before RSS does. */
  readonly queueFilters: {
    readonly etherTypes: readonly {
      readonly etherType: string
      readonly pool: number | null
      readonly queue: number | null
    }[]
    readonly synQueue: number | null
    readonly fiveTuples: readonly { readonly priority: number; readonly queue: number }[]
  }
  readonly vectors: readonly {
    readonly vector: number
    readonly virtualFunction: number
    readonly enabled: boolean
    readonly pending: boolean
    readonly intervalNs: number
  }[]
  readonly counters: Readonly<Record<string, number>>
  readonly drops: Partial<Record<DropCause, number>>
  /** Frames in the packet buffer that wait for descriptors. */
  readonly waiting: number
}

export interface NicModel extends NetworkModel {
  /** Hears of every decision about a frame; costs nothing while there is none. */
  observer: NicObserver | undefined
  inspect(): NicInspection
  receive(frame: Frame): void
}
