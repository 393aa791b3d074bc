/**
 * What an isolation report is judged from: for every function, what the machine as it stands would let it do. Pages are
 * 4-KiB page numbers, addresses `dddd:bb:dd.f`.
 */
import type { PageNumber } from '../../core/index.ts'

/** To whom something in the physical address space belongs. */
export type PhysicalOwner =
  | { readonly kind: 'vm'; readonly name: string }
  /** Memory that host software uses: its own, its drivers' buffers, tables. */
  | { readonly kind: 'host' }
  /** Registers of a function, behind a BAR. */
  | { readonly kind: 'function'; readonly name: string }
  /** Memory that nobody uses now. */
  | { readonly kind: 'nobody' }

/** What let something pass: an entry of a table in memory, or the state of a whole unit. */
export interface DecidingEntry {
  /** Id of the remapping unit; absent if none is on the way. */
  readonly unit?: string
  readonly table:
    | 'none'
    | 'disabled'
    | 'context'
    | 'pasid'
    | 'firstStage'
    | 'secondStage'
    | 'aperture'
    | 'interrupt'
  /** Physical address of the entry, and its words as one number; `0x…` */
  readonly address?: string
  readonly raw?: string
  /** Of a paging entry; 1 is the lowest. */
  readonly level?: number
}

/** Pages that a function reaches through the root complex, contiguous for both sides. */
export interface ReachedRange {
  /** First page as the function addresses it. */
  readonly input: PageNumber
  readonly pages: number
  readonly frame: PageNumber
  readonly read: boolean
  readonly write: boolean
  /** Requests must carry this PASID; absent: none. */
  readonly pasid?: number
  readonly owner: PhysicalOwner
  /** Nested translation: the guest's own tables may permit less. */
  readonly atMost?: true
  /** The entry that maps the first page. */
  readonly entry: DecidingEntry
  /**
   * What the host would write in place of the entry, where the function reaches what is not its machine's: the leaf of
   * its own mapping, or nothing. Absent if the entry is none of the host's.
   */
  readonly wanted?: 'leaf' | 'nothing'
}

/** An interrupt that a function can raise. */
export interface ReachedVector {
  readonly index: number
  /** Whom it interrupts: equal for entries that do the same. */
  readonly target: string
  readonly posted: boolean
  readonly entry: DecidingEntry
}

/** A function whose registers another one reaches without passing the root complex. */
export interface ReachedPeer {
  readonly function: string
  readonly read: boolean
  readonly write: boolean
  /** Where requests turn to it. */
  readonly at: string
  /** Whether that function has P2P Request Redirect to be set. */
  readonly offersRedirect: boolean
}

export interface FunctionFacts {
  readonly function: string
  /** Who has it: a virtual machine, a driver of the host, nobody. */
  readonly owner: { readonly kind: 'vm' | 'driver'; readonly name: string } | { readonly kind: 'none' }
  readonly group: number | null
  /** As the root complex sees its requests. */
  readonly requesterId: string
  readonly unit: string | null
  /** Nothing of it reaches the root complex: where requests end, and why. */
  readonly closed?: { readonly at: string; readonly because: string }
  readonly memory: readonly ReachedRange[]
  /** False if the tables have more entries than were looked at. */
  readonly complete: boolean
  readonly vectors: readonly ReachedVector[]
  /** It can raise any vector of any processor, since nothing remaps its interrupts. */
  readonly anyVector: boolean
  /** Targets of the messages that software programmed into it. */
  readonly armed: readonly string[]
  readonly peers: readonly ReachedPeer[]
  /** The unit believes it when it says that an address is translated already. */
  readonly trusted: boolean
}

/** A change that splits an IOMMU group, as the kernel's grouping offers it. */
export interface GroupChange {
  readonly cost: number
  readonly text: string
  readonly parts: readonly (readonly string[])[]
}

export interface IsolationFacts {
  readonly vms: readonly string[]
  readonly functions: readonly FunctionFacts[]
  /** Repairs of groups that functions of virtual machines are in, cheapest first. */
  readonly groupChanges: ReadonlyMap<number, readonly GroupChange[]>
}
