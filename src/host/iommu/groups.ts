/**
 * IOMMU groups by Linux's algorithm: sets of functions that the hardware may not keep apart. The outcome depends on
 * the order in which functions are added, as in the kernel: a whole bus first, then the buses below it.
 */
import { assert } from '../../core/index.ts'
import { NumberPool } from '../number-pool.ts'
import type { GroupReason } from '../types.ts'
import {
  dmaAliases,
  firstUnisolated,
  type GroupingFunction,
  isolates,
  missingIsolation,
} from './isolation.ts'

export interface Group<F extends GroupingFunction = GroupingFunction> {
  readonly id: number
  /** In the order in which they joined. */
  readonly members: F[]
  readonly why: GroupReason[]
}

/** How a function came to a group that exists. */
interface Joint<F extends GroupingFunction> {
  readonly group: Group<F>
  readonly reason: GroupReason
}

export class Grouping<F extends GroupingFunction = GroupingFunction> {
  readonly #groups = new Map<number, Group<F>>()
  readonly #ids = new NumberPool(0)
  readonly #groupOf = new Map<GroupingFunction, Group<F>>()
  /** Every function there is, grouped or not, by bus and then in the order of discovery. */
  readonly #buses = new Map<number, GroupingFunction[]>()
  /** Those of them that may be seen under another's requester id: few, on most machines none. */
  readonly #aliased = new Map<number, GroupingFunction[]>()

  /** Ascending by id. */
  groups(): readonly Group<F>[] {
    return [...this.#groups.values()].sort((a, b) => a.id - b.id)
  }

  groupOf(fn: F): Group<F> | undefined {
    return this.#groupOf.get(fn)
  }

  /** Makes a function known as a possible peer. Functions that no remapping unit translates are never grouped. */
  discover(fn: GroupingFunction): void {
    const key = busKey(fn)
    append(this.#buses, key, fn)
    if (fn.quirkAliases.length > 0) append(this.#aliased, key, fn)
  }

  /** Puts a function into the group it has to share, or founds a new one. */
  add(fn: F): Group<F> {
    assert(!this.#groupOf.has(fn), 'a function joins one group, once')
    const joint = this.#findGroup(fn)
    const group: Group<F> = joint?.group ?? { id: this.#ids.take()!, members: [], why: [] }
    this.#groups.set(group.id, group)
    this.#groupOf.set(fn, group)
    group.members.push(fn)
    group.why.push(
      joint?.reason ?? {
        function: fn.address,
        rule: 'founder',
        text: `${fn.address} shares no path with a function found before it`,
      },
    )
    return group
  }

  /** Whether a function like this one would found a group of its own if it appeared. */
  wouldFound(fn: GroupingFunction): boolean {
    return this.#findGroup(fn) === undefined
  }

  /** Takes a function away (VFs disabled, card pulled); an empty group disappears. */
  remove(fn: F): void {
    for (const buses of [this.#buses, this.#aliased]) {
      const bus = buses.get(busKey(fn)) ?? []
      if (bus.includes(fn)) bus.splice(bus.indexOf(fn), 1)
    }
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

  #findGroup(fn: GroupingFunction): Joint<F> | undefined {
    // Requests that carry another function's requester id cannot be told from that function's.
    let seenAs = fn
    for (const { stampedBy } of dmaAliases(fn)) {
      seenAs = stampedBy
      const group = this.#groupOf.get(stampedBy)
      if (group !== undefined) return { group, reason: aliasReason(fn, stampedBy) }
    }
    // Peer-to-peer requests may turn below a port that does not send them all upstream.
    for (let bridge = seenAs.above; bridge !== undefined; bridge = bridge.above) {
      const gap = firstUnisolated(bridge)
      if (gap === undefined) break
      seenAs = bridge
      const group = this.#groupOf.get(bridge)
      if (group !== undefined) return { group, reason: pathReason(fn, bridge, gap) }
    }
    return this.#amongAliases(fn, seenAs, new Set()) ?? this.#amongFunctions(fn, seenAs, new Set())
  }

  /** Functions on the same bus of which one is seen under the other's requester id. */
  #amongAliases(
    fn: GroupingFunction,
    seenAs: GroupingFunction,
    visited: Set<GroupingFunction>,
  ): Joint<F> | undefined {
    if (visited.has(seenAs)) return undefined
    visited.add(seenAs)
    const own = this.#groupOf.get(seenAs)
    if (own !== undefined) return { group: own, reason: aliasReason(fn, seenAs) }
    const peers = seenAs.quirkAliases.length > 0 ? this.#peers(seenAs) : this.#aliased.get(busKey(seenAs))
    for (const other of peers ?? []) {
      if (other === seenAs) continue
      if (!other.quirkAliases.includes(seenAs.rid) && !seenAs.quirkAliases.includes(other.rid)) continue
      const joint = this.#amongAliases(fn, other, visited) ?? this.#amongFunctions(fn, other, visited)
      if (joint !== undefined) return joint
    }
    return undefined
  }

  /** Functions of the same device that lack isolation as well. */
  #amongFunctions(
    fn: GroupingFunction,
    seenAs: GroupingFunction,
    visited: Set<GroupingFunction>,
  ): Joint<F> | undefined {
    if (!seenAs.multifunction || isolates(seenAs)) return undefined
    for (const other of this.#peers(seenAs)) {
      if (other === seenAs || other.rid >>> 3 !== seenAs.rid >>> 3 || isolates(other)) continue
      const found = this.#amongAliases(fn, other, visited)
      if (found !== undefined) return { group: found.group, reason: multifunctionReason(fn, seenAs, other) }
    }
    return undefined
  }

  #peers(fn: GroupingFunction): readonly GroupingFunction[] {
    return this.#buses.get(busKey(fn)) ?? []
  }
}

function append(buses: Map<number, GroupingFunction[]>, key: number, fn: GroupingFunction): void {
  const bus = buses.get(key)
  if (bus === undefined) buses.set(key, [fn])
  else bus.push(fn)
}

const busKey = (fn: GroupingFunction): number => fn.segment * 256 + (fn.rid >>> 8)

/** What a function lacks, in words for messages. */
export function lackInWords(fn: GroupingFunction): string {
  const missing = missingIsolation(fn)
  if (missing[0] !== 'ACS') return `has ACS ${missing.join(', ')} off`
  return fn.expressType < 0 ? 'is conventional PCI, which has no ACS' : 'has no ACS'
}

const aliasReason = (fn: GroupingFunction, as: GroupingFunction): GroupReason => ({
  function: fn.address,
  joined: as.address,
  rule: 'alias',
  lackedBy: as.address,
  text: `requests of ${fn.address} carry a requester id that ${as.address} stamps`,
})

const pathReason = (fn: GroupingFunction, bridge: GroupingFunction, gap: GroupingFunction): GroupReason => ({
  function: fn.address,
  joined: bridge.address,
  rule: 'unisolatedPath',
  lackedBy: gap.address,
  missing: missingIsolation(gap),
  text: `${fn.address} is below ${gap.address}, which ${lackInWords(gap)}`,
})

const multifunctionReason = (
  fn: GroupingFunction,
  seenAs: GroupingFunction,
  other: GroupingFunction,
): GroupReason => ({
  function: fn.address,
  joined: other.address,
  rule: 'multifunction',
  lackedBy: other.address,
  missing: missingIsolation(seenAs),
  text: `${seenAs.address} and ${other.address} are functions of one device, and neither isolates: ${other.address} ${lackInWords(other)}`,
})
