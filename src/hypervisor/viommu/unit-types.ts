/** What a guest's remapping unit is made of, needs of its machine, and shows. */
import type { NorthbridgeError, PageNumber, Saved } from '../../core/index.ts'
import type { Trace } from '../../engine/index.ts'
import type { VirtualUnitMode } from '../formats/virtual-unit.ts'
import type { RunsOfMemory } from './shadow-space.ts'
import type { ProtectingBoard } from './table-watch.ts'
import type { UnitFaultRecord, UnitIdentity, UnitMemory, UnitMessage } from './unit-model.ts'

export interface VirtualUnitOptions {
  readonly mode: VirtualUnitMode
  /** What CAP, ECAP and VER read, where it is not the usual. */
  readonly identity?: UnitIdentity
  /** Bits of a guest-physical address; default 46. */
  readonly hostAddressWidth?: number
  /** Guest-physical memory that functions behind the unit, and the unit itself, reach; default: all of it. */
  readonly reach?: UnitMemory['ranges']
}

/** The machine around it. */
export interface UnitBoard extends ProtectingBoard {
  readonly name: string
  readonly memory: RunsOfMemory & UnitMemory
  readonly trace: Trace
  /** A message in compatibility format for the local APICs of the virtual processors. */
  deliver(address: number, data: number): boolean
  /** Says what went wrong where the guest cannot be told. */
  report(problem: string, error: NorthbridgeError): void
}

/** What the unit has cost and caused since its machine was made. */
export type UnitCounters = {
  /** Register accesses of the guest: each is a VM exit. */
  readonly registerReads: number
  readonly registerWrites: number
  /** How often the host's tables followed the guest's. */
  readonly followed: number
  /** Faults of assigned functions that were recorded in the guest's unit, and those that it does not learn of. */
  readonly faults: number
  readonly withheldFaults: number
  /** Interrupt requests that the guest's unit blocked. */
  readonly blockedInterrupts: number
}

/** Who looks at what the unit does, where it happens. */
export interface UnitObserver {
  /** A request of a function was blocked, and this is the guest's reason; 0: for none that is recorded. */
  blocked(page: PageNumber, reason: number): void
  /** A message of the unit itself. */
  event(message: UnitMessage): void
  /** A message of a function, as it leaves the unit. */
  remapped(message: UnitMessage): void
}

export interface VirtualUnitView {
  readonly mode: VirtualUnitMode
  readonly base: number
  readonly translates: boolean
  readonly remapsInterrupts: boolean
  readonly functions: readonly {
    readonly address: string
    readonly sourceId: number
    /** In the host's tables, for this function. */
    readonly mappings: number
    readonly pages: number
  }[]
  readonly registers: readonly { readonly name: string; readonly value: string }[]
  readonly faultRecords: readonly UnitFaultRecord[]
  readonly counters: UnitCounters
}

export type SavedVirtualUnit = {
  readonly version: 1
  readonly mode: VirtualUnitMode
  readonly identity: UnitIdentity
  readonly hostAddressWidth: number
  readonly reach: readonly { readonly base: number; readonly size: number }[]
  readonly model: Saved
  readonly functions: readonly {
    readonly address: string
    readonly sourceId: number
    readonly space: Saved
  }[]
  readonly watched: readonly PageNumber[]
  readonly counters: UnitCounters
}
