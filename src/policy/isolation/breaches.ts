/** By what one virtual machine's functions reach another's memory, registers or interrupts, and what would end it. */
import { hex } from '../../core/index.ts'
import type { DecidingEntry, FunctionFacts, IsolationFacts, ReachedPeer, ReachedRange } from './facts.ts'

export interface BreachRepair {
  /** As repairs of groups are weighed: a bit that software can set is 1, a board 10,000. */
  readonly cost: number
  readonly text: string
  /** What the host can put right by itself. */
  readonly defect?: BreachDefect
}

/** What is wrong, where it is no missing hardware: the entry of a table, or a bit of access control. */
export interface BreachDefect {
  readonly kind: 'translation' | 'requester' | 'interrupt' | 'redirect'
  /** Whose table entry it is, or at which port the bit is. */
  readonly function: string
  /** Physical address of the entry. */
  readonly entry?: string
}

export interface Breach {
  readonly kind: 'memory' | 'registers' | 'interrupt'
  /** The function that reaches over. */
  readonly function: string
  readonly from: string
  readonly to: string
  /** What it reaches: a range of memory, a function, a target of interrupts. */
  readonly reaches: string
  /** What lets it: the entry of a table … */
  readonly entry?: DecidingEntry
  /** … or an ACS bit that is clear, at the function that lets requests turn. */
  readonly acs?: { readonly function: string; readonly bit: 'RR'; readonly offered: boolean }
  readonly text: string
  readonly repair: BreachRepair
}

/** Of what only other hardware mends. */
const OTHER_HARDWARE = 10_000

export function breachesBetween(from: string, to: string, facts: IsolationFacts): Breach[] {
  const victims = facts.functions.filter(({ owner }) => owner.kind === 'vm' && owner.name === to)
  return facts.functions
    .filter(({ owner }) => owner.kind === 'vm' && owner.name === from)
    .flatMap(fn => [
      ...fn.memory.filter(range => belongsTo(range, to, victims)).map(range => ofRange(fn, range, from, to)),
      ...fn.peers
        .filter(peer => victims.some(victim => victim.function === peer.function))
        .map(peer => ofPeer(fn, peer, from, to, facts)),
      ...ofInterrupts(fn, victims, from, to),
    ])
}

const belongsTo = ({ owner }: ReachedRange, vm: string, functions: readonly FunctionFacts[]): boolean =>
  owner.kind === 'vm'
    ? owner.name === vm
    : owner.kind === 'function' && functions.some(fn => fn.function === owner.name)

function ofRange(fn: FunctionFacts, range: ReachedRange, from: string, to: string): Breach {
  const { owner, frame, pages, read, write, input, entry } = range
  const size = pages * 4096
  const rights = read && write ? 'read and write' : read ? 'read' : 'write'
  const what = owner.kind === 'function' ? `registers of ${owner.name}` : `memory of ${to}`
  const reaches = `${hex(frame * 4096)} to ${hex(frame * 4096 + size - 1)}`
  return {
    kind: owner.kind === 'function' ? 'registers' : 'memory',
    function: fn.function,
    from,
    to,
    reaches,
    entry,
    text: `${fn.function} can ${rights} ${what} at ${reaches}, by requests to ${pageText(input)}: ${entryText(entry)}`,
    repair: repairOfEntry(range, fn),
  }
}

const pageText = (page: number): string => (page < 2 ** 40 ? hex(page * 4096) : `page ${hex(page)}`)

/** A table entry as a sentence names it. */
export function entryText({ table, unit, address, raw, level }: DecidingEntry): string {
  if (table === 'none')
    return unit === undefined ? 'no remapping unit is on the way' : `${unit} has no entry for it`
  if (table === 'disabled') return `translation of ${unit} is disabled`
  if (address === undefined) return `${unit} does not keep requesters apart`
  const kind = { context: 'context', pasid: 'PASID', firstStage: 'first-stage', secondStage: 'second-stage' }
  const name = kind[table as keyof typeof kind] ?? table
  return `the ${name} entry${level === undefined ? '' : ` of level ${level}`} at ${address} is ${raw}`
}

function repairOfEntry(
  { entry, wanted }: ReachedRange,
  { function: address, requesterId }: FunctionFacts,
): BreachRepair {
  const { table, unit, address: at } = entry
  switch (table) {
    case 'none':
    case 'aperture':
      return {
        cost: OTHER_HARDWARE,
        text: `put ${address} behind a remapping unit that has a table for each requester`,
      }
    case 'disabled':
      return { cost: 1, text: `enable translation in ${unit} (GCMD.TE)` }
    case 'context':
    case 'pasid':
      return {
        cost: 1,
        text: `point the ${table} entry at ${at} at tables of its own, and invalidate what ${unit} caches of ${requesterId}`,
        defect: { kind: 'requester', function: address },
      }
    default:
      return repairOfLeaf(entry, wanted, address)
  }
}

function repairOfLeaf(
  { unit, address: at }: DecidingEntry,
  wanted: ReachedRange['wanted'],
  address: string,
): BreachRepair {
  if (wanted === undefined || at === undefined)
    return {
      cost: 1,
      text: `let no entry of ${address} lead to the one at ${at}, which the host did not make`,
    }
  const write =
    wanted === 'leaf'
      ? `write the entry at ${at} anew as the host has mapped it`
      : `clear the entry at ${at}, where the host has mapped nothing`
  return {
    cost: 1,
    text: `${write}, and invalidate the IOTLB of ${unit} for its domain`,
    defect: { kind: 'translation', function: address, entry: at },
  }
}

function ofPeer(
  fn: FunctionFacts,
  peer: ReachedPeer,
  from: string,
  to: string,
  facts: IsolationFacts,
): Breach {
  const { function: reaches, at, offersRedirect: offered } = peer
  const state = offered ? 'P2P Request Redirect (RR) is clear' : 'there is no P2P Request Redirect (RR)'
  return {
    kind: 'registers',
    function: fn.function,
    from,
    to,
    reaches,
    acs: { function: at, bit: 'RR', offered },
    text: `${fn.function} reaches registers of ${reaches} of ${to} without passing a remapping unit: requests turn at ${at}, where ${state}`,
    repair: offered
      ? {
          cost: 1,
          text: `enable P2P Request Redirect (RR) in ACS control of ${at}`,
          defect: { kind: 'redirect', function: at },
        }
      : groupRepair(fn, reaches, at, facts),
  }
}

/** The cheapest change of the group that parts the two. */
function groupRepair(
  { function: address, group }: FunctionFacts,
  other: string,
  at: string,
  { groupChanges }: IsolationFacts,
): BreachRepair {
  const changes = group === null ? [] : (groupChanges.get(group) ?? [])
  const parts = changes.find(change =>
    change.parts.every(part => !(part.includes(address) && part.includes(other))),
  )
  return parts === undefined
    ? { cost: OTHER_HARDWARE, text: `put ${address} or ${other} below another port than ${at}` }
    : { cost: parts.cost, text: parts.text }
}

function ofInterrupts(
  fn: FunctionFacts,
  victims: readonly FunctionFacts[],
  from: string,
  to: string,
): Breach[] {
  const targets = new Map(victims.flatMap(victim => victim.armed.map(target => [target, victim] as const)))
  if (targets.size === 0) return []
  if (fn.anyVector) {
    return [
      {
        kind: 'interrupt',
        function: fn.function,
        from,
        to,
        reaches: 'any vector of any processor',
        text: `${fn.function} can raise any interrupt, those of ${to} too: its messages are not remapped`,
        repair:
          fn.unit === null
            ? { cost: OTHER_HARDWARE, text: `put ${fn.function} behind a unit that remaps interrupts` }
            : {
                cost: 1,
                text: `enable interrupt remapping in ${fn.unit} (GCMD.IRE), without compatibility format`,
              },
      },
    ]
  }
  return fn.vectors.flatMap(({ target, entry, index }) => {
    const victim = targets.get(target)
    if (victim === undefined) return []
    return [
      {
        kind: 'interrupt' as const,
        function: fn.function,
        from,
        to,
        reaches: target,
        entry,
        text: `${fn.function} can interrupt ${to} as ${victim.function} does (${target}): interrupt remapping table entry ${index} at ${entry.address} is ${entry.raw}`,
        repair: {
          cost: 1,
          text: `let the entry at ${entry.address} accept ${victim.requesterId} alone (SVT 1, SID), and invalidate it in ${entry.unit}`,
          ...(entry.address === undefined
            ? {}
            : { defect: { kind: 'interrupt' as const, function: victim.function, entry: entry.address } }),
        },
      },
    ]
  })
}
