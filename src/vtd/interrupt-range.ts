/** "Interrupt Address Range": pages that are never a target of DMA, however their address came about. */
import type { PageNumber } from '../core/index.ts'
import { INTERRUPT_FIRST_PAGE, INTERRUPT_LAST_PAGE } from '../interrupts/formats/message.ts'
import { PAGES_IN_ENTRY } from './paging-geometry.ts'
import type { Quirks } from './quirks.ts'

export class InterruptRange {
  readonly #wholePage: boolean

  constructor(quirks: Quirks) {
    this.#wholePage = quirks.interruptRangeCheckedForWholePage
  }

  /** Whether an access to a host page is blocked; `level` is that of the leaf that led there. */
  holds(frame: PageNumber, level: number): boolean {
    if (frame >= INTERRUPT_FIRST_PAGE && frame <= INTERRUPT_LAST_PAGE) return true
    if (!this.#wholePage || level === 1) return false
    const pages = PAGES_IN_ENTRY[level]!
    const first = frame - (frame % pages)
    return first <= INTERRUPT_LAST_PAGE && first + pages > INTERRUPT_FIRST_PAGE
  }
}
