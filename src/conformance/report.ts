/** What a conformance run found, and how it is told: a line per failure and one line of sums. */

/** One thing that was not as recorded. */
export interface Failure {
  /** Place in the program or capture: a step index, or the name of a check. */
  readonly at: string
  readonly expected: string
  readonly got: string
}

/** The judgement on one program or capture. */
export interface Verdict {
  readonly id: string
  /** Comparisons made. */
  readonly checks: number
  /** The first thing that was wrong, and how many there were. */
  readonly failure?: Failure
  readonly failures: number
  /** Why nothing was compared. */
  readonly skipped?: string
}

export interface Report {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  readonly verdicts: readonly Verdict[]
}

export const reportOf = (verdicts: readonly Verdict[]): Report => ({
  passed: verdicts.filter(({ skipped, failures }) => skipped === undefined && failures === 0).length,
  failed: verdicts.filter(({ failures }) => failures > 0).length,
  skipped: verdicts.filter(({ skipped }) => skipped !== undefined).length,
  verdicts,
})

/** One line per failed or skipped verdict; the last line is `N passed, M failed`. */
export function tellReport({ passed, failed, verdicts }: Report): string {
  const lines = verdicts.flatMap(({ id, failure, failures, skipped }) => {
    if (skipped !== undefined) return [`${id}: skipped: ${skipped}`]
    if (failure === undefined) return []
    const more = failures > 1 ? ` (and ${failures - 1} more)` : ''
    return [`${id}: ${failure.at}: expected ${failure.expected}, got ${failure.got}${more}`]
  })
  return [...lines, `${passed} passed, ${failed} failed`].join('\n')
}
