import { describe, expect, it } from 'vitest'
import { judgePolicies } from '../../src/conformance/index.ts'

describe('policies decide the worked cases as their systems do', () => {
  const { verdicts } = judgePolicies(['test/data/policy-cases/cases.json'])
  const systems = [...new Set(verdicts.map(({ id }) => id.split(':')[0]!))]

  it('of fourteen systems', () => expect(systems.length).toBe(14))

  it.each(systems)('%s', system => {
    const cases = verdicts.filter(({ id }) => id.startsWith(`${system}:`))
    expect(cases.length).toBeGreaterThan(0)
    expect(cases.filter(({ failures }) => failures > 0)).toEqual([])
  })
})
