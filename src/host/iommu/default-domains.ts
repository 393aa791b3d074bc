/** What requesters reach while the kernel's own drivers use them: mapped buffers, or with `iommu=pt` all memory. */
import type { Software } from '../../engine/index.ts'
import type { HostPciFunction } from '../pci/pci-function.ts'
import type { ReservedPages } from './device-scopes.ts'
import type { TranslationDomain } from './domain.ts'
import type { DomainTable } from './domain-table.ts'
import type { RemappingUnitDriver } from './remapping-unit-driver.ts'

/** ISA bridges get the memory below 16 MiB, where old devices behind them expect to reach it. */
const ISA_BRIDGE_CLASS = 0x0601
const ISA_MEMORY: ReservedPages = { first: 0, pages: 0x1000 }

export interface DefaultDomainOptions {
  readonly domains: DomainTable
  readonly passThrough: boolean
  /** Memory that a domain maps which stands in for pass-through. */
  readonly usable: readonly ReservedPages[]
  readonly reservedMemory: (fn: HostPciFunction) => readonly ReservedPages[]
}

export type SavedIdentity = readonly [unit: number, domain: number]

export class DefaultDomains {
  readonly #options: DefaultDomainOptions
  /** With `iommu=pt`: one domain per unit, pass-through if the unit can, else one that maps memory to itself. */
  readonly #identity = new Map<RemappingUnitDriver, TranslationDomain>()

  constructor(options: DefaultDomainOptions) {
    this.#options = options
  }

  /** The domain of a new group below these units. Throws `outOfMemory`, `outOfResources`. */
  make(units: readonly RemappingUnitDriver[]): TranslationDomain {
    const { domains, passThrough } = this.#options
    if (!passThrough || units.length > 1) return domains.create(units, 'kernel')
    const unit = units[0]!
    const known = this.#identity.get(unit)
    if (known !== undefined) return known
    const domain = unit.canPassThrough ? domains.createPassThrough() : domains.create(units, 'kernel')
    this.#identity.set(unit, domain)
    return domain
  }

  /** Whether a new group below a unit would go into a domain that exists. */
  has(unit: RemappingUnitDriver): boolean {
    return this.#identity.has(unit)
  }

  /** Whether other groups may be in the domain too: it outlives each of them. */
  isShared(domain: TranslationDomain): boolean {
    return [...this.#identity.values()].includes(domain)
  }

  save(): readonly SavedIdentity[] {
    return [...this.#identity].map(([unit, domain]): SavedIdentity => [unit.index, domain.number])
  }

  load(saved: readonly SavedIdentity[], units: readonly RemappingUnitDriver[]): void {
    for (const [unit, number] of saved) this.#identity.set(units[unit]!, this.#options.domains.at(number))
  }

  /** "RMRR … identity mappings", and what ISA devices reach. */
  *mapReserved(domain: TranslationDomain, functions: readonly HostPciFunction[]): Software {
    if (domain.table === undefined) return
    const { usable, reservedMemory } = this.#options
    const wanted = this.isShared(domain)
      ? usable
      : functions.flatMap(fn => [
          ...reservedMemory(fn),
          ...(fn.classCode >>> 8 === ISA_BRIDGE_CLASS ? [ISA_MEMORY] : []),
        ])
    for (const { first, pages } of joined(wanted)) {
      if (!domain.isMapped(first, pages)) yield* domain.map(first, first, pages, { read: true, write: true })
    }
  }
}

/** Runs in ascending order, those that touch or overlap as one. */
function joined(runs: readonly ReservedPages[]): ReservedPages[] {
  const result: ReservedPages[] = []
  for (const run of [...runs].sort((a, b) => a.first - b.first)) {
    const last = result.at(-1)
    if (last === undefined || run.first > last.first + last.pages) {
      result.push(run)
    } else {
      const end = Math.max(last.first + last.pages, run.first + run.pages)
      result[result.length - 1] = { first: last.first, pages: end - last.first }
    }
  }
  return result
}
