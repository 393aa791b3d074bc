/** Drivers of the guest kernel: what they are given, and what the kernel calls in them. */
import type { Saved } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import type { FreeMemory } from './free-memory.ts'
import type { GuestAccess } from './guest-access.ts'
import type { GuestDevice } from './pci-driver.ts'

/** What a driver has of its function and its machine. */
export interface DriverContext {
  readonly device: GuestDevice
  readonly access: GuestAccess
  /** A dword of configuration space; `offset` is rounded down to one. */
  readConfig(offset: number): Software<number>
  /** Zeroed guest memory for rings and buffers, aligned to a page. Throws `outOfMemory`. */
  allocate(bytes: number): Software<number>
  /** Memory that nobody in the guest uses. */
  readonly freeMemory: FreeMemory
}

export interface DriverOptions {
  /** Entries of each ring; default: the driver's own. */
  readonly ringEntries?: number
  /** Of a network function that was given none: its MAC address. */
  readonly mac?: Uint8Array
}

export interface GuestDriver {
  readonly name: string
  /** Message `index` of its function has arrived. Runs in the handler, before the EOI. */
  interrupt(index: number): Software
  /** Lets go of the function, which may be gone. */
  stop(): Software
  save(): Saved
}

/** A row of the kernel's table of drivers. */
export interface DriverEntry {
  readonly name: string
  /** Vendor and device ids. */
  readonly ids?: readonly (readonly [vendor: number, device: number])[]
  /** Of functions that no driver knows by their ids. */
  readonly classCode?: number
  /** The kernel starts it as soon as it finds the function, without being asked. */
  readonly automatic?: boolean
  /** Brings the function up. */
  start(context: DriverContext, options: DriverOptions): Software<GuestDriver>
  /** The driver as it was when it was saved, of a function that is in the state of that moment: it touches nothing. */
  restore(context: DriverContext, saved: Saved): GuestDriver
}
