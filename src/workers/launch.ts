/** Experiments of a server: simulated on its threads while it goes on answering. */
import { NorthbridgeError } from '../core/index.ts'
import { type LaunchExperiment, now } from '../operations/index.ts'
import type { PointRunner } from './pool.ts'

/** Starts experiments on a runner, and does not wait for them. */
export const launchOn =
  (runner: PointRunner): LaunchExperiment =>
  job =>
    now(() => {
      const controller = new AbortController()
      job.onCancel(() => controller.abort(new NorthbridgeError('alreadyDone', 'cancelled')))
      runner
        .run(job.plan.points, {
          onPoint: (index, result) => job.complete(index, result),
          signal: controller.signal,
        })
        .catch(error => job.fail(error))
    })
