/**
 * A spin lock: first come first served, passed on at the price of a cache line's way from core to core. If waiters look
 * at the lock itself and not at a line of their own, each of them has to fetch it before the next holder can go on.
 */
import type { EventQueue } from './event-queue.ts'
import { type Program, SPIN, type Thread } from './processor.ts'
import { CountingStation } from './station.ts'

export class SpinLock extends CountingStation {
  readonly #handOff: number
  readonly #waiterExtra: number
  readonly #continue: number
  readonly #waiting: Thread[] = []
  #held = false
  /** Since when it was on its way to the present holder, and how long that took. */
  #since = 0
  #passing = 0
  /** Who held it last: the line is in the cache of that processor. */
  #last = -1

  constructor(
    events: EventQueue,
    name: string,
    costs: { readonly handOff: number; readonly waiterExtra: number; readonly continue: number },
  ) {
    super(events, name, 1)
    this.#handOff = costs.handOff
    this.#waiterExtra = costs.waiterExtra
    this.#continue = costs.continue
  }

  /** Returns when the thread holds the lock. */
  *acquire(thread: Thread, activity: number): Program {
    this.came()
    const asked = this.events.now
    const { number } = thread.processor
    if (this.#held) {
      this.#waiting.push(thread)
      yield SPIN
    } else {
      this.#held = true
      this.#since = asked
      // Nobody else has had it since: the line is still here.
      if (this.#last !== number) {
        thread.charge(activity, 1, this.#handOff)
        yield thread.spend()
      }
      this.#passing = this.events.now - asked
    }
    this.#last = number
    this.waited += this.events.now - asked - this.#passing
  }

  release(): void {
    const { now } = this.events
    this.served += now - this.#since
    this.#since = now
    this.went()
    const next = this.#waiting.shift()
    if (next === undefined) this.#held = false
    else {
      this.#passing = this.#handOff + this.#waiterExtra * this.#waiting.length
      this.events.schedule(now + this.#passing, this.#continue, next.processor.number)
    }
  }

  protected ahead(): number {
    return this.#held ? this.#since - this.events.now : 0
  }
}
