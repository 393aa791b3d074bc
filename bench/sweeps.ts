/**
 * Sweeps: how much sooner they end with more workers, and what a thread costs that has to be started first. Run by
 * `npm run bench -- sweeps`.
 */
import { planSweep } from '../src/experiments/index.ts'
import { defaultWorkers, pointRunner } from '../src/workers/index.ts'
import { report } from './measure.ts'

const ROUNDS = 3

/** Sixty-four points of some 25 ms each. */
const { points } = planSweep(
  {
    title: 'work',
    configuration: { duration: 3e7, workload: { kind: 'network', model: 'sriov' } },
    axes: [{ field: '/seed', from: 1, to: 64, step: 1 }],
  },
  () => {
    throw new Error('the document names no topology')
  },
)

const all = defaultWorkers()
const runners = [...new Set([1, 2, all])].map(workers => ({
  name: `${workers} of ${all} workers, a point`,
  runner: pointRunner(workers),
  times: [] as number[],
}))
for (let round = -1; round < ROUNDS; round++) {
  for (const { runner, times } of runners) {
    const start = performance.now()
    await runner.run(points)
    // The first round starts the threads and is not counted.
    if (round >= 0) times.push(((performance.now() - start) * 1e6) / points.length)
  }
}
for (const { runner } of runners) await runner.close()
report(new Map(runners.map(({ name, times }) => [name, times.sort((a, b) => a - b)[times.length >>> 1]!])))
