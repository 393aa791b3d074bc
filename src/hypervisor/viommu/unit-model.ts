/**
 * A remapping unit as the hypervisor emulates it: the registers, the invalidation queue, the walks and the fault records
 * are those of one register model, which is handed in, as the software that guests run is. The model stands on guest
 * memory and is wired to nothing: it serves the guest's register accesses, and says what the guest's tables say.
 */
import type { PageNumber, Saved } from '../../core/index.ts'
import type { GuestTable } from '../../host/index.ts'

/** CAP, ECAP and VER as the guest reads them; 64-bit registers as `[low, high]`. */
export type UnitIdentity = {
  readonly cap: readonly [low: number, high: number]
  readonly ecap: readonly [low: number, high: number]
  readonly version: number
}

/** Guest memory as a device of the virtual board sees it. */
export interface UnitMemory {
  /** Guest-physical ranges, bytes. */
  readonly ranges: readonly { readonly base: number; readonly size: number }[]
  /** The host page that holds a guest page; undefined where there is no memory. */
  hostPage(page: PageNumber, write: boolean): PageNumber | undefined
}

/** An interrupt as the model sends it to the local APICs, after any remapping. */
export interface UnitMessage {
  readonly destination: number
  readonly logical: boolean
  readonly redirectionHint: boolean
  readonly deliveryMode: number
  readonly vector: number
  readonly levelTriggered: boolean
  /** Whether the destination is a 32-bit x2APIC identifier. */
  readonly extended: boolean
}

/** A request of a device, as the unit in front of it would see it. */
export interface UnitRequest {
  readonly sourceId: number
  readonly page: PageNumber
  readonly write: boolean
  readonly atomic: boolean
  /** -1 without. */
  readonly pasid: number
  readonly privileged: boolean
  readonly execute: boolean
}

/** What the guest's tables decide about a page, and for how many pages from it on they do so alike. */
export interface UnitBlock {
  /** Guest page, or -1 if the page may not be accessed. */
  readonly frame: PageNumber
  readonly read: boolean
  readonly write: boolean
  /** Infinite where no paging entry decides. */
  readonly pages: number
}

/** By what requests of a function without PASID are translated. */
export type UnitEntry =
  /** Nothing: translation is off, or the entry lets addresses pass. */
  | { readonly kind: 'unchanged' }
  /** They are blocked, or the entry is of another kind. */
  | { readonly kind: 'blocked' }
  /** A first-stage table, in guest memory. */
  | ({ readonly kind: 'firstStage' } & GuestTable)

/** What the model tells of the guest's commands. */
export interface UnitListener {
  /** Root, context or PASID-table entries may have changed. */
  entries(): void
  pages(page: PageNumber, count: number): void
}

export interface UnitModel {
  /** Bytes of the register window. */
  readonly registerSize: number
  /** Whether requests are translated, and whether interrupts are remapped. */
  readonly translates: boolean
  readonly remapsInterrupts: boolean
  readDword(offset: number): number
  writeDword(offset: number, value: number, lanes: number): void
  /** A look at the tables of this moment; asking leaves no trace. */
  look(): (sourceId: number, page: PageNumber) => UnitBlock
  entryOf(sourceId: number): UnitEntry
  /** Guest pages of the tables by which requests without PASID are translated, but for those of a first stage. */
  tablesOf(sourceId: number): readonly PageNumber[]
  /**
   * Judges a request by the tables of this moment as the unit would: `frame` is the guest page that it reaches, or -1. A
   * fault is recorded unless the tables say that none is to be.
   */
  judge(request: UnitRequest): {
    readonly frame: number
    readonly reason: number
    readonly recorded: boolean
  }
  /** Records a fault that hardware has found, where the tables of this moment show none. */
  recordFault(reason: number, request: UnitRequest): void
  /** An interrupt request. Undefined if it is blocked, which is recorded. The result is reused by the next call. */
  remap(sourceId: number, address: number, data: number): UnitMessage | undefined
  /** Inspection. */
  registers(): readonly { readonly name: string; readonly value: string }[]
  faultRecords(): readonly UnitFaultRecord[]
  save(): Saved
  load(saved: Saved): void
}

/** A fault recording register that the guest has not cleared yet. */
export interface UnitFaultRecord {
  readonly reason: string
  readonly name: string
  readonly source: string
  readonly address: string
  readonly access: 'read' | 'write'
}

export interface UnitModelOptions {
  /** Names the unit in traces. */
  readonly id: string
  readonly identity: UnitIdentity
  /** Bits of a guest-physical address. */
  readonly hostAddressWidth: number
}

export interface UnitModelEnvironment {
  readonly memory: UnitMemory
  /** Takes the unit's own interrupts. */
  send(message: UnitMessage): void
  readonly listener: UnitListener
}

/** Makes a register model. Throws what a unit that cannot be throws. */
export type UnitModelMaker = (options: UnitModelOptions, environment: UnitModelEnvironment) => UnitModel
