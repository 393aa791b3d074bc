import { describe, expect, it } from 'vitest'
import type { Labels } from '../../../src/experiments/sweeps/axes.ts'
import { resultOf } from './documents.ts'

/** Reads grow with the size; writes are three times as fast, and stay. */
const numbers = ({ engine, size }: Labels) => ({
  metrics: { throughput: engine === 'writes' ? 30 : 10 + Number(size) / 1024 },
  bottleneck: engine === 'writes' ? 'link' : 'tags',
})

const judged = (expectation: object) =>
  resultOf(numbers, { expect: [{ say: 'so it is', ...expectation }] }).expectations[0]!

describe('an expectation of a metric', () => {
  it('holds if every point it is about is within its bounds', () => {
    expect(judged({ metric: 'throughput', atLeast: 10, atMost: 30 }).passed).toBe(true)
    expect(
      judged({ metric: 'throughput', where: { engine: 'writes' }, atLeast: 30, atMost: 30 }).passed,
    ).toBe(true)
  })

  it('fails if one point is outside, and tells which', () => {
    expect(judged({ metric: 'throughput', where: { size: [256, 1024] }, atLeast: 10.9 })).toEqual({
      say: 'so it is',
      passed: false,
      found: 'throughput is 10.3 Gb/s at engine reads, size 256',
    })
  })

  it('tells the closest call if it holds', () => {
    expect(judged({ metric: 'throughput', atLeast: 5 }).found).toBe(
      'throughput is 10.1 Gb/s at engine reads, size 64',
    )
  })

  it('judges ratios to the point that differs in the named axes only', () => {
    const writesOverReads = { metric: 'throughput', where: { engine: 'writes' }, over: { engine: 'reads' } }
    expect(judged({ ...writesOverReads, atLeast: 2.7 }).passed).toBe(true)
    expect(judged({ ...writesOverReads, atLeast: 2.8 })).toMatchObject({
      passed: false,
      found: 'throughput at engine writes, size 1024 is 2.73 times that at engine reads, size 1024',
    })
  })

  it('fails where the metric is missing', () => {
    expect(judged({ metric: 'drops', atMost: 1 })).toMatchObject({ passed: false })
    expect(judged({ metric: 'drops', along: 'size', goes: 'level' })).toMatchObject({ passed: false })
  })
})

describe('an expectation of a course', () => {
  const reads = { metric: 'throughput', where: { engine: 'reads' }, along: 'size' }
  const writes = { ...reads, where: { engine: 'writes' } }

  it('says that a metric goes up, down, or stays along an axis', () => {
    expect(judged({ ...reads, goes: 'up' }).passed).toBe(true)
    expect(judged({ ...reads, goes: 'down' }).passed).toBe(false)
    expect(judged({ ...writes, goes: 'level' }).passed).toBe(true)
    expect(judged({ ...writes, goes: 'up' }).passed).toBe(false)
  })

  it('holds along the axis for each value of the others', () => {
    const all = { metric: 'throughput', along: 'size', goes: 'level', within: 0.01 }
    expect(judged(all)).toMatchObject({ passed: false, found: expect.stringContaining('at engine reads') })
    expect(judged({ ...all, within: 0.2 }).passed).toBe(true)
  })

  it('may stray by the share that is allowed', () => {
    const wavy = ({ size }: Labels) => ({ metrics: { throughput: { 64: 10, 256: 9.5, 1024: 20 }[size!]! } })
    const passed = (within: number) =>
      resultOf(wavy, { expect: [{ say: 's', metric: 'throughput', along: 'size', goes: 'up', within }] })
        .passed
    expect(passed(0.06)).toBe(true)
    expect(passed(0.04)).toBe(false)
  })
})

describe('an expectation of the bottleneck', () => {
  it('names the resource that is in the way', () => {
    expect(judged({ where: { engine: 'reads' }, bottleneck: 'tags' }).passed).toBe(true)
    expect(judged({ bottleneck: ['tags', 'link'] }).passed).toBe(true)
    expect(judged({ bottleneck: 'tags' })).toMatchObject({
      passed: false,
      found: 'link is in the way at engine writes, size 64',
    })
  })
})

describe('a sweep', () => {
  it('has passed if all its expectations hold', () => {
    const good = { say: 'a', metric: 'throughput', atLeast: 1 }
    const bad = { say: 'b', metric: 'throughput', atLeast: 99 }
    expect(resultOf(numbers, { expect: [good] }).passed).toBe(true)
    expect(resultOf(numbers, { expect: [good, bad] }).passed).toBe(false)
    expect(resultOf(numbers).passed).toBe(true)
  })
})
