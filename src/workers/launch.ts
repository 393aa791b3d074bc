/** Experiments of a server: simulated on its threads while it goes on answering. */
import { NorthbridgeError } from '../core/index.ts'
import { type LaunchExperiment, now } from '../operations/index.ts'
import type { PointRunner } from './pool.ts'

/** Starts experiments on a runner, or goes on with them, and does not wait for them. */
export const launchOn =
  (runner: PointRunner): LaunchExperiment =>
  job =>
    now(() => {
      const controller = new AbortController()
      job.onCancel(() => controller.abort(new NorthbridgeError('alreadyDone', 'cancelled')))
      const missing = job.missing()
      runner
        .run(
          missing.map(index => job.plan.points[index]!),
          {
            onPoint: (position, result) => job.complete(missing[position]!, result),
            signal: controller.signal,
          },
        )
        .catch(error => job.fail(error))
    })
