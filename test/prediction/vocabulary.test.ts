/** Whatever is asked in the terms of the vocabulary is predicted, or refused with a reason. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isModelled, predict, shippedCostBook } from '../../src/prediction/index.ts'
import { record, vocabulary } from './records.ts'

const { metrics, x, values } = vocabulary()
const book = shippedCostBook()

/** Nothing of theirs is answered by a simulation, so that many can be asked. */
const quick = Object.keys(metrics).filter(metric => !/^dma_|ptcache|iotlb|memory_read/.test(metric))

const questions = fc.record({
  metric: fc.constantFrom(...quick),
  x: fc.option(
    fc.record({
      name: fc.constantFrom(...x),
      value: fc.oneof(
        fc.integer({ min: 1, max: 65_536 }),
        fc.constantFrom('rx,1500', 'strict', 'vmcall', ''),
      ),
    }),
  ),
  year: fc.option(fc.integer({ min: 1999, max: 2026 })),
  configuration: fc.record(
    {
      mode: fc.constantFrom(...values.mode),
      iommu: fc.constantFrom(...values.iommu),
      invalidation: fc.constantFrom(...values.invalidation),
      msgBytes: fc.option(fc.integer({ min: 1, max: 65_536 })),
      vms: fc.option(fc.integer({ min: 0, max: 64 })),
      linkGbps: fc.option(fc.constantFrom(1, 10, 25, 40, 100)),
      cores: fc.integer({ min: 1, max: 128 }),
      bounceCopy: fc.boolean(),
    },
    { requiredKeys: ['mode'] },
  ),
})

describe('a question in the terms of the vocabulary', () => {
  it('has a metric that the model knows', () => {
    for (const metric of Object.keys(metrics)) {
      const [answer] = predict([record({ metric, configuration: { mode: 'native' } })], book)
      expect(answer, metric).not.toMatchObject({ notModelled: expect.stringContaining('no metric') })
    }
  })

  it('is answered by a number that is not negative, or refused with a reason', () => {
    fc.assert(
      fc.property(questions, question => {
        const [answer] = predict([record(question)], book)
        if (isModelled(answer!)) expect(answer.value).toBeGreaterThanOrEqual(0)
        else expect(answer!.notModelled.length).toBeGreaterThan(10)
      }),
      { numRuns: 400 },
    )
  })

  it('gets a breakdown that sums to its total', () => {
    fc.assert(
      fc.property(questions, question => {
        const [answer] = predict([record(question)], book)
        if (!isModelled(answer!)) return
        const { parts, total } = answer.breakdown
        const sum = parts.reduce((all, { amount }) => all + amount, 0)
        expect(Math.abs(sum - total)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(total)))
      }),
      { numRuns: 400 },
    )
  })

  it('is answered the same each time', () => {
    fc.assert(
      fc.property(questions, question => {
        expect(predict([record(question)], book)).toEqual(predict([record(question)], shippedCostBook()))
      }),
      { numRuns: 20 },
    )
  })
})

describe('a record with a value', () => {
  it('is predicted without looking at it', () => {
    const asked = {
      metric: 'operation_cost',
      x: { name: 'op', value: 'null hypercall' },
      configuration: { mode: 'hardware-assisted' },
    }
    expect(predict([record({ ...asked, value: 7 })], book)).toEqual(predict([record(asked)], book))
  })
})

describe('a file that holds no records', () => {
  it('is refused with the place and the rule', () => {
    expect(() => record({ configuration: { mode: [] } })).toThrow(/the records: \/0\/configuration\/mode/)
  })
})
