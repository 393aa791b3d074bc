// biome-ignore-all lint/suspicious/noTemplateCurlyInString: places of saved values are written like this
import { describe, expect, it } from 'vitest'
import { NorthbridgeError } from '../../src/core/index.ts'
import { drive, type Software } from '../../src/engine/index.ts'
import {
  type ExperimentOperations,
  type ExperimentReport,
  parseExperiment,
  runExperiment,
  tellEnd,
  tellStep,
} from '../../src/experiments/index.ts'

/** A table of two operations: one gives back its input, one refuses. */
const operations: ExperimentOperations & { seen: unknown[] } = {
  seen: [],
  has: id => id === 'echo' || id === 'refuse' || id === 'list',
  *execute(id, input): Software<unknown> {
    operations.seen.push(input)
    if (id === 'refuse')
      throw new NorthbridgeError('functionInUse', 'it belongs to "alpha"', { owner: 'alpha' })
    if (id === 'list')
      return [
        { name: 'a', n: 1 },
        { name: 'b', n: 2 },
      ]
    yield undefined
    return input
  },
  tell: (id, output) => (id === 'echo' ? `said ${JSON.stringify(output)}` : undefined),
}

function run(...steps: unknown[]): ExperimentReport {
  operations.seen = []
  const experiment = parseExperiment({ title: 't', topology: 'x', steps }, operations)
  return drive(
    runExperiment(experiment, 'p1', operations, () => {}),
    () => false,
  )
}

describe('an experiment', () => {
  it('hands the platform to every operation', () => {
    expect(run({ do: 'echo', with: { a: 1 }, expect: { platform: 'p1', a: 1 } }).passed).toBe(true)
  })

  it('keeps values and puts them where their name stands, with their type', () => {
    const report = run(
      { do: 'echo', with: { n: 7, list: ['x', { y: 'z' }] }, save: { n: '/n', y: '/list/1/y', all: '' } },
      { say: 'n is ${n}', do: 'echo', with: { a: '${n}', b: 'n=${n}', c: '${all/list/0}', '${y}': 1 } },
    )
    expect(report.steps[1]).toMatchObject({ say: 'n is 7', input: { a: 7, b: 'n=7', c: 'x', z: 1 } })
  })

  it('writes an index as the address of a remappable interrupt message', () => {
    // Interrupt_Format (bit 4) set, SHV (bit 3) clear, handle[14:0] in bits 19:5, handle[15] in bit 2.
    const report = run(
      { do: 'echo', with: { small: 3, large: 0x8001 }, save: { small: '/small', large: '/large' } },
      { do: 'echo', with: { a: '${small | messageAddress}', b: '${large | messageAddress}' } },
    )
    expect(report.steps[1]!.input).toEqual({ a: '0xfee00070', b: '0xfee00034' })
  })

  it('stops at the first result that is not as expected', () => {
    const report = run({ do: 'echo', with: { a: 1 }, expect: { a: 2 } }, { do: 'echo' })
    expect(report.passed).toBe(false)
    expect(report.steps).toHaveLength(1)
    expect(report.steps[0]!.failures).toEqual(['/a is 1, not 2'])
    expect(tellStep(report.steps[0]!, operations)).toContain('✗')
    expect(tellEnd(report)).toContain('step 1')
  })

  it('expects a refusal by its code, a part of its message, and its facts', () => {
    expect(
      run({ do: 'refuse', refused: { code: 'functionInUse', message: 'alpha', details: { owner: 'alpha' } } })
        .passed,
    ).toBe(true)
    expect(run({ do: 'refuse', refused: { code: 'groupNotViable' } }).steps[0]!.failures).toHaveLength(1)
    expect(run({ do: 'refuse', refused: { code: 'functionInUse', message: 'beta' } }).passed).toBe(false)
    expect(run({ do: 'refuse', refused: { code: 'functionInUse', details: { owner: 'beta' } } }).passed).toBe(
      false,
    )
    expect(run({ do: 'echo', refused: { code: 'functionInUse' } }).passed).toBe(false)
    expect(run({ do: 'refuse' }).steps[0]!.failures[0]).toContain('functionInUse')
  })

  it('goes on with an item that it finds in a list', () => {
    const report = run(
      { do: 'list', find: { name: 'b' }, save: { n: '/n' } },
      { do: 'echo', with: { n: '${n}' }, expect: { n: 2 } },
    )
    expect(report.passed).toBe(true)
    expect(run({ do: 'list', find: { name: 'c' } }).passed).toBe(false)
  })

  it('is refused with the path of what is wrong in its document', () => {
    const issues = (document: unknown) => {
      try {
        parseExperiment(document, operations)
      } catch (error) {
        return (error as NorthbridgeError).details.issues!.map(issue => issue.path)
      }
      return []
    }
    expect(issues({ title: 't', topology: 'x', steps: [{ do: 'nothing' }] })).toEqual(['/steps/0/do'])
    expect(issues({ title: 't', topology: 'x', steps: [{ say: 'x', save: { a: '/b' } }] })).toEqual([
      '/steps/0',
    ])
    expect(issues({ title: 't', topology: 'x', steps: [{ say: 'x', extra: 1 }] })).toEqual(['/steps/0/extra'])
    expect(issues({ title: 't', topology: 'x', steps: [] })).toEqual(['/steps'])
    expect(issues(null)).toEqual([''])
  })

  it('names a value that no step saved', () => {
    expect(() => run({ do: 'echo', with: { a: '${nothing}' } })).toThrow(/nothing/)
    expect(() => run({ do: 'echo', with: { a: 1 }, save: { x: '/b' } })).toThrow(/\/b/)
  })
})
