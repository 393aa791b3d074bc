import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { judgePolicies } from '../../src/conformance/index.ts'

/** `more-cases.json`: the rest of the tests upstream that `source` names, and the edges of the rules behind them. */
describe.each(['cases', 'more-cases'])('policies decide the worked cases as their systems do: %s', file => {
  const { verdicts } = judgePolicies([`test/data/policy-cases/${file}.json`])
  const systems = [...new Set(verdicts.map(({ id }) => id.split(':')[0]!))]

  it('of fourteen systems', () => expect(systems.length).toBe(14))

  it.each(systems)('%s', system => {
    const cases = verdicts.filter(({ id }) => id.startsWith(`${system}:`))
    expect(cases.length).toBeGreaterThan(0)
    expect(cases.filter(({ failures }) => failures > 0)).toEqual([])
  })
})

describe('the runner', () => {
  const failuresOf = (workedCase: object) => {
    const path = join(mkdtempSync(join(tmpdir(), 'northbridge-cases-')), 'cases.json')
    writeFileSync(path, JSON.stringify([workedCase]))
    const [verdict] = judgePolicies([path]).verdicts
    rmSync(dirname(path), { recursive: true })
    return verdict!
  }
  const CASE = {
    system: 'sriov-network-device-plugin',
    case: 'one',
    devices: [{ vendor: '8086' }, { vendor: '15b3' }],
    policy: { selectors: { vendors: ['8086'] } },
    request: { op: 'filter' },
    expected: { decision: 'match', selected_index: [0] },
  }

  it('takes a folder, and leaves aside what is no list of cases', () => {
    const { verdicts } = judgePolicies(['test/data/policy-cases'])
    expect(verdicts.every(({ failures }) => failures === 0)).toBe(true)
    expect(verdicts.length).toBeGreaterThan(700)
  })

  it('fails a case whose expectation does not hold, and says what it got', () => {
    expect(failuresOf(CASE)).toMatchObject({ failures: 0 })
    const wrong = failuresOf({ ...CASE, expected: { decision: 'match', selected_index: [1] } })
    expect(wrong).toMatchObject({ failures: 1, failure: { at: 'selected_index', got: '[0]' } })
  })

  it('fails a case of a system, a shape or a fact that it does not know', () => {
    expect(failuresOf({ ...CASE, system: 'hyper-v' }).failure).toMatchObject({ at: 'system' })
    expect(failuresOf({ ...CASE, policy: 'none' }).failure).toMatchObject({ at: 'case' })
    const unknown = failuresOf({ ...CASE, expected: { decision: 'match', colour: 'red' } })
    expect(unknown.failure).toMatchObject({ at: 'colour', got: 'nothing' })
  })

  it('compares that there is a warning, and not its words', () => {
    const warned = {
      system: 'linux-vfio',
      case: 'unsafe',
      devices: [],
      policy: { allow_unsafe_interrupts: 1, isolated_msi: false },
      request: { op: 'set IOMMU' },
      expected: { decision: 'allow', warning: 'any words' },
    }
    expect(failuresOf(warned).failures).toBe(0)
    expect(failuresOf({ ...warned, policy: { isolated_msi: true } }).failure).toMatchObject({ at: 'warning' })
  })
})
