/** A first-come, first-served station with one or more equal units: a link, a walker pool, a disk. */
import { type EventQueue, longer } from './event-queue.ts'
import { Station } from './station.ts'

/** Numbers of a visit, side by side. */
const STRIDE = 3
const CAME = 0
const BEGAN = 1
const DONE = 2
const FIRST_CAPACITY = 32 * STRIDE

export class Server extends Station {
  /** When each unit will be free. */
  readonly #free: Float64Array
  readonly #sums = nothing()
  /** Visits that may not be over: their times are known from the beginning, but what is told of now ends now. */
  #visits = new Float64Array(FIRST_CAPACITY)
  #end = 0
  /** By the time that passes between a service and its event: in a lane each comes after the one before. */
  readonly #lanes = new Map<number, number>()

  constructor(events: EventQueue, name: string, units = 1) {
    super(events, name, units)
    this.#free = new Float64Array(units)
  }

  /** Of the events that follow the end of a service by so much. */
  laneFor(delay: number): number {
    let lane = this.#lanes.get(delay)
    if (lane === undefined) this.#lanes.set(delay, (lane = this.events.lane()))
    return lane
  }

  /**
   * Somebody comes, now or later, who needs a unit for `service` nanoseconds. Returns when they will be done: they are
   * announced in the order of the time at which they come, so what is announced later cannot change it.
   */
  enter(service: number, came = this.events.now): number {
    const free = this.#free
    let unit = 0
    for (let other = 1; other < free.length; other++) if (free[other]! < free[unit]!) unit = other
    const began = Math.max(came, free[unit]!)
    const done = began + service
    free[unit] = done
    const sums = this.#sums
    sums.arrivals++
    sums.waited += began - came
    sums.served += service
    sums.busy += service
    sums.stayed += done - came
    this.#keep(came, began, done)
    return done
  }

  #keep(came: number, began: number, done: number): void {
    if (this.#end === this.#visits.length) this.#makeRoom()
    const visits = this.#visits
    const at = this.#end
    visits[at + CAME] = came
    visits[at + BEGAN] = began
    visits[at + DONE] = done
    this.#end = at + STRIDE
  }

  /** Forgets visits that are over; if few are, there will be more room from now on. */
  #makeRoom(): void {
    const visits = this.#visits
    const { now } = this.events
    let kept = 0
    for (let at = 0; at < this.#end; at += STRIDE) {
      if (visits[at + DONE]! <= now) continue
      visits[kept + CAME] = visits[at + CAME]!
      visits[kept + BEGAN] = visits[at + BEGAN]!
      visits[kept + DONE] = visits[at + DONE]!
      kept += STRIDE
    }
    this.#end = kept
    if (kept * 2 > visits.length) this.#visits = longer(visits, new Float64Array(visits.length * 2))
  }

  /** What was summed already, but lies after this moment. */
  #ahead(): Sums {
    const visits = this.#visits
    const { now } = this.events
    const ahead = nothing()
    for (let at = 0; at < this.#end; at += STRIDE) {
      const came = visits[at + CAME]!
      const began = visits[at + BEGAN]!
      const done = visits[at + DONE]!
      if (done <= now) continue
      ahead.busy += done - Math.max(began, now)
      ahead.stayed += done - Math.max(came, now)
      if (came <= now) continue
      ahead.arrivals++
      ahead.waited += began - came
      ahead.served += done - began
    }
    return ahead
  }

  get arrivals(): number {
    return this.#sums.arrivals - this.#ahead().arrivals
  }

  get waited(): number {
    return this.#sums.waited - this.#ahead().waited
  }

  get served(): number {
    return this.#sums.served - this.#ahead().served
  }

  get busy(): number {
    return this.#sums.busy - this.#ahead().busy
  }

  restart(): void {
    Object.assign(this.#sums, this.#ahead())
  }

  occupancy(duration: number): number {
    return (this.#sums.stayed - this.#ahead().stayed) / duration
  }
}

/** Over visits: whole ones in the first three, nanoseconds that have passed or are to pass in the others. */
interface Sums {
  arrivals: number
  waited: number
  served: number
  busy: number
  /** Time that they are here, waiting or served. */
  stayed: number
}

const nothing = (): Sums => ({ arrivals: 0, waited: 0, served: 0, busy: 0, stayed: 0 })
