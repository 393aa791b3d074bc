import { afterAll, describe, expect, it } from 'vitest'
import { sweepResult } from '../../src/experiments/index.ts'
import { type PointRunner, pointRunner, ThreadPool } from '../../src/workers/index.ts'
import { plan, QUICK } from '../experiments/sweeps/documents.ts'

const threads = new ThreadPool(2)
afterAll(() => threads.close())

const RUNNERS: readonly (readonly [string, PointRunner])[] = [
  ['this thread', pointRunner(1)],
  ['two threads', threads],
]

/** A document is judged before, so what a simulation itself refuses must be put there by hand. */
const refusing = () => {
  const [point] = plan({ axes: [] }).points
  const machine = { ...point!.configuration.machine, costs: 'abacus' }
  const second = { at: { machine: 'abacus' }, configuration: { ...point!.configuration, machine } }
  return [point!, second]
}

describe.each(RUNNERS)('a sweep on %s', (_name, runner) => {
  it('gives the results in the order of the points, whichever ends first', async () => {
    const { points } = plan()
    const results = await runner.run(points)
    const sizes = results.map(({ metrics }) => (metrics.throughput! / metrics.operationsPerSecond!) * 1e9)
    expect(sizes.map(size => Math.round(size / 8))).toEqual([64, 256, 1024, 64, 256, 1024])
  })

  it('tells each point once when it ends', async () => {
    const { points } = plan()
    const told: number[] = []
    await runner.run(points, { onPoint: index => told.push(index) })
    expect(told.sort()).toEqual(points.map((_point, i) => i))
  })

  it('ends with the refusal of a point, and says which point it was', async () => {
    await expect(runner.run(refusing())).rejects.toMatchObject({
      message: expect.stringMatching(/^at machine abacus: .*abacus/),
      details: { point: { machine: 'abacus' } },
    })
  })

  it('ends early when it is told to', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    let done = 0
    const run = runner.run(plan({ axes: [{ field: '/workload/bytes', from: 1, to: 500, step: 1 }] }).points, {
      onPoint: () => {
        if (++done === 3) controller.abort(reason)
      },
      signal: controller.signal,
    })
    await expect(run).rejects.toBe(reason)
    expect(done).toBeLessThan(50)
  })

  it('goes on after a run that ended early', async () => {
    expect(await runner.run(plan().points)).toHaveLength(6)
  })
})

it('the same seed gives the same result, byte for byte, on one thread and on two', async () => {
  const planned = plan({ seed: 9 })
  const [here, there] = await Promise.all(
    RUNNERS.map(async ([, runner]) => sweepResult(planned, await runner.run(planned.points))),
  )
  expect(JSON.stringify(there)).toBe(JSON.stringify(here))
  expect(here!.traceHash).toMatch(/^[0-9a-f]{64}$/)
})

it('another seed gives another trace where chance has a part', async () => {
  const workload = { ...QUICK.workload, windowBytes: 2 ** 20 }
  const hashOf = async (seed: number) => {
    const planned = plan({ seed, configuration: { ...QUICK, workload, iommu: { mode: 'strict' } } })
    return sweepResult(planned, await pointRunner(1).run(planned.points)).traceHash
  }
  expect(await hashOf(1)).not.toBe(await hashOf(2))
})
