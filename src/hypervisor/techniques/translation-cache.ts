/**
 * The translation cache: translated units by the address of each of their operations, the chains between them, and the
 * pages their source came from.
 */
import type { PageNumber } from '../../core/index.ts'
import type { Operation } from '../../vmx/formats/operations.ts'
import type { Ledger } from './ledger.ts'

/** Operations of a translation unit at most. */
const UNIT_OPERATIONS = 12
/** Operations of the source lie this far apart. */
const OPERATION_BYTES = 4

/** What ends a unit: the next operation is elsewhere. */
const CONTROL_FLOW: readonly Operation['op'][] = ['int', 'iretFrame', 'sysexit', 'retFar', 'callFar', 'hlt']
/** Transfers whose target only the moment knows: it is looked up each time. */
const INDIRECT: readonly Operation['op'][] = ['iretFrame', 'sysexit', 'retFar']

interface Unit {
  operations: number
  /** No further operation belongs to it. */
  closed: boolean
  last: number
  readonly successors: Set<Unit>
}

export class TranslationCache {
  readonly #ledger: Ledger
  readonly #units = new Map<number, Unit>()
  readonly #byPage = new Map<PageNumber, Set<number>>()
  #current: Unit | undefined
  #lastOp: Operation['op'] | undefined

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  /**
   * Control reaches the operation at an address. True: it was translated now, and its source page must be watched.
   */
  reach(operation: Operation, at: number): boolean {
    const known = this.#units.get(at)
    if (known !== undefined) this.#transfer(known)
    const unit = known ?? this.#translate(at)
    this.#current = unit
    this.#lastOp = operation.op
    if (known === undefined) {
      unit.operations++
      unit.last = at
      unit.closed = unit.operations === UNIT_OPERATIONS || CONTROL_FLOW.includes(operation.op)
      this.#ledger.count('translatedOperation', operation.op)
    }
    return known === undefined
  }

  #translate(at: number): Unit {
    const open = this.#current
    if (open !== undefined && !open.closed && open.last + OPERATION_BYTES === at) {
      this.#units.set(at, open)
      return open
    }
    this.#ledger.count('cacheLookup', 'miss')
    this.#ledger.translatedBlocks++
    const unit: Unit = { operations: 0, closed: false, last: at, successors: new Set() }
    if (open !== undefined) {
      open.closed = true
      open.successors.add(unit)
    }
    this.#units.set(at, unit)
    return unit
  }

  /** From the present unit to another: by its chain, or by a look-up that makes the chain. */
  #transfer(to: Unit): void {
    const from = this.#current
    if (from === to) return
    if (from === undefined || (this.#lastOp !== undefined && INDIRECT.includes(this.#lastOp))) {
      this.#ledger.count('cacheLookup', 'indirect')
    } else if (!from.successors.has(to)) {
      from.successors.add(to)
      this.#ledger.count('cacheLookup', 'chained')
    }
  }

  /** The guest runs its user code directly: what comes next in the kernel is looked up. */
  leave(): void {
    if (this.#current !== undefined) this.#current.closed = true
    this.#current = undefined
    this.#lastOp = undefined
  }

  /** The source of an address lies on this page. */
  watch(page: PageNumber, at: number): void {
    const addresses = this.#byPage.get(page) ?? new Set()
    this.#byPage.set(page, addresses)
    addresses.add(at)
  }

  /** The guest wrote to a page with source: its translations are dropped. True: there were some. */
  invalidate(page: PageNumber): boolean {
    const addresses = this.#byPage.get(page)
    if (addresses === undefined) return false
    for (const at of addresses) this.#units.delete(at)
    this.#byPage.delete(page)
    this.leave()
    return true
  }
}
