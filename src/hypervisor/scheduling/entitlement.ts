/**
 * What each virtual machine may have of a resource that is too small for all: its reservation at least, its limit and its
 * demand at most, and in between by its shares. Pure.
 *
 * There is one number λ so that everybody gets λ times his shares, raised to his reservation or cut to his limit and
 * demand, and all of it together is what there is: "progressive filling" (Bertsekas and Gallager, "Data Networks", 2nd
 * edition, §6.5.2) with weights and floors.
 */

export interface Claim {
  readonly shares: number
  readonly reservation: number
  readonly limit: number
  /** What it could use now. */
  readonly demand: number
}

/** What a claim gives at a level λ. */
function at({ shares, reservation, limit, demand }: Claim, level: number): number {
  const most = Math.min(limit, demand)
  return Math.min(most, Math.max(Math.min(reservation, most), level * shares))
}

/** Reservations are known to fit. Returns what each of `claims` gets of `capacity`. */
export function entitlements(claims: readonly Claim[], capacity: number): number[] {
  const total = (level: number): number => claims.reduce((sum, claim) => sum + at(claim, level), 0)
  // The sum is linear between the levels at which somebody leaves his floor or meets his ceiling.
  const bends = claims.flatMap(({ shares, reservation, limit, demand }) => {
    const most = Math.min(limit, demand)
    return [Math.min(reservation, most) / shares, most / shares]
  })
  const levels = [0, ...bends].sort((a, b) => a - b)
  let below = 0
  for (const level of levels) {
    if (total(level) <= capacity) {
      below = level
      continue
    }
    const [low, high] = [total(below), total(level)]
    const reached = below + ((capacity - low) / (high - low)) * (level - below)
    return claims.map(claim => at(claim, reached))
  }
  return claims.map(claim => at(claim, below))
}
