/** What a virtual machine is made in, and its whole state as plain data. */
import type { PageNumber, Saved } from '../core/index.ts'
import type { Engine } from '../engine/index.ts'
import type { HostKernel } from '../host/index.ts'
import type { MachinePort } from '../platform/machine-port.ts'
import type { SavedApicPages } from './apic-pages.ts'
import type { SavedEmulatedFunction } from './emulated-function.ts'
import type { HostPages } from './host-pages.ts'
import type { GuestProgram, InterruptDelivery } from './types.ts'
import type { SavedVcpu } from './vcpu-options.ts'
import type { SavedVirtualFunction } from './virtual-function.ts'

export interface MachineContext {
  readonly machine: MachinePort
  readonly host: HostKernel
  readonly engine: Engine
  readonly pages: HostPages
}

export type SavedMachine = {
  readonly version: 4
  readonly name: string
  readonly memoryMiB: number
  readonly interrupts: InterruptDelivery
  readonly nested: boolean
  readonly vmcsShadowing: boolean
  readonly program: GuestProgram
  readonly memory: Saved
  readonly ept: { readonly root: PageNumber }
  readonly apicPages: SavedApicPages | null
  readonly xapicMapped: boolean
  readonly bus: Saved
  readonly claims: readonly (readonly [base: number, size: number])[]
  readonly devices: readonly SavedVirtualFunction[]
  readonly emulated: readonly SavedEmulatedFunction[]
  readonly vcpus: readonly SavedVcpu[]
}
