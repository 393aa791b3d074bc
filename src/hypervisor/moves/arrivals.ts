/** Memory of a machine that runs here already while pages of it are still on their way ("post-copy"). */
import type { PageNumber } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'

export interface Arrivals {
  readonly missing: ReadonlySet<PageNumber>
  /** The guest needs a page: it waits until the page is here. */
  fetch(page: PageNumber): Software
  /** The hypervisor itself needs what of a range is missing, and cannot wait. */
  hurry(address: number, length: number): void
}
