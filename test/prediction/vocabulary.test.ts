/** Whatever is asked in the terms of the vocabulary is predicted, or refused with a reason. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isModelled, predict, shippedCostBook } from '../../src/prediction/index.ts'
import { SIMULATED } from '../../src/prediction/simulated/index.ts'
import { record, vocabulary } from './records.ts'

const { metrics, x, values } = vocabulary()
const book = shippedCostBook()

/** Those without a simulation, so that many can be asked; and the others. */
const quick = Object.keys(metrics).filter(metric => !(metric in SIMULATED))
const simulated = Object.keys(metrics).filter(metric => metric in SIMULATED)
/** `RUNS=1000` hunts for longer. */
const RUNS = Number(process.env['RUNS'] ?? 40)

const circumstances = {
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
      mtu: fc.constantFrom(64, 1500, 4096, 9000),
      direction: fc.constantFrom('rx', 'tx', 'rd', 'wr', 'rw', 'wrrd'),
      ringBuffer: fc.constantFrom(1, 256, 4096),
      windowBytes: fc.constantFrom(64, 8192, 1 << 26),
      pages4k: fc.constantFrom(1, 16, 512),
      pageSize: fc.constantFrom(4096, 1 << 21),
      pcie: fc.constantFrom('gen3 x8', 'gen1 x1', 'gen5 x16'),
      netqueue: fc.constantFrom('on', 'off'),
      nested: fc.boolean(),
    },
    { requiredKeys: ['mode'] },
  ),
  conditions: fc.constantFrom('', 'UDP', 'polled', 'guest to host', '3 NVMe SSDs', 'after the patch'),
  system: fc.constantFrom('', 'VMware ESX 3.5', 'VMware Workstation', 'QEMU backend', 'SMMUv3', 'Xen'),
}
const questions = fc.record({ metric: fc.constantFrom(...quick), ...circumstances })
const longQuestions = fc.record({ metric: fc.constantFrom(...simulated), ...circumstances })

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

  it('is answered so too where the answer is a simulation', () => {
    fc.assert(
      fc.property(longQuestions, question => {
        const [answer] = predict([record(question)], book)
        if (!isModelled(answer!)) {
          expect(answer!.notModelled.length).toBeGreaterThan(10)
          return
        }
        expect(answer.value).toBeGreaterThanOrEqual(0)
        expect(Number.isFinite(answer.value)).toBe(true)
        const { parts, total } = answer.breakdown
        const sum = parts.reduce((all, { amount }) => all + amount, 0)
        expect(Math.abs(sum - total)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(total)))
      }),
      { numRuns: RUNS },
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

describe('a record full of nulls', () => {
  it('is a record like one without those fields', () => {
    const asked = { metric: 'operation_cost', x: { name: 'op', value: 'vmcall' } }
    const nulls = {
      system: null,
      cpu: null,
      year: null,
      conditions: null,
      value: null,
      provenance: null,
      series: null,
    }
    const configuration = { mode: 'hardware-assisted', vms: null, linkGbps: null, msgBytes: null }
    expect(predict([record({ ...asked, ...nulls, configuration })], book)).toEqual(
      predict([record({ ...asked, configuration: { mode: 'hardware-assisted' } })], book),
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

describe('a record that describes what cannot be built', () => {
  it('is refused with the reason, and the others are answered', () => {
    const impossible = { metric: 'dma_bandwidth', configuration: { mode: 'native', pcie: 'gen3 x5' } }
    const possible = {
      metric: 'operation_cost',
      x: { name: 'op', value: 'vmcall' },
      configuration: { mode: 'hardware-assisted' },
    }
    const [first, second] = predict([record(impossible), record(possible)], book)
    expect(first).toMatchObject({ notModelled: expect.stringContaining('/link/lanes') })
    expect(second).toHaveProperty('value')
  })
})

describe('a file that holds no records', () => {
  it('is refused with the place and the rule', () => {
    expect(() => record({ metric: 7 })).toThrow(/records.*\/0\/metric/)
  })
})
