/** Domains of user space: made for groups, shared by those whose units agree, and told to note what devices write. */
import { NorthbridgeError } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import type { GuestTable } from '../types.ts'
import type { TranslationDomain } from './domain.ts'
import { checkDirtyTracking, whyNotNested } from './domain-features.ts'
import type { DomainTable } from './domain-table.ts'
import type { GroupState } from './iommu-state.ts'
import type { RemappingUnitDriver } from './remapping-unit-driver.ts'

export interface UserDomainOptions {
  readonly domains: DomainTable
  readonly units: readonly RemappingUnitDriver[]
  readonly unitsOf: (state: GroupState) => readonly RemappingUnitDriver[]
  /** Writes the entries of every requester in a domain anew. */
  readonly update: (domain: TranslationDomain) => Software
}

export class UserDomains {
  readonly #options: UserDomainOptions

  constructor(options: UserDomainOptions) {
    this.#options = options
  }

  /** A new empty domain for a group, with its ids taken. Throws `outOfMemory`, `outOfResources`. */
  create(state: GroupState): TranslationDomain {
    return this.#options.domains.create(this.#options.unitsOf(state), 'user')
  }

  /** Frees a domain in which no requester has been. */
  abandon(domain: TranslationDomain): void {
    const { units, domains } = this.#options
    for (const unit of units) if (domain.idIn(unit) !== undefined) domain.leave(unit, 0)
    domains.destroy(domain)
  }

  /**
   * Whether the units of a group can walk a domain's tables as they are, and note what the domain has noted: Linux's
   * `paging_domain_compatible`.
   */
  suits(state: GroupState, { table, trackDirty }: TranslationDomain): boolean {
    if (table === undefined) return false
    const units = this.#options.unitsOf(state)
    const { format, levels, largestLeaf } = table
    const wanted = units.every(unit => unit.prefersFirstStage('user')) ? 'first' : 'second'
    return (
      format.stage === wanted &&
      units.every(unit => {
        const walks =
          format.stage === 'second' ? unit.tableLevels.includes(levels) : unit.shape(format).levels === levels
        return walks && unit.shape(format).largestLeaf >= largestLeaf && (!trackDirty || unit.canTrackDirty)
      })
    )
  }

  /** Takes the ids of a domain that suits a group in the group's units. Throws `outOfResources`, with nothing changed. */
  enter(state: GroupState, domain: TranslationDomain): void {
    this.#options.domains.enter(domain, this.#options.unitsOf(state))
  }

  /** Throws `unsupported` unless every unit of a domain notes what devices write. */
  checkDirtyTracking(domain: TranslationDomain): void {
    const { units } = this.#options
    checkDirtyTracking(
      units.filter(unit => domain.idIn(unit) !== undefined),
      domain,
    )
  }

  /** Why a guest's first-stage table of four levels, or `levels`, cannot be nested in a domain; undefined if it can. */
  whyNotNested(domain: TranslationDomain, levels = 4): string | undefined {
    const { units } = this.#options
    return whyNotNested(
      units.filter(unit => domain.idIn(unit) !== undefined),
      domain,
      levels,
    )
  }

  /** Nests a guest's first-stage table in a domain. Throws `unsupported`, with nothing changed. */
  *nest(domain: TranslationDomain, table: GuestTable | undefined): Software {
    const reason = table && this.whyNotNested(domain, table.levels)
    if (reason !== undefined) throw new NorthbridgeError('unsupported', reason, { errno: 'EOPNOTSUPP' })
    domain.guestTable = table
    yield* this.#options.update(domain)
  }

  /** Whether units note which pages of a domain devices write. Throws as above, with nothing changed. */
  *trackDirty(domain: TranslationDomain, on: boolean): Software {
    if (domain.trackDirty === on) return
    this.checkDirtyTracking(domain)
    domain.trackDirty = on
    yield* this.#options.update(domain)
  }
}
