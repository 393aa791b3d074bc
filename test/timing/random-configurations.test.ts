/** Whatever the schema admits is simulated to the end, and its accounts are in order. `RUNS=2000` hunts for longer. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NorthbridgeError } from '../../src/core/index.ts'
import { type ConfigurationInput, parseConfiguration, type Result, simulate } from '../../src/timing/index.ts'
import { machines, workloads } from './configurations.ts'

const RUNS = Number(process.env['RUNS'] ?? 60)

function run(input: ConfigurationInput): Result | undefined {
  try {
    return simulate(parseConfiguration(input))
  } catch (error) {
    // A document may be refused; nothing else may go wrong.
    if (error instanceof NorthbridgeError) return undefined
    throw error
  }
}

describe.each(Object.entries(workloads))('any simulation of %s', (_, workload) => {
  it('ends, uses no resource for longer than there is time, and tells where each nanosecond went', () => {
    fc.assert(
      fc.property(machines, workload, (machine, work) => {
        const result = run({ ...machine, workload: work })
        if (result === undefined) return
        for (const { name, utilisation } of result.resources) {
          expect(utilisation, name).toBeGreaterThanOrEqual(0)
          expect(utilisation, name).toBeLessThanOrEqual(1)
        }
        for (const { total, parts } of [result.breakdown, result.processorBreakdown]) {
          const sum = parts.reduce((all, { nanoseconds }) => all + nanoseconds, 0)
          expect(Math.abs(sum - total)).toBeLessThanOrEqual(1e-9 * Math.max(1, total))
        }
        for (const [name, value] of Object.entries(result.metrics)) {
          expect(value, name).toBeGreaterThanOrEqual(0)
          expect(Number.isFinite(value), name).toBe(true)
        }
      }),
      { numRuns: RUNS },
    )
  })
})
