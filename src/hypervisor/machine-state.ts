/** What a virtual machine is made in, and the whole state of one, and of the hypervisor, as plain data. */
import type { Saved } from '../core/index.ts'
import type { Engine } from '../engine/index.ts'
import type { HostKernel } from '../host/index.ts'
import type { MachinePort } from '../platform/machine-port.ts'
import type { SavedApicPages } from './apic-pages.ts'
import type { SavedWindows } from './device-windows.ts'
import type { SavedEmulatedFunction } from './emulated-function.ts'
import type { HostPages } from './host-pages.ts'
import type { HostProcessor } from './host-processor.ts'
import type { MemoryManager } from './memory/memory-manager.ts'
import type { SavedMachineMemory } from './memory/saved-memory.ts'
import type { GuestProgram, InterruptDelivery } from './types.ts'
import type { SavedVcpu } from './vcpu-options.ts'
import type { UnitModelMaker } from './viommu/unit-model.ts'
import type { SavedVirtualFunction } from './virtual-function.ts'

export interface MachineContext {
  readonly machine: MachinePort
  readonly host: HostKernel
  readonly engine: Engine
  readonly pages: HostPages
  readonly processors: readonly HostProcessor[]
  /** Shares the host's memory out among machines whose memory is paged. */
  readonly memory: MemoryManager
  /** Makes the register models of guests' remapping units; without it there are none. */
  readonly makeUnit: UnitModelMaker | undefined
}

export type SavedMachine = {
  readonly version: 6
  readonly name: string
  readonly memoryMiB: number
  readonly interrupts: InterruptDelivery
  readonly nested: boolean
  readonly vmcsShadowing: boolean
  readonly program: GuestProgram
  readonly memory: SavedMachineMemory
  readonly apicPages: SavedApicPages | null
  readonly xapicMapped: boolean
  readonly bus: Saved
  readonly claims: SavedWindows
  /** Its remapping unit, if it has one. */
  readonly viommu: Saved
  readonly paused: boolean
  readonly clockAhead: number
  readonly devices: readonly SavedVirtualFunction[]
  readonly emulated: readonly SavedEmulatedFunction[]
  readonly vcpus: readonly SavedVcpu[]
}

export type SavedHypervisor = {
  readonly version: 2
  readonly nextProcessor: number
  readonly memory: Saved
  readonly cpu: Saved
  readonly processors: readonly Saved[]
  readonly machines: readonly Saved[]
}
