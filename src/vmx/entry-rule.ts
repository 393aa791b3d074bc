/**
 * VM-entry checks as tables of rules: each row is one condition of the specification, in the order in which this
 * processor tests them. A new control or piece of state adds rows.
 */
import type { Core } from './core.ts'

export interface EntryRule {
  /** Field and condition in short, unique: `guest.CR0.fixedBits`. */
  readonly id: string
  /** What must hold, for people. */
  readonly states: string
  readonly holds: (core: Core) => boolean
  /** Exit qualification where the rule guards guest state; 0 unless given. */
  readonly qualification?: number
}

/** The first broken rule, or `undefined`. */
export function firstBroken(rules: readonly EntryRule[], core: Core): EntryRule | undefined {
  for (let i = 0; i < rules.length; i++) {
    const rule = rules[i]!
    if (!rule.holds(core)) return rule
  }
  return undefined
}
