/** What a virtual processor is made of. */
import type { Engine } from '../engine/index.ts'
import type { VcpuBoard } from './exit-handling.ts'
import type { HostProcessor } from './host-processor.ts'
import type { VirtualApic } from './virtual-apic.ts'
import type { VirtualizedInterrupts } from './virtualized-interrupts.ts'
import type { Vmcs } from './vmcs.ts'

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
