/** How much is kept. */

/** Answers under idempotency keys; the oldest go first. */
export const MOST_ANSWERS = 10_000
/** Of a world, beside its origins: the newest states, for going back quickly. */
export const MOST_SNAPSHOTS = 8
