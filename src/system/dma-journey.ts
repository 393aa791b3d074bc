/** A DMA from its first request to its end: what has to wait for pages or completions is waited for. */
import type { DmaEngine, DmaResult } from '../devices/index.ts'
import { type Software, until } from '../engine/index.ts'
import type { PcieFunction } from '../pcie/index.ts'
import type { DmaReport } from './reports.ts'

/** A function whose page request is answered but whose page is missing still gives up some time. */
const MOST_PAGE_REQUEST_TRIES = 16

/**
 * @param parts what the function has sent first
 * @param settle lets software take its interrupts
 */
export function* followDma(
  fn: PcieFunction,
  dmaEngine: DmaEngine,
  parts: DmaResult,
  settle: () => Software,
): Software<DmaReport> {
  let reports = copies(parts)
  yield* settle()
  // A function that waits for a completion which does not come gives up after a while, and reports that.
  if (fn.hasFaults && fn.faults.willTimeOut) {
    yield* until(() => !fn.faults.willTimeOut)
    yield* settle()
  }
  for (let tries = 0; dmaEngine.waiting && tries < MOST_PAGE_REQUEST_TRIES; tries++) {
    reports = copies(dmaEngine.retry())
    yield* settle()
  }
  return { parts: reports }
}

/** Requests are records that are used again. */
const copies = (parts: DmaResult): DmaReport['parts'] => parts.map(part => ({ ...part }))
