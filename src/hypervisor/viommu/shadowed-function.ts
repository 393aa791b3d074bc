/** A function whose guest's tables the host copies: caching mode makes the guest say whatever it changes. */
import type { PageNumber, Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import type { AssignedFunction } from '../../host/index.ts'
import { FAULT } from '../../vtd/formats/fault-reasons.ts'
import type { BehindUnit } from './behind-unit.ts'
import { type RunsOfMemory, type SavedShadow, ShadowSpace } from './shadow-space.ts'
import type { UnitModel } from './unit-model.ts'

export class ShadowedFunction implements BehindUnit {
  readonly assigned: AssignedFunction
  readonly sourceId: number
  readonly #model: UnitModel
  readonly #space: ShadowSpace

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
    this.#space = new ShadowSpace(assigned, memory, saved as SavedShadow | undefined)
  }

  *followEntries(): Software {
    yield* this.followPages(0, Number.POSITIVE_INFINITY)
  }

  *followPages(page: PageNumber, count: number): Software {
    const look = this.#model.look()
    yield* this.#space.follow(page, count, at => look(this.sourceId, at))
  }

  *leave(): Software {
    yield* this.#space.clear()
  }

  allows(page: PageNumber, write: boolean): boolean {
    return this.#space.allows(page, write)
  }

  /** In caching mode, an entry that is not present may be cached, and then it has no permission. */
  staleReason(write: boolean, _reason: number): number {
    return write ? FAULT.writePermission : FAULT.readPermission
  }

  forget(): void {
    this.#space.forget()
  }

  get mappings(): number {
    return this.#space.size.mappings
  }

  get mappedPages(): number {
    return this.#space.size.pages
  }

  save(): SavedShadow {
    return this.#space.save()
  }
}
