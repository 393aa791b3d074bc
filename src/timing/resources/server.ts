/** A first-come, first-served station with one or more equal units: a link, a walker pool, a disk. */
import type { EventQueue } from './event-queue.ts'
import { Station } from './station.ts'

export class Server extends Station {
  /** When each unit will be free. */
  readonly #free: Float64Array
  /** Of the events that say that somebody is done. */
  readonly lane: number

  constructor(events: EventQueue, name: string, units = 1) {
    super(events, name, units)
    this.#free = new Float64Array(units)
    this.lane = events.lane()
  }

  /**
   * Somebody comes now who needs a unit for `service` nanoseconds. Returns when they will be done: they were announced
   * in the order of time, so what comes later cannot change it. They must {@link leave} then.
   */
  enter(service: number): number {
    const free = this.#free
    const { now } = this.events
    let unit = 0
    for (let other = 1; other < free.length; other++) if (free[other]! < free[unit]!) unit = other
    const begin = Math.max(now, free[unit]!)
    free[unit] = begin + service
    this.came()
    this.waited += begin - now
    this.served += service
    return begin + service
  }

  /** @param late nanoseconds that have passed since they were done. */
  leave(late = 0): void {
    this.went(late)
  }

  protected ahead(): number {
    let sum = 0
    for (const time of this.#free) sum += Math.max(0, time - this.events.now)
    return sum
  }
}
