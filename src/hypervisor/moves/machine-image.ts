/**
 * A virtual machine as a document: nothing in it names a page, a processor or a function of the host that it ran on, so
 * that it can go on here, beside itself, or on another host. Its memory is an image of its own.
 */
import { NorthbridgeError, type Saved } from '../../core/index.ts'
import type { SavedWindows } from '../device-windows.ts'
import type { SavedEmulatedFunction } from '../emulated-function.ts'
import type { MemorySettings } from '../memory/memory-settings.ts'
import type { GuestProgram, HugePages, InterruptDelivery, MemoryBackingKind } from '../types.ts'
import type { FunctionImage } from './function-image.ts'
import type { VcpuImage } from './vcpu-image.ts'

export type MachineImage = {
  readonly version: 1
  readonly name: string
  readonly memoryMiB: number
  readonly interrupts: InterruptDelivery
  readonly nested: boolean
  readonly vmcsShadowing: boolean
  readonly program: GuestProgram
  readonly backing: MemoryBackingKind
  readonly hugePages: HugePages
  /** Of paged memory. */
  readonly memorySettings: { readonly [Name in keyof MemorySettings]: number } | null
  /** What the guest's clock shows, nanoseconds. */
  readonly clock: number
  readonly bus: Saved
  readonly claims: SavedWindows
  readonly emulated: readonly SavedEmulatedFunction[]
  /** Assigned functions whose state can be taken out of them. */
  readonly functions: readonly FunctionImage[]
  readonly vcpus: readonly VcpuImage[]
}

/** What keeps a virtual machine where it is, in the words of an error's details. */
export interface Obstacle {
  /** What it is: an address, a slot, a virtual processor. */
  readonly what: string
  readonly reason: string
}

export function notMigratable(vm: string, obstacles: readonly Obstacle[]): NorthbridgeError {
  const reasons = obstacles.map(({ what, reason }) => `${what}: ${reason}`).join('; ')
  return new NorthbridgeError('notMigratable', `${vm} cannot be taken out of its host: ${reasons}`, {
    obstacles,
  })
}
