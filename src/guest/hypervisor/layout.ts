/** Where a hypervisor in a guest keeps things, in its own memory; the lowest 2 MiB, which every virtual machine has. */
import type { PageNumber } from '../../core/index.ts'

/** Pages of guest-physical address space. */
export interface PageRange {
  readonly first: PageNumber
  readonly pages: number
}

/** A VMXON region and a VMCS for each virtual processor. */
export const REGIONS: PageRange = { first: 0x100, pages: 128 }
/** Tables of its EPT. */
export const TABLES: PageRange = { first: 0x180, pages: 64 }
/** What its own guest has for memory, from address 0 on. */
export const GUEST_MEMORY: PageRange = { first: 0x1c0, pages: 64 }
