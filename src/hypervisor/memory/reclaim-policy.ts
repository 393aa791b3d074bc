/**
 * Who loses memory when there is too little: "min-funding revocation" with a tax on idle memory (Waldspurger, "Memory
 * Resource Management in VMware ESX Server", OSDI 2002, §5). Pure.
 */

/** What the policy knows of a virtual machine. */
export interface MemoryClient {
  /** Weight against others. */
  readonly shares: number
  /** Host pages that are its own. */
  readonly resident: number
  /** Pages that it keeps whatever happens: its reservation, or all while a device holds them. */
  readonly kept: number
  /** Part of its resident pages that it used lately, 0 to 1. */
  readonly active: number
}

/** Of the paper: an idle page costs 1/(1 − τ) times as much as one in use. */
export const IDLE_TAX = 0.75

/** Shares that a machine pays for each of its pages: who pays least loses the next one. */
export function sharesPerPage({ shares, resident, active }: MemoryClient, idleTax: number): number {
  if (resident === 0) return Number.POSITIVE_INFINITY
  const idleCost = 1 / (1 - idleTax)
  return shares / (resident * (active + idleCost * (1 - active)))
}

/**
 * How many pages each of `clients` loses so that `needed` are free, taken `step` at a time from who pays least for each of
 * its pages. Less in all where nobody has more to lose.
 */
export function revoke(
  clients: readonly MemoryClient[],
  needed: number,
  step: number,
  idleTax = IDLE_TAX,
): number[] {
  const lost = clients.map(() => 0)
  for (let left = needed; left > 0; ) {
    let victim = -1
    let least = Number.POSITIVE_INFINITY
    for (const [i, client] of clients.entries()) {
      const resident = client.resident - lost[i]!
      if (resident <= client.kept) continue
      const pays = sharesPerPage({ ...client, resident }, idleTax)
      if (pays >= least) continue
      least = pays
      victim = i
    }
    if (victim < 0) break
    const { resident, kept } = clients[victim]!
    const part = Math.min(step, left, resident - lost[victim]! - kept)
    lost[victim]! += part
    left -= part
  }
  return lost
}
