/** What stimulus reports, as plain values that outlive the reused records of the hardware rooms. */
import type { TraceEvent } from '../engine/index.ts'
import type { MemoryRequest, Status, Target } from '../pcie/index.ts'

/** One request of a DMA: it never crosses a page. */
export interface DmaPart {
  readonly segment: number
  /** As the remapping unit saw it. */
  readonly requesterId: number
  /** The 64-bit address. */
  readonly page: number
  readonly offset: number
  /** Bytes. */
  readonly length: number
  readonly status: Status
  readonly target: Target
  /** Host page, if the target is memory or a peer. */
  readonly physicalPage: number
  /** `FRCD.FR`, 0 if there was no fault. */
  readonly faultReason: number
  /** Index of the remapping unit, -1 if none was on the way. */
  readonly unit: number
  /** How the access itself was made, `ADDRESS_TYPE`. */
  readonly addressType: number
}

export interface DmaReport {
  /** Ascending by address; at least one. */
  readonly parts: readonly DmaPart[]
}

export interface InterruptReport {
  /** What the function did. */
  readonly signal: 'sent' | 'pending' | 'disabled' | 'noSuchVector' | 'noCapability'
  /** The message's journey, if it was sent. */
  readonly request: DmaPart & {
    readonly interrupt: {
      readonly remapped: boolean
      /** Entered into a posted interrupt descriptor, and whether a notification was sent. */
      readonly posted: boolean
      readonly notified: boolean
      /** -1 if none was used. */
      readonly irteIndex: number
      readonly destination: number
      readonly vector: number
      /** The logical processor that accepted it, -1 if none did. */
      readonly processor: number
    }
  }
  /** The virtual machine that it reached, if it was one's. */
  readonly route?: {
    readonly vm: string
    readonly vcpu: number
    readonly guestVector: number
    /** Whether the guest's handler has not run yet: its interrupts are off, or a more urgent one is in service. */
    readonly pending: boolean
  }
}

/** One interrupt, followed to the handler of the guest. */
export interface InterruptJourney extends Pick<InterruptReport, 'signal'> {
  /** Where it was to go when it was sent, if a guest takes it. */
  readonly route?: { readonly vm: string; readonly vcpu: number; readonly guestVector: number } | undefined
  /** Everything that happened from the message on. */
  readonly events: readonly TraceEvent[]
}

/** A part as it stands in the engine's record now. */
export const dmaPart = (request: MemoryRequest): DmaPart => ({
  segment: request.segment,
  requesterId: request.requesterId,
  page: request.page,
  offset: request.offset,
  length: request.length,
  status: request.status,
  target: request.target,
  physicalPage: request.physicalPage,
  faultReason: request.faultReason,
  unit: request.unit,
  addressType: request.addressType,
})
