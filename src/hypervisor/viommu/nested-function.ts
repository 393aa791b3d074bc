/**
 * A function whose guest's first-stage table the host's unit walks where it is, in guest memory, over a second stage that
 * holds the guest's memory at guest-physical addresses. The guest changes its table without a word to the host; what it
 * tells its unit to forget is passed on.
 */
import { assert, PAGE_SIZE, type PageNumber, type Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import type { AssignedFunction, GuestTable } from '../../host/index.ts'
import type { BehindUnit } from './behind-unit.ts'
import type { RunsOfMemory } from './shadow-space.ts'
import type { UnitEntry, UnitModel } from './unit-model.ts'

type SavedNested = { readonly entry: UnitEntry }

const BLOCKED: UnitEntry = { kind: 'blocked' }

export class NestedFunction implements BehindUnit {
  readonly assigned: AssignedFunction
  readonly sourceId: number
  readonly #model: UnitModel
  readonly #memory: RunsOfMemory
  /** What the host's tables stand for. */
  #entry: UnitEntry

  constructor(
    assigned: AssignedFunction,
    sourceId: number,
    model: UnitModel,
    memory: RunsOfMemory,
    saved?: Saved,
  ) {
    this.assigned = assigned
    this.sourceId = sourceId
    this.#model = model
    this.#memory = memory
    this.#entry = (saved as SavedNested | undefined)?.entry ?? BLOCKED
  }

  /** Between two entries the function reaches what one of them allows, or nothing. */
  *followEntries(): Software {
    const entry = this.#model.entryOf(this.sourceId)
    const before = this.#entry
    if (same(before, entry)) {
      if (entry.kind === 'firstStage') yield* this.followPages(0, EVERY_PAGE)
      return
    }
    if (before.kind !== 'blocked' && (entry.kind === 'blocked' || entry.kind === 'firstStage')) {
      yield* this.#takeMemory()
      this.#entry = BLOCKED
    }
    if (entry.kind === 'firstStage') yield* this.assigned.nest(tableOf(entry))
    else if (before.kind === 'firstStage') yield* this.assigned.nest(undefined)
    if (this.#entry.kind === 'blocked' && entry.kind !== 'blocked') yield* this.#giveMemory()
    this.#entry = entry
  }

  *followPages(page: PageNumber, count: number): Software {
    if (this.#entry.kind !== 'firstStage') return
    // Canonical addresses of the upper half are no whole numbers in bytes: with them goes everything.
    if (page + count > EVERY_PAGE) yield* this.assigned.forgetNested(0, EVERY_PAGE)
    else yield* this.assigned.forgetNested(page * PAGE_SIZE, count)
  }

  *leave(): Software {
    if (this.#entry.kind !== 'blocked') yield* this.#takeMemory()
    if (this.#entry.kind === 'firstStage') yield* this.assigned.nest(undefined)
    this.#entry = BLOCKED
  }

  *#giveMemory(): Software {
    for (const { guestPage, hostPage, pages } of this.#memory.runs)
      yield* this.assigned.map(guestPage * PAGE_SIZE, hostPage, pages, { read: true, write: true })
  }

  *#takeMemory(): Software {
    for (const { guestPage, pages } of this.#memory.runs)
      yield* this.assigned.unmap(guestPage * PAGE_SIZE, pages)
  }

  /** The host's unit judges by the guest's own table: it never denies what that allows, unless it still knows an older one. */
  allows(_page: PageNumber, _write: boolean): boolean {
    return false
  }

  staleReason(_write: boolean, reason: number): number {
    return reason
  }

  forget(): void {
    this.#entry = BLOCKED
  }

  /** Of the second stage: guest memory by its runs. */
  get mappings(): number {
    return this.#entry.kind === 'blocked' ? 0 : this.#memory.runs.length
  }

  get mappedPages(): number {
    if (this.#entry.kind === 'blocked') return 0
    return this.#memory.runs.reduce((sum, { pages }) => sum + pages, 0)
  }

  save(): SavedNested {
    return { entry: { ...this.#entry } }
  }
}

/** Pages below 2^57 bytes: no first-stage table has more. Byte addresses of them are whole numbers up to 2^53. */
const EVERY_PAGE = 2 ** 41

function tableOf(entry: UnitEntry): GuestTable {
  assert(entry.kind === 'firstStage', 'a table is taken from an entry that has one')
  const { kind: _, ...table } = entry
  return table
}

const same = (a: UnitEntry, b: UnitEntry): boolean =>
  a.kind === b.kind &&
  (a.kind !== 'firstStage' ||
    (b.kind === 'firstStage' &&
      a.page === b.page &&
      a.levels === b.levels &&
      a.supervisorRequests === b.supervisorRequests &&
      a.writeProtection === b.writeProtection &&
      a.extendedAccessed === b.extendedAccessed &&
      a.snoopedWalks === b.snoopedWalks))
