/**
 * Waiting for invalidations. The unit executes its queue one descriptor after another, and software puts descriptors in
 * under a lock that it also takes to look whether its wait is done. What it costs with many processors is nowhere
 * written: it is what becomes of those two queues.
 */

import type { Program, Thread } from '../resources/processor.ts'
import type { Server } from '../resources/server.ts'
import type { SpinLock } from '../resources/spin-lock.ts'
import type { Simulation } from '../simulation.ts'

export class InvalidationPort {
  readonly #simulation: Simulation
  readonly #lock: SpinLock
  readonly #unit: Server
  readonly #activity

  constructor(simulation: Simulation) {
    this.#simulation = simulation
    this.#lock = simulation.addLock('lock of the invalidation queue')
    this.#unit = simulation.addServer('invalidation queue')
    this.#activity = {
      lock: simulation.activities.number('lock of the invalidation queue taken', 'host'),
      submit: simulation.activities.number('invalidation submitted', 'host'),
      poll: simulation.activities.number('invalidation waited for', 'host'),
    }
  }

  /** Submits so many descriptors and a wait; returns when the wait is done. `execute` makes the unit do it. */
  *invalidate(thread: Thread, descriptors: number, execute: () => void): Program {
    const { events, costs, cycles, mapping } = this.#simulation
    const lock = this.#lock
    const activity = this.#activity
    const began = events.now
    yield* lock.acquire(thread, activity.lock)
    thread.charge(activity.submit, 1, cycles('invalidationSubmit'))
    yield thread.spend()
    execute()
    const done = this.#unit.enter(descriptors * costs.descriptorExecute + costs.waitExecute)
    if (costs.lockedPoll === 0) {
      lock.release()
      thread.waste(activity.poll, done - events.now)
      yield thread.spend()
    } else {
      while (events.now < done) {
        lock.release()
        thread.waste(activity.poll, costs.pollInterval)
        yield thread.spend()
        yield* lock.acquire(thread, activity.lock)
      }
      lock.release()
    }
    mapping.invalidation.add(events.now - began)
  }
}
