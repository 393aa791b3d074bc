/**
 * A hypervisor of several modes: of those that the processor allows and that an unmodified guest does not notice, the one
 * with the fewest estimated cycles for the workload.
 */
import { FAITHFUL } from './availability.ts'
import type { Estimate } from './costs.ts'
import type { TechniqueName } from './technique.ts'

export interface Candidate {
  readonly name: TechniqueName
  /** Undefined: not available, for this reason. */
  readonly unavailable: string | undefined
  readonly estimate: Estimate | undefined
}

export interface Choice {
  readonly chosen: TechniqueName | undefined
  /** Cheapest first. */
  readonly allowed: readonly { readonly name: TechniqueName; readonly cycles: number }[]
  readonly filtered: readonly { readonly name: TechniqueName; readonly reason: string }[]
  readonly why: string
}

export function chooseMode(candidates: readonly Candidate[]): Choice {
  const modes = candidates.filter(({ name }) => FAITHFUL.includes(name))
  const allowed = modes
    .flatMap(({ name, estimate }) => (estimate === undefined ? [] : [{ name, estimate }]))
    .sort((a, b) => a.estimate.cycles - b.estimate.cycles)
  const filtered = modes.flatMap(({ name, unavailable }) =>
    unavailable === undefined ? [] : [{ name, reason: unavailable }],
  )
  const [best, next] = allowed
  return {
    chosen: best?.name,
    allowed: allowed.map(({ name, estimate }) => ({ name, cycles: estimate.cycles })),
    filtered,
    why: reason(best, next),
  }
}

type Allowed = { readonly name: TechniqueName; readonly estimate: Estimate }

function reason(best: Allowed | undefined, next: Allowed | undefined): string {
  if (best === undefined) return 'no mode that an unmodified guest does not notice is available here'
  if (next === undefined) return `${best.name} is the only mode left`
  const overlap = best.estimate.high >= next.estimate.low
  const certain = overlap ? 'the ranges overlap' : 'in the whole range of the estimates'
  return `${best.name} takes ${best.estimate.cycles} cycles, ${next.name} ${next.estimate.cycles}; ${certain}`
}
