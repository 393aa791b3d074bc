/** What every resource tells of those who come to it: enough for utilisation and Little's law. */
import type { EventQueue } from './event-queue.ts'

export abstract class Station {
  readonly name: string
  readonly units: number
  protected readonly events: EventQueue

  constructor(events: EventQueue, name: string, units: number) {
    this.events = events
    this.name = name
    this.units = units
  }

  abstract readonly arrivals: number
  /** Nanoseconds, sums over the arrivals. */
  abstract readonly waited: number
  abstract readonly served: number

  /** Nanoseconds of unit time that were used since {@link restart}. */
  abstract get busy(): number

  /** The same without time spent busily waiting: what the work takes of this resource, however fast the others are. */
  get demand(): number {
    return this.busy
  }

  /** Begins to measure: what happened so far is forgotten. */
  abstract restart(): void

  /** Those waiting or served, averaged over the time since {@link restart}. */
  abstract occupancy(duration: number): number
}

/** One that learns when they leave only when they do, and therefore counts them. */
export abstract class CountingStation extends Station {
  arrivals = 0
  waited = 0
  served = 0
  #inside = 0
  /** Sum of the moments at which somebody left, less those at which somebody came. */
  #moments = 0

  /** Those waiting or served now. */
  get inside(): number {
    return this.#inside
  }

  protected came(): void {
    this.arrivals++
    this.#inside++
    this.#moments -= this.events.now
  }

  protected went(): void {
    this.#inside--
    this.#moments += this.events.now
  }

  /** Busy time that lies after this moment already, though it was counted. */
  protected abstract ahead(): number

  get busy(): number {
    return this.#carried + this.served - this.ahead()
  }

  #carried = 0

  restart(): void {
    this.#moments = -this.#inside * this.events.now
    this.arrivals = 0
    this.waited = 0
    this.served = 0
    this.#carried = this.ahead()
  }

  occupancy(duration: number): number {
    return (this.#moments + this.#inside * this.events.now) / duration
  }
}
