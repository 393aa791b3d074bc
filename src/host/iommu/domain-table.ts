/** Every translation domain of the kernel, by number. */
import { assert } from '../../core/index.ts'
import { NumberPool } from '../number-pool.ts'
import type { TableMemory } from '../table-memory.ts'
import { type SavedDomain, type TableShape, TranslationDomain } from './domain.ts'
import { FIRST_STAGE, SECOND_STAGE } from './entry-format.ts'
import type { DomainUse } from './modes.ts'
import type { RemappingUnitDriver } from './remapping-unit-driver.ts'

export class DomainTable {
  readonly #memory: TableMemory
  readonly #domains = new Map<number, TranslationDomain>()
  readonly #numbers = new NumberPool(1)

  constructor(memory: TableMemory) {
    this.#memory = memory
  }

  /**
   * A new empty domain that all of these units can walk, with its ids in them taken: moving requesters into it cannot
   * fail half-way. Throws `outOfMemory`, `outOfResources`, with nothing changed.
   */
  create(units: readonly RemappingUnitDriver[], use: DomainUse): TranslationDomain {
    const format = units.every(unit => unit.prefersFirstStage(use)) ? FIRST_STAGE : SECOND_STAGE
    const shapes = units.map(unit => unit.shape(format))
    const domain = this.#add({
      format,
      levels: Math.min(...shapes.map(({ levels }) => levels)),
      largestLeaf: Math.min(...shapes.map(({ largestLeaf }) => largestLeaf)),
    })
    try {
      this.enter(domain, units)
    } catch (error) {
      this.destroy(domain)
      throw error
    }
    return domain
  }

  /** Takes a domain's ids in units that are to walk its tables. Throws `outOfResources`, with nothing changed. */
  enter(domain: TranslationDomain, units: readonly RemappingUnitDriver[]): void {
    const entered: RemappingUnitDriver[] = []
    try {
      for (const unit of units) {
        if (domain.idIn(unit) !== undefined) continue
        domain.join(unit, 0)
        entered.push(unit)
      }
    } catch (error) {
      for (const unit of entered) domain.leave(unit, 0)
      throw error
    }
  }

  /** A new domain whose requesters reach memory by physical addresses. */
  createPassThrough(): TranslationDomain {
    return this.#add()
  }

  destroy(domain: TranslationDomain): void {
    this.#domains.delete(domain.number)
    this.#numbers.release(domain.number)
    domain.destroy()
  }

  /** Ascending by number. */
  all(): readonly TranslationDomain[] {
    return [...this.#domains.values()].sort((a, b) => a.number - b.number)
  }

  at(number: number): TranslationDomain {
    const domain = this.#domains.get(number)
    assert(domain !== undefined, `there is a domain ${number}`)
    return domain
  }

  save(): readonly SavedDomain[] {
    return this.all().map(domain => domain.save())
  }

  load(saved: readonly SavedDomain[], units: readonly RemappingUnitDriver[]): void {
    this.#numbers.load(saved.map(({ number }) => number))
    for (const state of saved)
      this.#domains.set(state.number, TranslationDomain.restore(state, this.#memory, units))
  }

  #add(shape?: TableShape): TranslationDomain {
    const number = this.#numbers.take()!
    try {
      const domain = new TranslationDomain(number, this.#memory, shape)
      this.#domains.set(number, domain)
      return domain
    } catch (error) {
      this.#numbers.release(number)
      throw error
    }
  }
}
