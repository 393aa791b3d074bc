/** "Interrupt Address Range": pages that are never a target of DMA, however their address came about. */
import type { PageNumber } from '../core/index.ts'
import { INTERRUPT_FIRST_PAGE, INTERRUPT_LAST_PAGE } from '../interrupts/formats/message.ts'
import { PAGES_IN_ENTRY } from './paging-geometry.ts'
import type { Quirks } from './quirks.ts'

// Imported bindings are looked up at each use; a module's own constants are not.
const FIRST = INTERRUPT_FIRST_PAGE
const LAST = INTERRUPT_LAST_PAGE

export class InterruptRange {
  readonly #wholePage: boolean

  constructor(quirks: Quirks) {
    this.#wholePage = quirks.interruptRangeCheckedForWholePage
  }

  /** Whether an access to a host page is blocked; `level` is that of the leaf that led there. */
  holds(frame: PageNumber, level: number): boolean {
    if (frame >= FIRST && frame <= LAST) return true
    if (!this.#wholePage || level === 1) return false
    const pages = PAGES_IN_ENTRY[level]!
    const first = frame - (frame % pages)
    return first <= LAST && first + pages > FIRST
  }
}
