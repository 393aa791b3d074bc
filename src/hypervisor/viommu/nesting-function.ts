/**
 * A function of a guest whose first-stage tables are nested: whatever else its entries name, second-stage tables of legacy
 * mode among it, is shadowed.
 */
import type { PageNumber, Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import type { AssignedFunction } from '../../host/index.ts'
import type { BehindUnit } from './behind-unit.ts'
import { NestedFunction } from './nested-function.ts'
import type { RunsOfMemory } from './shadow-space.ts'
import { ShadowedFunction } from './shadowed-function.ts'
import type { UnitModel } from './unit-model.ts'

type SavedNesting = { readonly nests: boolean; readonly space: Saved }

export class NestingFunction implements BehindUnit {
  readonly assigned: AssignedFunction
  readonly sourceId: number
  readonly #model: UnitModel
  readonly #nested: NestedFunction
  readonly #shadowed: ShadowedFunction
  #nests = true

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
    const state = saved as SavedNesting | undefined
    this.#nests = state?.nests ?? true
    const of = (nests: boolean): Saved | undefined => (state?.nests === nests ? state.space : undefined)
    this.#nested = new NestedFunction(assigned, sourceId, model, memory, of(true))
    this.#shadowed = new ShadowedFunction(assigned, sourceId, model, memory, of(false))
  }

  get #used(): NestedFunction | ShadowedFunction {
    return this.#nests ? this.#nested : this.#shadowed
  }

  *followEntries(): Software {
    const nests = this.#model.entryOf(this.sourceId).kind !== 'blocked'
    if (nests !== this.#nests) {
      yield* this.#used.leave()
      this.#nests = nests
    }
    yield* this.#used.followEntries()
  }

  *followPages(page: PageNumber, count: number): Software {
    yield* this.#used.followPages(page, count)
  }

  *leave(): Software {
    yield* this.#used.leave()
  }

  allows(page: PageNumber, write: boolean): boolean {
    return this.#used.allows(page, write)
  }

  staleReason(write: boolean, reason: number): number {
    return this.#used.staleReason(write, reason)
  }

  forget(): void {
    this.#used.forget()
  }

  get mappings(): number {
    return this.#used.mappings
  }

  get mappedPages(): number {
    return this.#used.mappedPages
  }

  save(): SavedNesting {
    return { nests: this.#nests, space: this.#used.save() }
  }
}
