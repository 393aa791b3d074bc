/** Every translation domain of the kernel, by number. */
import type { TableMemory } from '../table-memory.ts'
import { TranslationDomain } from './domain.ts'
import type { RemappingUnitDriver } from './remapping-unit-driver.ts'

export class DomainTable {
  readonly #memory: TableMemory
  readonly #domains = new Map<number, TranslationDomain>()

  constructor(memory: TableMemory) {
    this.#memory = memory
  }

  /**
   * A new empty domain that all of these units can walk, with its ids in them taken: moving requesters into it cannot
   * fail half-way. Throws `outOfMemory`, `outOfResources`, with nothing changed.
   */
  create(units: readonly RemappingUnitDriver[]): TranslationDomain {
    const shapes = units.map(unit => unit.shape)
    const domain = new TranslationDomain(this.#freeNumber(), this.#memory, {
      levels: Math.min(...shapes.map(({ levels }) => levels)),
      largestLeaf: Math.min(...shapes.map(({ largestLeaf }) => largestLeaf)),
    })
    try {
      for (const unit of units) domain.join(unit, 0)
    } catch (error) {
      for (const unit of units) if (domain.idIn(unit) !== undefined) domain.leave(unit, 0)
      domain.destroy()
      throw error
    }
    this.#domains.set(domain.number, domain)
    return domain
  }

  /** A new domain whose requesters reach memory by physical addresses. */
  createPassThrough(): TranslationDomain {
    const domain = new TranslationDomain(this.#freeNumber(), this.#memory)
    this.#domains.set(domain.number, domain)
    return domain
  }

  destroy(domain: TranslationDomain): void {
    this.#domains.delete(domain.number)
    domain.destroy()
  }

  save(): readonly ReturnType<TranslationDomain['save']>[] {
    return [...this.#domains.values()].sort((a, b) => a.number - b.number).map(domain => domain.save())
  }

  #freeNumber(): number {
    for (let number = 1; ; number++) if (!this.#domains.has(number)) return number
  }
}
