/** What a virtual processor is made of. */
import type { Saved } from '../core/index.ts'
import type { Engine } from '../engine/index.ts'
import type { SavedInjection } from './event-injection.ts'
import type { VcpuBoard } from './exit-handling.ts'
import type { HostProcessor } from './host-processor.ts'
import type { SavedNested } from './nested/nested-exits.ts'
import type { SavedVirtualApic, VirtualApic } from './virtual-apic.ts'
import type { SavedVirtualized, VirtualizedInterrupts } from './virtualized-interrupts.ts'
import type { SavedVmcs, Vmcs } from './vmcs.ts'

export interface VcpuOptions {
  readonly name: string
  readonly number: number
  readonly apic: VirtualApic
  readonly processor: HostProcessor
  readonly vmcs: Vmcs
  readonly board: VcpuBoard
  readonly engine: Engine
  /** Where the processor itself delivers interrupts. */
  readonly virtualized: VirtualizedInterrupts | undefined
}

/** The state of one. Its parts are made from theirs. */
export type SavedVcpu = {
  readonly version: 3
  readonly number: number
  readonly processor: number
  readonly vmcs: SavedVmcs
  readonly inGuest: boolean
  readonly running: boolean
  readonly rflags: number
  readonly interruptibility: number
  readonly events: SavedInjection
  readonly counters: Saved
  readonly virtualized: SavedVirtualized | null
  readonly apic: SavedVirtualApic
  readonly software: Saved
  readonly nested: SavedNested | null
}
