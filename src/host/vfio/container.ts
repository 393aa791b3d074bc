/**
 * A container of type 1: the I/O address space of one user, into which the user puts groups. Every group of it reaches
 * the same memory at the same addresses. As Linux's vfio_iommu_type1, it holds the address space in as few domains as the
 * units of its groups allow: a group joins a domain that its units can walk, and else gets one of its own, in which
 * everything is mapped that the container has.
 */
import { assert, NorthbridgeError, type PageNumber } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import type { TranslationDomain } from '../iommu/domain.ts'
import type { Iommu } from '../iommu/iommu.ts'
import type { GroupState } from '../iommu/iommu-state.ts'
import type { GuestTable } from '../types.ts'

interface Mapping {
  readonly hostPage: PageNumber
  readonly pages: number
  readonly read: boolean
  readonly write: boolean
  /** How often it was mapped alike. */
  times: number
}

export type SavedContainer = {
  readonly owner: string
  readonly name: string
  /** In the order in which they were made. */
  readonly domains: readonly number[]
  /** By number, ascending. */
  readonly groups: readonly number[]
  readonly tracksDirty: boolean
  readonly mappings: readonly {
    readonly page: PageNumber
    readonly hostPage: PageNumber
    readonly pages: number
    readonly read: boolean
    readonly write: boolean
    readonly times: number
  }[]
}

export class Container {
  /** User space that has it. */
  readonly owner: string
  /** Told from other containers of the owner by its name. */
  readonly name: string
  readonly #iommu: Iommu
  readonly #domains: TranslationDomain[] = []
  readonly #groups = new Set<GroupState>()
  /** By first page. */
  readonly #mappings = new Map<PageNumber, Mapping>()
  #tracksDirty = false

  constructor(iommu: Iommu, owner: string, name: string) {
    this.#iommu = iommu
    this.owner = owner
    this.name = name
  }

  has(state: GroupState): boolean {
    return this.#groups.has(state)
  }

  get isEmpty(): boolean {
    return this.#groups.size === 0
  }

  /**
   * The domain of a group that is to join, with everything mapped, and its ids taken: pointing the group's requesters at
   * it cannot fail any more. Throws `outOfMemory`, `outOfResources`, and `unsupported` while dirty pages are tracked and
   * the group's units cannot; nothing has changed then.
   */
  *admit(state: GroupState): Software<TranslationDomain> {
    let domain = this.#domains.find(candidate => this.#iommu.userDomains.suits(state, candidate))
    if (domain === undefined) {
      domain = yield* this.#replayed(state)
      this.#domains.push(domain)
    } else {
      this.#iommu.userDomains.enter(state, domain)
    }
    this.#groups.add(state)
    return domain
  }

  *#replayed(state: GroupState): Software<TranslationDomain> {
    const domain = this.#iommu.userDomains.create(state)
    try {
      if (this.#tracksDirty) yield* this.#iommu.userDomains.trackDirty(domain, true)
      for (const [page, { hostPage, pages, read, write }] of this.#mappings)
        yield* domain.map(page, hostPage, pages, { read, write })
    } catch (error) {
      this.#iommu.userDomains.abandon(domain)
      throw error
    }
    return domain
  }

  /** A group has left its domain, which goes if it was the last one in it. */
  dismiss(state: GroupState, domain: TranslationDomain): void {
    assert(this.#groups.delete(state), 'a group leaves the container that it is in')
    for (const other of this.#groups) if (other.domain === domain) return
    this.#domains.splice(this.#domains.indexOf(domain), 1)
    this.#iommu.destroy(domain)
  }

  /** Mapped alike before, a range is counted. Throws `invalidArgument`, `outOfMemory`, with nothing changed. */
  *map(
    page: PageNumber,
    hostPage: PageNumber,
    pages: number,
    { read, write }: { readonly read: boolean; readonly write: boolean },
  ): Software {
    const known = this.#mappings.get(page)
    if (
      known?.hostPage === hostPage &&
      known.pages === pages &&
      known.read === read &&
      known.write === write
    ) {
      known.times++
      return
    }
    const done: TranslationDomain[] = []
    try {
      for (const domain of this.#domains) {
        yield* domain.map(page, hostPage, pages, { read, write })
        done.push(domain)
      }
    } catch (error) {
      for (const domain of done) yield* domain.unmap(page, pages)
      throw error
    }
    this.#mappings.set(page, { hostPage, pages, read, write, times: 1 })
  }

  /** Takes one mapping of a range back. The last one removes it, and returns when no unit translates by it. */
  *unmap(page: PageNumber, pages: number): Software {
    const known = this.#mappings.get(page)
    assert(known?.pages === pages, 'what is unmapped was mapped as one range')
    if (--known.times > 0) return
    this.#mappings.delete(page)
    for (const domain of this.#domains) yield* domain.unmap(page, pages)
  }

  /** Why guests' tables cannot be nested, in words; undefined if they can. */
  get whyNotNested(): string | undefined {
    for (const domain of this.#domains) {
      const reason = this.#iommu.userDomains.whyNotNested(domain)
      if (reason !== undefined) return reason
    }
    return undefined
  }

  /** Nests a guest's first-stage table. Throws `unsupported` where several groups share the address space. */
  *nest(table: GuestTable | undefined): Software {
    if (table !== undefined && this.#groups.size > 1)
      throw new NorthbridgeError('unsupported', 'a guest’s table translates for one group')
    for (const domain of this.#domains) yield* this.#iommu.userDomains.nest(domain, table)
  }

  *forgetNested(page: PageNumber, pages: number): Software {
    for (const domain of this.#domains) yield* domain.forgetNested(page, pages)
  }

  /** Throws `unsupported`, with nothing changed, unless the units of every group note what devices write. */
  *trackDirty(on: boolean): Software {
    if (this.#tracksDirty === on) return
    if (on) for (const domain of this.#domains) this.#iommu.userDomains.checkDirtyTracking(domain)
    for (const domain of this.#domains) yield* this.#iommu.userDomains.trackDirty(domain, on)
    this.#tracksDirty = on
  }

  /** Pages that any device of the container has written since the last call. Throws `invalidArgument`. */
  *dirtyPages(page: PageNumber, pages: number): Software<Uint8Array> {
    if (!this.#tracksDirty)
      throw new NorthbridgeError('invalidArgument', `dirty pages of "${this.owner}" are not tracked`)
    const bitmap = new Uint8Array(Math.ceil(pages / 8))
    for (const domain of this.#domains) {
      const written = yield* domain.takeDirty(page, pages)
      for (const [i, bits] of written.entries()) bitmap[i]! |= bits
    }
    return bitmap
  }

  save(): SavedContainer {
    return {
      owner: this.owner,
      name: this.name,
      domains: this.#domains.map(({ number }) => number),
      groups: [...this.#groups].map(({ group }) => group.id).sort((a, b) => a - b),
      tracksDirty: this.#tracksDirty,
      mappings: [...this.#mappings]
        .sort(([a], [b]) => a - b)
        .map(([page, { hostPage, pages, read, write, times }]) => ({
          page,
          hostPage,
          pages,
          read,
          write,
          times,
        })),
    }
  }

  static restore(saved: SavedContainer, iommu: Iommu): Container {
    const container = new Container(iommu, saved.owner, saved.name)
    const states = iommu.groups()
    for (const number of saved.domains) container.#domains.push(iommu.domain(number))
    for (const id of saved.groups) container.#groups.add(states.find(({ group }) => group.id === id)!)
    container.#tracksDirty = saved.tracksDirty
    for (const { page, ...mapping } of saved.mappings) container.#mappings.set(page, { ...mapping })
    return container
  }
}
