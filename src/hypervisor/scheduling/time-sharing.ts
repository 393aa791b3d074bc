/**
 * Which virtual processors run in the next slice of time. Each machine is owed its entitlement of every slice; who is owed
 * most runs, and what it runs is taken off what it is owed. So nobody is ever behind or ahead of his entitlement by more
 * than a few slices, however long it goes on. Pure, but for what it remembers.
 */
import { type Claim, entitlements } from './entitlement.ts'

/** Work of one virtual processor, in slices. */
export interface Runner {
  /** What it has to compute and has not computed. */
  backlog: number
}

/** A machine as it competes. */
export interface Competitor {
  readonly shares: number
  /** In processors. */
  readonly reservation: number
  readonly limit: number
  /** How much of the time each virtual processor has something to compute, 0 to 1. */
  readonly load: number
  readonly runners: readonly Runner[]
  /** Slices that it is owed, or (negative) has had in advance. */
  owed: number
}

/** Work that waits for its processor is not more than this: a program that is late does not ask for ever more. */
const MOST_BACKLOG = 64
/** Nobody saves processor time up for later, and nobody's debt grows: slices for each virtual processor. */
const MOST_OWED = 8
/** Sums of fractions are not exact. */
const TOLERANCE = 1e-9

export interface Decision {
  /** Indices: of the competitor, and of its runner. */
  readonly competitor: number
  readonly runner: number
}

/** In processors: what each competitor is entitled to in the next slice. Work of that slice has come. */
function entitled(competitors: readonly Competitor[], processors: number): number[] {
  const claims = competitors.map(({ shares, reservation, limit, runners }): Claim => {
    // Who has a whole slice of work can use a processor for one.
    const demand = runners.filter(({ backlog }) => backlog >= 1).length
    return { shares, reservation, limit, demand }
  })
  return entitlements(claims, processors)
}

export interface Slice {
  readonly chosen: readonly Decision[]
  /** In processors: what each competitor was entitled to. */
  readonly parts: readonly number[]
}

/** One slice on `processors`: work comes, and who is owed most computes. */
export function nextSlice(competitors: readonly Competitor[], processors: number): Slice {
  for (const { load, runners } of competitors) {
    for (const runner of runners) runner.backlog = Math.min(MOST_BACKLOG, runner.backlog + load)
  }
  const parts = entitled(competitors, processors)
  const candidates: (Decision & { readonly owed: number; readonly backlog: number })[] = []
  for (const [i, competitor] of competitors.entries()) {
    const { runners } = competitor
    const ready = runners.flatMap(({ backlog }, runner) => (backlog >= 1 ? [{ runner, backlog }] : []))
    const most = MOST_OWED * runners.length
    const owing = Math.max(-most, Math.min(most, competitor.owed + parts[i]!))
    competitor.owed = ready.length === 0 ? 0 : owing
    const limited = competitor.limit < runners.length
    // Its longest waiting virtual processors first; each takes a slice off what the machine is owed.
    ready.sort((a, b) => b.backlog - a.backlog || a.runner - b.runner)
    for (const [taken, { runner, backlog }] of ready.entries()) {
      const owed = competitor.owed - taken
      // A processor that nobody is owed goes to who could use it, unless he has his limit.
      if (owed > TOLERANCE || !limited) candidates.push({ competitor: i, runner, owed, backlog })
    }
  }
  candidates.sort((a, b) => b.owed - a.owed || a.competitor - b.competitor || a.runner - b.runner)
  const chosen = candidates.slice(0, processors)
  for (const { competitor, runner } of chosen) {
    competitors[competitor]!.owed -= 1
    competitors[competitor]!.runners[runner]!.backlog -= 1
  }
  return { chosen: chosen.map(({ competitor, runner }) => ({ competitor, runner })), parts }
}
