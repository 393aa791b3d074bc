/** What every resource counts of those who come to it: enough for utilisation and Little's law. */
import type { EventQueue } from './event-queue.ts'

export abstract class Station {
  readonly name: string
  readonly units: number
  protected readonly events: EventQueue
  arrivals = 0
  /** Nanoseconds, sums over the arrivals. */
  waited = 0
  served = 0
  /** Sum over time of those waiting or served. */
  #area = 0
  #inside = 0
  #changed = 0

  constructor(events: EventQueue, name: string, units: number) {
    this.events = events
    this.name = name
    this.units = units
  }

  /** Those waiting or served now. */
  get inside(): number {
    return this.#inside
  }

  protected came(): void {
    this.arrivals++
    this.#count(1)
  }

  /** @param late nanoseconds that have passed since. */
  protected went(late = 0): void {
    this.#count(-1)
    this.#area -= late
  }

  #count(change: number): void {
    const { now } = this.events
    this.#area += this.#inside * (now - this.#changed)
    this.#changed = now
    this.#inside += change
  }

  /** Busy time of all units that lies after a moment already, though it was counted. */
  protected abstract ahead(): number

  /** Nanoseconds of unit time that were used since {@link restart}. */
  get busy(): number {
    return this.#carried + this.served - this.ahead()
  }

  #carried = 0

  /** The same without time spent busily waiting: what the work takes of this resource, however fast the others are. */
  get demand(): number {
    return this.busy
  }

  /** Begins to measure: what happened so far is forgotten. */
  restart(): void {
    this.#count(0)
    this.#area = 0
    this.arrivals = 0
    this.waited = 0
    this.served = 0
    this.#carried = this.ahead()
  }

  /** Those waiting or served, averaged over the time since {@link restart}. */
  occupancy(duration: number): number {
    this.#count(0)
    return this.#area / duration
  }
}
