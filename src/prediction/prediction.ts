/** What the model answers: a value with where it comes from, or why there is none. */

export interface Part {
  /** What is used: a processor, a link, a lock; `''` for a pure delay or a count. */
  readonly resource: string
  readonly cause: string
  readonly amount: number
}

/** The parts sum to the total. Of a rate it is the time between two operations, of a latency the latency itself. */
export interface Breakdown {
  readonly unit: string
  readonly total: number
  readonly parts: readonly Part[]
  /** The resource that allows the fewest operations, and the one that would be next. */
  readonly bottleneck?: string
  readonly next?: string
}

export interface Modelled {
  readonly value: number
  readonly breakdown: Breakdown
}

export interface NotModelled {
  readonly notModelled: string
}

export type Prediction = Modelled | NotModelled

export const isModelled = (prediction: Prediction): prediction is Modelled => 'value' in prediction
export const notModelled = (reason: string): NotModelled => ({ notModelled: reason })

export const part = (resource: string, cause: string, amount: number): Part => ({ resource, cause, amount })

const totalOf = (parts: readonly Part[]): number => parts.reduce((sum, { amount }) => sum + amount, 0)
const present = (parts: readonly Part[]): Part[] => parts.filter(({ amount }) => amount !== 0)

/** Steps one after the other: the value is their sum. */
export function summed(unit: string, parts: readonly Part[]): Modelled {
  const total = totalOf(parts)
  return { value: total, breakdown: { unit, total, parts: present(parts) } }
}

/** The same breakdown told with another value, e.g. a rate from a time. */
export const valued = ({ breakdown }: Modelled, value: number): Modelled => ({ value, breakdown })

/** How sharply the slowest resource alone decides; the rest is waiting where two are nearly as slow. */
const SHARPNESS = 12

/**
 * Resources that work at the same time on different operations: the slowest sets the pace. Where others come near, their
 * queues interfere; a norm of the demands stands for that, and what it adds is told as waiting.
 */
export function paced(unit: string, parts: readonly Part[], sharpness = SHARPNESS): Modelled {
  const demands = new Map<string, number>()
  for (const { resource, amount } of parts) demands.set(resource, (demands.get(resource) ?? 0) + amount)
  const [[bottleneck, most] = ['', 0], next] = [...demands].sort(([, a], [, b]) => b - a)
  const ratios = [...demands.values()].reduce((sum, demand) => sum + (demand / most) ** sharpness, 0)
  const total = most === 0 ? 0 : most * ratios ** (1 / sharpness)
  const own = present(parts.filter(({ resource }) => resource === bottleneck))
  const waiting = part(bottleneck, 'waiting for the other resources', total - totalOf(own))
  return {
    value: total,
    breakdown: {
      unit,
      total,
      parts: present([...own, waiting]),
      bottleneck,
      ...(next !== undefined && next[1] > 0 && { next: next[0] }),
    },
  }
}
