import { globSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { planSweep, runPoint, sweepResult } from '../../../src/experiments/index.ts'
import { installation, readDocument } from '../../../src/operations/index.ts'

const FILES = globSync('experiments/sweeps/*.yaml').sort()
const { topologies } = installation()
const planOf = (file: string) => planSweep(readDocument(file), name => topologies.get(name).topology)

describe('the shipped sweeps', () => {
  it('are nine at least, each with a title of its own and something to expect', () => {
    const documents = FILES.map(file => planOf(file).document)
    expect(documents.length).toBeGreaterThanOrEqual(9)
    expect(new Set(documents.map(({ title }) => title)).size).toBe(documents.length)
    for (const { expect: expected, about } of documents) {
      expect(expected.length).toBeGreaterThan(0)
      expect(about).not.toBe('')
    }
  })

  it.each(FILES)('%s is as expected', file => {
    const plan = planOf(file)
    const { expectations } = sweepResult(
      plan,
      plan.points.map(({ configuration }) => runPoint(configuration)),
    )
    expect(expectations.filter(({ passed }) => !passed)).toEqual([])
  })
})
