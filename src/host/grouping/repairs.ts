/**
 * By which changes of the machine a group would fall apart. Every change that is offered was tried on descriptions of
 * the machine first; what does not split the group is not offered. Costs only order the kinds of change: a bit that
 * the kernel can set, a card put into another slot, a card replaced, a switch replaced, a board replaced.
 */
import { pause, type Software } from '../../engine/index.ts'
import { ACS_BIT, PORT_TYPE } from '../../pcie/formats/index.ts'
import type { GroupRepair } from '../types.ts'
import type { GroupingFunction } from './grouping-function.ts'
import type { Group, Grouping, GroupingRules } from './groups.ts'
import { ACS_BIT_NAMES, firstUnisolated, isolates, missingIsolation } from './isolation.ts'
import { REQUIRED_ACS } from './quirks.ts'
import { type Alteration, WhatIf } from './what-if.ts'

export const REPAIR_COST = { bit: 1, move: 100, card: 1_000, switch: 2_000, board: 10_000 } as const

interface Candidate extends Omit<GroupRepair, 'parts'> {
  readonly alter: Alteration
}

/** More than these are not tried, nearest to the root first: a group may have thousands of ports. */
const MOST_CANDIDATES = 64

/** Repairs of a group, cheapest first: the best of the bits, the moves, the replacements. Empty for a group of one. */
export function* repairsOf(
  group: Group,
  grouping: Grouping,
  rules: GroupingRules,
): Software<readonly GroupRepair[]> {
  if (group.members.length < 2) return []
  const free = freePort(grouping)
  const machine = new WhatIf(group, grouping, rules, free === undefined ? [] : [free])
  if (machine.parts(() => undefined).length > 1) return []
  const found: GroupRepair[] = []
  const bits = yield* fewestBits(machine)
  if (bits !== undefined) found.push(bits)
  const port = free && machine.of(free)
  for (const candidate of [...(port === undefined ? [] : moves(machine, port)), ...replacements(machine)]) {
    yield* pause()
    const repair = tried(machine, candidate)
    if (repair !== undefined) found.push(repair)
  }
  return found.sort((a, b) => a.cost - b.cost)
}

function tried(machine: WhatIf, { alter, ...repair }: Candidate): GroupRepair | undefined {
  const parts = machine.parts(alter)
  return parts.length > 1 ? { ...repair, parts } : undefined
}

/** The smallest set of functions in which setting the bits that are offered but off splits the group. */
function* fewestBits(machine: WhatIf): Software<GroupRepair | undefined> {
  const lacking = machine.functions
    .filter(fn => fn.acs !== undefined && !isolates(fn) && bitsAreFree(fn))
    .slice(0, MOST_CANDIDATES)
  for (const fn of lacking) {
    yield* pause()
    const repair = tried(machine, setBits([fn]))
    if (repair !== undefined) return repair
  }
  let set = lacking
  if (tried(machine, setBits(set)) === undefined) return undefined
  for (const fn of lacking) {
    yield* pause()
    const without = set.filter(other => other !== fn)
    if (tried(machine, setBits(without)) !== undefined) set = without
  }
  return tried(machine, setBits(set))
}

/** Whether setting the bits helps: a maker's word to the contrary would stand. */
const bitsAreFree = (fn: GroupingFunction): boolean => isolates({ ...fn, ...withBits(fn) })

const withBits = ({ acs }: GroupingFunction): Partial<GroupingFunction> => ({
  acs: acs && {
    capability: acs.capability,
    control: acs.control | (acs.capability & REQUIRED_ACS),
    ...(acs.nextDword !== undefined && { nextDword: acs.nextDword | (acs.capability & REQUIRED_ACS) }),
  },
})

function setBits(functions: readonly GroupingFunction[]): Candidate {
  const bits = Object.keys(ACS_BIT_NAMES).filter(name =>
    functions.some(fn => missingIsolation(fn).includes(name)),
  )
  const names = bits.map(name => `${ACS_BIT_NAMES[name]} (${name})`).join(', ')
  const addresses = functions.map(({ address }) => address)
  return {
    kind: 'enableAccessControl',
    cost: REPAIR_COST.bit * functions.length,
    functions: addresses,
    bits,
    text: `enable ${names} in ACS control of ${addresses.join(' and ')}`,
    alter: fn => (functions.includes(fn) ? withBits(fn) : undefined),
  }
}

/** A port with nothing below it whose path isolates: a slot that would keep a card apart. */
function freePort(grouping: Grouping): GroupingFunction | undefined {
  for (const fn of grouping.known) {
    if (!isSlot(fn) || fn.secondaryBus === 0 || grouping.onBus(fn.segment, fn.secondaryBus).length > 0)
      continue
    if (firstUnisolated(fn) === undefined && !grouping.groupOf(fn)?.spreads) return fn
  }
  return undefined
}

const isSlot = ({ expressType }: GroupingFunction): boolean =>
  expressType === PORT_TYPE.rootPort || expressType === PORT_TYPE.downstreamPort

/** Cards of the group in other slots, each put into the free one. */
function moves(machine: WhatIf, port: GroupingFunction): Candidate[] {
  const cards = new Map<GroupingFunction, GroupingFunction[]>()
  for (const fn of machine.functions) {
    const { above } = fn
    if (above === undefined || !isSlot(above) || fn.segment !== port.segment) continue
    cards.set(above, [...(cards.get(above) ?? []), fn])
  }
  const members = new Set(machine.members)
  return [...cards.values()]
    .filter(functions => functions.some(fn => members.has(fn)) && functions.every(fn => fn.expressType >= 0))
    .slice(0, MOST_CANDIDATES)
    .map(functions => {
      const first = functions[0]!
      const shift = (port.secondaryBus - (first.above?.secondaryBus ?? 0)) * 256
      const moved = new Set(functions)
      return {
        kind: 'move',
        cost: REPAIR_COST.move,
        functions: functions.map(({ address }) => address),
        to: port.address,
        text: `move ${cardName(first)} to the slot below ${port.address}`,
        alter: fn =>
          moved.has(fn)
            ? { above: port, rid: fn.rid + shift, quirkAliases: fn.quirkAliases.map(rid => rid + shift) }
            : undefined,
      }
    })
}

const cardName = ({ address }: GroupingFunction): string => `the card at ${address.slice(0, -2)}`

/** Parts that could be others with access control: cards of several functions, switches, the board's root ports. */
function replacements(machine: WhatIf): Candidate[] {
  const parts = new Map<
    string,
    { readonly functions: GroupingFunction[]; readonly text: string; cost: number }
  >()
  for (const fn of machine.functions) {
    // What only has bits off would be replaced by something that the same settings switch off.
    if (isolates(fn) || fn.expressType < 0 || bitsAreFree(fn)) continue
    const part = partOf(fn)
    if (part === undefined) continue
    const known = parts.get(part.key) ?? { functions: [], text: part.text, cost: part.cost }
    known.functions.push(fn)
    parts.set(part.key, known)
  }
  return [...parts.values()].slice(0, MOST_CANDIDATES).map(({ functions, text, cost }) => ({
    kind: 'replace',
    cost,
    functions: functions.map(({ address }) => address),
    text,
    alter: fn => (functions.includes(fn) ? BETTER : undefined),
  }))
}

/** A function that isolates by its registers, of a maker without quirks. */
const BETTER: Partial<GroupingFunction> = {
  vendorId: 0,
  deviceId: 0,
  acs: { capability: REQUIRED_ACS | ACS_BIT.TB, control: REQUIRED_ACS },
}

/** The thing that one would have to buy another of; undefined if it cannot be bought with access control. */
function partOf(
  fn: GroupingFunction,
): { readonly key: string; readonly text: string; readonly cost: number } | undefined {
  const { expressType, above, segment, rid } = fn
  const device = `${segment}/${rid >>> 3}`
  if (expressType === PORT_TYPE.rootPort) {
    const text = `use a board whose root port ${fn.address} has ACS`
    return { key: device, text, cost: REPAIR_COST.board }
  }
  if (expressType === PORT_TYPE.downstreamPort && above !== undefined) {
    const text = `replace the switch at ${above.address} by one whose downstream ports have ACS`
    return { key: `switch ${above.address}`, text, cost: REPAIR_COST.switch }
  }
  const isCard = above !== undefined && isSlot(above) && fn.multifunction && !fn.bridge
  if (!isCard) return undefined
  const text = `replace ${cardName(fn)} by one whose functions have ACS`
  return { key: device, text, cost: REPAIR_COST.card }
}

/** Why nothing splits a group. */
export function whyNot(group: Group): string {
  const rules = new Set(group.why.map(({ rule }) => rule))
  if (rules.has('alias')) return 'requests of its functions carry the same requester id'
  if (rules.has('sharedBus')) return 'its functions share a bus of conventional PCI'
  return 'its functions are part of the board and of one device that has no ACS'
}
