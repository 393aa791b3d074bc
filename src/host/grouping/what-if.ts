/** How a group would look if the machine were another: grouping done again on altered descriptions of its functions. */
import type { GroupingFunction } from './grouping-function.ts'
import { type Group, Grouping, type GroupingRules } from './groups.ts'

/** What a change makes of one function. `above` names a bridge by its description here. */
export type Alteration = (fn: GroupingFunction) => Partial<GroupingFunction> | undefined

export class WhatIf {
  /** The group's members, by descriptions whose registers were read once. */
  readonly members: readonly GroupingFunction[]
  /** All functions that the group's fate depends on, in the order of discovery. */
  readonly functions: readonly GroupingFunction[]
  readonly #rules: GroupingRules
  readonly #grouped: ReadonlySet<GroupingFunction>
  readonly #copies = new Map<GroupingFunction, GroupingFunction>()

  /** @param others functions that changes may name besides. */
  constructor(
    group: Group,
    grouping: Grouping,
    rules: GroupingRules,
    others: readonly GroupingFunction[] = [],
  ) {
    this.#rules = rules
    const near = surroundings([...group.members, ...others], grouping)
    for (const fn of grouping.inOrder(near)) this.#copies.set(fn, copyOf(fn, this.#copies))
    this.functions = [...this.#copies.values()]
    this.members = group.members.map(member => this.of(member))
    const grouped = [...this.#copies].filter(([fn]) => grouping.groupOf(fn) !== undefined)
    this.#grouped = new Set(grouped.map(([, copy]) => copy))
  }

  /** The description of a function. */
  of(fn: GroupingFunction): GroupingFunction {
    return this.#copies.get(fn)!
  }

  /** The groups that the members are in after a change, by the addresses they have today. */
  parts(alter: Alteration): readonly (readonly string[])[] {
    const altered = new Map<GroupingFunction, GroupingFunction>()
    const changes = this.functions.map(fn => [fn, { ...fn, ...alter(fn) }] as const)
    for (const [fn, change] of inTreeOrder(changes)) altered.set(fn, copyOf(change, altered))
    const grouping = new Grouping(this.#rules)
    for (const copy of altered.values()) grouping.discover(copy)
    for (const [fn, copy] of altered) if (this.#grouped.has(fn)) grouping.add(copy)
    const parts = new Map<Group, string[]>()
    for (const member of this.members) {
      const group = grouping.groupOf(altered.get(member)!)!
      parts.set(group, [...(parts.get(group) ?? []), member.address])
    }
    return [...parts.values()].map(part => part.sort()).sort((a, b) => (a[0]! < b[0]! ? -1 : 1))
  }
}

/** A description whose bridges are descriptions too. */
const copyOf = (
  fn: GroupingFunction,
  copies: ReadonlyMap<GroupingFunction, GroupingFunction>,
): GroupingFunction => ({
  address: fn.address,
  segment: fn.segment,
  rid: fn.rid,
  vendorId: fn.vendorId,
  deviceId: fn.deviceId,
  expressType: fn.expressType,
  bridge: fn.bridge,
  multifunction: fn.multifunction,
  acs: fn.acs,
  above: fn.above && copies.get(fn.above),
  secondaryBus: fn.secondaryBus,
  quirkAliases: fn.quirkAliases,
  physical: fn.physical && copies.get(fn.physical),
  decodesMemory: fn.decodesMemory ?? false,
  peerDecodesDisabled: fn.peerDecodesDisabled ?? false,
  besideAmdIommu: fn.besideAmdIommu ?? false,
})

/** Bridges before what is below them, physical functions before virtual ones, otherwise as they come. */
function inTreeOrder<Entry extends readonly [GroupingFunction, GroupingFunction]>(
  entries: readonly Entry[],
): Entry[] {
  const byFunction = new Map(entries.map(entry => [entry[0], entry]))
  const ordered = new Set<Entry>()
  const visit = (entry: Entry | undefined): void => {
    if (entry === undefined || ordered.has(entry)) return
    const { above, physical } = entry[1]
    if (above !== undefined) visit(byFunction.get(above))
    if (physical !== undefined) visit(byFunction.get(physical))
    ordered.add(entry)
  }
  for (const entry of entries) visit(entry)
  return [...ordered]
}

/** Functions, everything above them, and everything on the buses of both. */
function surroundings(seeds: readonly GroupingFunction[], grouping: Grouping): Set<GroupingFunction> {
  const found = new Set<GroupingFunction>()
  const buses = new Set<number>()
  const visit = (fn: GroupingFunction): void => {
    if (found.has(fn)) return
    found.add(fn)
    if (fn.above !== undefined) visit(fn.above)
    if (fn.physical !== undefined) visit(fn.physical)
    const bus = fn.segment * 256 + (fn.rid >>> 8)
    if (buses.has(bus)) return
    buses.add(bus)
    for (const peer of grouping.onBus(fn.segment, fn.rid >>> 8)) visit(peer)
  }
  for (const seed of seeds) visit(seed)
  return found
}
