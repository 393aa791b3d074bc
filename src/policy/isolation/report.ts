/** The isolation report: what each function reaches, and for every pair of virtual machines what breaks their isolation. */

import { type Breach, breachesBetween } from './breaches.ts'
import type { FunctionFacts, IsolationFacts } from './facts.ts'

export interface GroupMate {
  readonly function: string
  readonly owner: FunctionFacts['owner']
}

export interface FunctionReport extends Omit<FunctionFacts, 'armed'> {
  /** Functions that share its fate: the other members of its IOMMU group. */
  readonly mates: readonly GroupMate[]
}

export interface PairReport {
  /** By name, ascending. */
  readonly vms: readonly [string, string]
  readonly isolated: boolean
  readonly breaches: readonly Breach[]
  /** On what the verdict rests besides tables and access control. */
  readonly conditions: readonly string[]
}

export interface IsolationReport {
  readonly functions: readonly FunctionReport[]
  readonly pairs: readonly PairReport[]
}

export function judgeIsolation(facts: IsolationFacts): IsolationReport {
  const { functions, vms } = facts
  const groups = new Map<number, FunctionFacts[]>()
  for (const fn of functions) {
    if (fn.group !== null) groups.set(fn.group, [...(groups.get(fn.group) ?? []), fn])
  }
  const names = [...vms].sort()
  return {
    functions: functions.map(fn => {
      const { armed: _armed, ...rest } = fn
      const mates = fn.group === null ? [] : groups.get(fn.group)!.filter(mate => mate !== fn)
      return { ...rest, mates: mates.map(({ function: address, owner }) => ({ function: address, owner })) }
    }),
    pairs: names.flatMap((a, at) => names.slice(at + 1).map(b => judgePair(a, b, facts))),
  }
}

function judgePair(a: string, b: string, facts: IsolationFacts): PairReport {
  const breaches = [...breachesBetween(a, b, facts), ...breachesBetween(b, a, facts)]
  const held = [...functionsOf(a, facts), ...functionsOf(b, facts)]
  const unseen = held.filter(({ complete }) => !complete)
  return {
    vms: [a, b],
    isolated: breaches.length === 0 && unseen.length === 0,
    breaches,
    conditions: [
      ...held
        .filter(({ trusted }) => trusted)
        .map(
          ({ function: address, unit }) =>
            `${address} keeps to the translations it was given: ${unit} lets it send translated requests (ATS)`,
        ),
      ...unseen.map(({ function: address }) => `${address} has more table entries than were looked at`),
    ],
  }
}

const functionsOf = (vm: string, { functions }: IsolationFacts): readonly FunctionFacts[] =>
  functions.filter(({ owner }) => owner.kind === 'vm' && owner.name === vm)
