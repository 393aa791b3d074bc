/** An assigned function behind the remapping unit of its guest: how the host's tables follow the guest's. */

import type { PageNumber, Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import type { AssignedFunction } from '../../host/index.ts'

export interface BehindUnit {
  readonly assigned: AssignedFunction
  /** Source id of its requests in the guest. */
  readonly sourceId: number
  /** Root, context or PASID-table entries, or whether there are any, may have changed. */
  followEntries(): Software
  /** Paging entries of a range may have changed. */
  followPages(page: PageNumber, count: number): Software
  /** Nothing is mapped for it any more. */
  leave(): Software
  /** Whether the host's tables let it access a page without PASID. */
  allows(page: PageNumber, write: boolean): boolean
  /** The reason in the guest for what the host blocked for one, where the guest's tables would allow it by now. */
  staleReason(write: boolean, reason: number): number
  /** The function's release takes back what the host's tables hold. */
  forget(): void
  readonly mappings: number
  readonly mappedPages: number
  save(): Saved
}
