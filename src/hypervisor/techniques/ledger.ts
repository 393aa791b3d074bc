/** What running a guest took: counts by kind and by cause. Cost tables give each kind a price. */

/** Kinds of events, which are the names of rows in cost tables. */
export const EVENTS = [
  /** An operation of the guest that ran on the processor as it is. */
  'nativeOperation',
  /** A fault of deprivileged code, taken by the hypervisor through its IDT, and the return. */
  'trap',
  /** VM exit and the entry after it. */
  'exit',
  /** A hypercall of a paravirtual guest, and its return. */
  'hypercall',
  /** One more request that travels in a multicall. */
  'batchedRequest',
  /** Software decodes and emulates an operation. */
  'emulatedOperation',
  /** An event that software delivers: gate, stack, frame. */
  'deliveredEvent',
  /** An event that the processor delivers at a VM entry. */
  'injectedEvent',
  /** A miss of the shadow tables, filled. */
  'hiddenFault',
  /** A write of the guest to its own tables, caught and emulated. */
  'tracedWrite',
  'shadowTableAllocated',
  /** The guest changed address space: its shadow was found, or made. */
  'shadowSwitch',
  'translatedOperation',
  /** The translation cache was searched. */
  'cacheLookup',
  /** An operation inside translated code that works on virtual state. */
  'inlineOperation',
  /** Translated code calls the hypervisor. */
  'callout',
  /** A page-table entry that the hypervisor validates for a paravirtual guest. */
  'validatedEntry',
  /** A load of a paging-structure entry by the page-miss handler. */
  'pageWalkReference',
] as const
export type LedgerEvent = (typeof EVENTS)[number]

export class Ledger {
  /** Blocks that the translator made. */
  translatedBlocks = 0
  readonly #counts = new Map<LedgerEvent, Map<string, number>>()

  count(event: LedgerEvent, cause = 'all', times = 1): void {
    const causes = this.#counts.get(event) ?? new Map<string, number>()
    this.#counts.set(event, causes)
    causes.set(cause, (causes.get(cause) ?? 0) + times)
  }

  total(event: LedgerEvent): number {
    let sum = 0
    for (const times of this.#counts.get(event)?.values() ?? []) sum += times
    return sum
  }

  /** Counts of one kind by cause, most frequent first. */
  causes(event: LedgerEvent): Record<string, number> {
    const causes = [...(this.#counts.get(event) ?? [])]
    causes.sort(([nameA, a], [nameB, b]) => b - a || (nameA < nameB ? -1 : 1))
    return Object.fromEntries(causes)
  }

  /** Totals of the kinds that occurred, in the order of {@link EVENTS}. */
  totals(): Partial<Record<LedgerEvent, number>> {
    const occurred = EVENTS.filter(event => this.total(event) > 0)
    return Object.fromEntries(occurred.map(event => [event, this.total(event)]))
  }
}
