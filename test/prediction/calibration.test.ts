/** The fit finds what is there to be found, tells nothing it was not told, and the shipped files are its outcome. */
import { describe, expect, it } from 'vitest'
import { fitParameters, middleOf } from '../../src/prediction/calibration/fit.ts'
import { leaveOneOut } from '../../src/prediction/calibration/leave-one-out.ts'
import { errorsOf, lossOf, quantile, seriesOf } from '../../src/prediction/calibration/score.ts'
import {
  checkIndependent,
  factorsOf,
  isMeasurement,
  isModelled,
  predict,
  shippedCostBook,
} from '../../src/prediction/index.ts'
import { estimateScenario } from '../../src/prediction/predict.ts'
import { independent, published, record } from './records.ts'

const book = shippedCostBook()
const free = book.free()
const operation = (id: string, value: string, more = {}) =>
  record({
    id,
    series: id,
    study: id,
    metric: 'operation_cost',
    cpu: 'Xeon E5-2450',
    x: { name: 'op', value },
    configuration: { mode: 'hardware-assisted' },
    ...more,
  })

describe('a fit', () => {
  it('finds the parameters of a machine from what is measured on it', () => {
    const truth = book.with(
      new Map([
        ['machines/default:hypercallHandler', 700],
        ['machines/default:userSpaceRoundTrip', 3333],
      ]),
    )
    const asked = [
      operation('a', 'null hypercall'),
      operation('b', 'exit handled in host kernel'),
      operation('c', 'exit handled in host user space'),
    ]
    const measured = asked.map((each, i) => {
      const answer = predict(asked, truth)[i]!
      return { ...each, value: isModelled(answer) ? answer.value : 0 }
    })
    const series = seriesOf(measured)
    const found = book.with(fitParameters(series, book, free))
    expect(lossOf(series, found)).toBeLessThan(0.02)
    expect(lossOf(series, found)).toBeLessThan(
      lossOf(series, book.with(new Map(free.map(each => [each.key, middleOf(each)])))),
    )
  })

  it('leaves what nothing depends on as it is', () => {
    const values = fitParameters(seriesOf([{ ...operation('a', 'null hypercall'), value: 1300 }]), book, free)
    const untouched = free.find(({ key }) => key === 'devices/nfp6000:deviceReadTags')!
    expect(values.has(untouched.key)).toBe(false)
  })

  it('never leaves a range', () => {
    const values = fitParameters(seriesOf([{ ...operation('a', 'null hypercall'), value: 1e6 }]), book, free)
    for (const {
      key,
      range: [low, high],
    } of free) {
      const value = values.get(key) ?? low
      expect(value).toBeGreaterThanOrEqual(low)
      expect(value).toBeLessThanOrEqual(high)
    }
  })

  it('does not see what is recalled or computed', () => {
    expect(isMeasurement({ ...operation('a', 'vmcall'), value: 1, provenance: 'memory' })).toBe(false)
    expect(isMeasurement({ ...operation('a', 'vmcall'), value: 1, fromMemory: true })).toBe(false)
    expect(isMeasurement({ ...operation('a', 'vmcall'), value: 1, provenance: 'analytic' })).toBe(false)
    expect(isMeasurement({ ...operation('a', 'vmcall'), value: 1, provenance: 'raw-data' })).toBe(true)
  })
})

describe('a study left out', () => {
  it('does not change its own prediction by its values', () => {
    const other = { ...operation('other', 'exit handled in host kernel'), value: 2500 }
    const leftOut = (value: number) => {
      const series = seriesOf([other, { ...operation('own', 'null hypercall'), value }])
      const fitted = fitParameters(series, book, free)
      const [, own] = leaveOneOut(series, book, free, fitted, estimateScenario)
      return own!.series[0]!.points[0]!.prediction
    }
    expect(leftOut(500)).toEqual(leftOut(5000))
  })
})

describe('the shipped cost files', () => {
  it('reproduce the published series: half of them within 6 %, nine of ten within 35 %', () => {
    const medians = seriesOf(published()).map(each =>
      quantile(errorsOf(each, book, estimateScenario).errors, 0.5),
    )
    expect(quantile(medians, 0.5)).toBeLessThan(0.06)
    expect(quantile(medians, 0.9)).toBeLessThan(0.35)
  })

  it('have every value within its range, and a source for it', () => {
    for (const {
      value,
      range: [low, high],
      source,
    } of free) {
      expect(value).toBeGreaterThanOrEqual(low)
      expect(value).toBeLessThanOrEqual(high)
      expect(source.length).toBeGreaterThan(5)
    }
  })
})

describe('measurements of studies that no fit has seen', () => {
  const checked = checkIndependent(independent(), book)

  it('are answered, half of them within a factor of 1.5', () => {
    expect(checked.filter(({ outcome }) => typeof outcome === 'string')).toEqual([])
    expect(factorsOf(checked).median).toBeLessThan(1.5)
  })

  it('are of other studies than the fitted ones, and each says where it was published', () => {
    const fitted = new Set(published().map(({ study }) => study))
    for (const { record } of checked) {
      expect(fitted.has(record.study)).toBe(false)
      expect(record['source']).toMatch(/.{10,}/)
    }
  })
})
