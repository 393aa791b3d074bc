/**
 * IOMMU groups: sets of functions that the hardware may not keep apart. Which those are is a choice of rules (see
 * `path-rules.ts`, `bus-rules.ts`). The outcome depends on the order in which functions are added, as in the kernel:
 * a whole bus first, then the buses below it.
 */
import { assert } from '../../core/index.ts'
import { NumberPool } from '../number-pool.ts'
import type { GroupReason } from '../types.ts'
import type { GroupingFunction } from './grouping-function.ts'
import { founderReason } from './reasons.ts'

export interface Group<F extends GroupingFunction = GroupingFunction> {
  readonly id: number
  /** In the order in which they joined. */
  readonly members: F[]
  readonly why: GroupReason[]
  /** Everything below its members joins it (bus rules). */
  spreads: boolean
}

/** What rules may ask of the functions that are known so far. */
export interface Neighbourhood {
  groupOf(fn: GroupingFunction): Group | undefined
  /** Functions on the same bus, itself too, in the order of discovery. */
  peers(fn: GroupingFunction): readonly GroupingFunction[]
  /** Functions on the bus below a bridge. */
  below(bridge: GroupingFunction): readonly GroupingFunction[]
  /** Those of the same bus that may be seen under another's requester id: few, on most machines none. */
  aliasedPeers(fn: GroupingFunction): readonly GroupingFunction[]
}

/** Where a function belongs: into a group that exists, for a reason, or into one of its own. */
export interface Placement {
  readonly group?: Group
  readonly reason?: GroupReason
  /** Everything below shares the group from now on. */
  readonly spreads?: true
}

export interface GroupingRules {
  place(fn: GroupingFunction, neighbourhood: Neighbourhood): Placement
}

export class Grouping<F extends GroupingFunction = GroupingFunction> {
  readonly #rules: GroupingRules
  readonly #groups = new Map<number, Group<F>>()
  readonly #ids = new NumberPool(0)
  readonly #groupOf = new Map<GroupingFunction, Group<F>>()
  /** Every function there is, grouped or not, by bus and then in the order of discovery. */
  readonly #buses = new Map<number, GroupingFunction[]>()
  readonly #aliased = new Map<number, GroupingFunction[]>()
  /** When a function was discovered. */
  readonly #discovery = new Map<GroupingFunction, number>()
  #discovered = 0
  readonly #neighbourhood: Neighbourhood
  /** What {@link save} gave last, as long as it is so: groups change seldom, and a state is taken before every command. */
  #saved: SavedGrouping | undefined

  constructor(rules: GroupingRules) {
    this.#rules = rules
    this.#neighbourhood = {
      groupOf: fn => this.#groupOf.get(fn),
      peers: fn => this.#buses.get(busKey(fn.segment, fn.rid >>> 8)) ?? [],
      below: bridge => this.#buses.get(busKey(bridge.segment, bridge.secondaryBus)) ?? [],
      aliasedPeers: fn => this.#aliased.get(busKey(fn.segment, fn.rid >>> 8)) ?? [],
    }
  }

  /** Ascending by id. */
  groups(): readonly Group<F>[] {
    return [...this.#groups.values()].sort((a, b) => a.id - b.id)
  }

  groupOf(fn: GroupingFunction): Group<F> | undefined {
    return this.#groupOf.get(fn)
  }

  /** Functions on a bus, grouped or not, in the order of discovery. */
  onBus(segment: number, bus: number): readonly GroupingFunction[] {
    return this.#buses.get(busKey(segment, bus)) ?? []
  }

  /** Every function that is known, in the order of discovery. */
  get known(): Iterable<GroupingFunction> {
    return this.#discovery.keys()
  }

  /** Functions in the order of discovery. */
  inOrder(functions: Iterable<GroupingFunction>): GroupingFunction[] {
    const when = this.#discovery
    return [...functions].sort((a, b) => when.get(a)! - when.get(b)!)
  }

  /** Makes a function known as a possible peer. Functions that no remapping unit translates are never grouped. */
  discover(fn: GroupingFunction): void {
    this.#know(fn, this.#discovered++)
  }

  #know(fn: GroupingFunction, when: number): void {
    this.#saved = undefined
    const key = busKey(fn.segment, fn.rid >>> 8)
    this.#discovery.set(fn, when)
    append(this.#buses, key, fn)
    if (fn.quirkAliases.length > 0) append(this.#aliased, key, fn)
  }

  /** Puts a function into the group it has to share, or founds a new one. */
  add(fn: F): Group<F> {
    assert(!this.#groupOf.has(fn), 'a function joins one group, once')
    this.#saved = undefined
    const { group: joined, reason, spreads } = this.#rules.place(fn, this.#neighbourhood)
    const group: Group<F> =
      (joined as Group<F> | undefined) ??
      ({ id: this.#ids.take()!, members: [], why: [], spreads: false } satisfies Group<F>)
    if (spreads) group.spreads = true
    this.#groups.set(group.id, group)
    this.#groupOf.set(fn, group)
    group.members.push(fn)
    group.why.push(reason ?? founderReason(fn))
    return group
  }

  /** Whether a function like this one would found a group of its own if it appeared. */
  wouldFound(fn: GroupingFunction): boolean {
    return this.#rules.place(fn, this.#neighbourhood).group === undefined
  }

  /** Takes a function away (VFs disabled, card pulled); an empty group disappears. */
  remove(fn: F): void {
    this.#saved = undefined
    for (const buses of [this.#buses, this.#aliased]) {
      const bus = buses.get(busKey(fn.segment, fn.rid >>> 8)) ?? []
      if (bus.includes(fn)) bus.splice(bus.indexOf(fn), 1)
    }
    this.#discovery.delete(fn)
    const group = this.#groupOf.get(fn)
    if (group === undefined) return
    this.#groupOf.delete(fn)
    const at = group.members.indexOf(fn)
    group.members.splice(at, 1)
    group.why.splice(at, 1)
    if (group.members.length > 0) return
    this.#groups.delete(group.id)
    this.#ids.release(group.id)
  }

  save(): SavedGrouping {
    this.#saved ??= this.#state()
    return this.#saved
  }

  #state(): SavedGrouping {
    return {
      discovered: this.#discovered,
      known: [...this.#discovery].map(([{ address }, when]) => [address, when]),
      groups: this.groups().map(({ id, members, why, spreads }) => ({
        id,
        members: members.map(({ address }) => address),
        why: why.map(reason => ({ ...reason })),
        spreads,
      })),
    }
  }

  load(saved: SavedGrouping, find: (address: string) => F): void {
    this.#saved = undefined
    for (const [address, when] of saved.known) {
      this.#know(find(address), when)
    }
    this.#discovered = saved.discovered
    this.#ids.load(saved.groups.map(({ id }) => id))
    for (const { id, members, why, spreads } of saved.groups) {
      const group: Group<F> = { id, members: members.map(find), why: why.map(copyOf), spreads }
      this.#groups.set(id, group)
      for (const fn of group.members) this.#groupOf.set(fn, group)
    }
  }
}

type SavedReason = { readonly [Key in keyof GroupReason]: GroupReason[Key] }

const copyOf = (reason: SavedReason): GroupReason => ({ ...reason })

export type SavedGrouping = {
  readonly discovered: number
  /** Addresses and when they were discovered, in that order. */
  readonly known: readonly (readonly [address: string, when: number])[]
  readonly groups: readonly {
    readonly id: number
    readonly members: readonly string[]
    readonly why: readonly SavedReason[]
    readonly spreads: boolean
  }[]
}

function append(buses: Map<number, GroupingFunction[]>, key: number, fn: GroupingFunction): void {
  const bus = buses.get(key)
  if (bus === undefined) buses.set(key, [fn])
  else bus.push(fn)
}

const busKey = (segment: number, bus: number): number => segment * 256 + bus
