/** Steps that paths are made of. */
import type { Counter, Simulation } from '../simulation.ts'
import type { EventQueue } from './event-queue.ts'
import type { Constant, Journeys, Step } from './journeys.ts'
import type { Pool } from './pool.ts'
import type { Server } from './server.ts'

/** A step behind which another may follow without an event between. */
interface Chained extends Step {
  /** The two as one step; undefined if there has to be an event between. */
  followedBy(next: Step): Step | undefined
}

/** One that may follow: whoever comes there at a time is known to be through at another. */
export interface Follower extends Chained {
  /** Charges an item that comes then or will; returns when it goes on. */
  pass(item: number, came: number): number
  /** What it takes, if nothing unusual happens. */
  readonly usual: number
  /** Whether it may really. */
  readonly follows: boolean
  followedBy(next: Step): Follower | undefined
}

const isChained = (step: Step | undefined): step is Chained => step !== undefined && 'followedBy' in step
const isFollower = (step: Step): step is Follower => 'follows' in step && step.follows === true

/** The same steps with as few events between them as there can be. */
export function merged(steps: readonly Step[]): readonly Step[] {
  const result: Step[] = []
  for (const step of steps) {
    const last = result.at(-1)
    const joined = isChained(last) ? last.followedBy(step) : undefined
    if (joined === undefined) result.push(step)
    else result[result.length - 1] = joined
  }
  return result
}

/** What depends on the size of an item only, which mostly is that of the item before. */
export class BySize {
  readonly #of: (size: number) => number
  #size = -1
  #value = 0

  constructor(of: (size: number) => number) {
    this.#of = of
  }

  at(size: number): number {
    if (size !== this.#size) {
      this.#size = size
      this.#value = this.#of(size)
    }
    return this.#value
  }
}

/** Time that passes without anybody being busy: always the same, or a function of the item. */
export class Delay implements Follower {
  readonly follows = true
  readonly #simulation: Simulation
  readonly #name: readonly [resource: string, activity: string]
  readonly #time: number | ((item: number) => number)
  /** Where a time that is not always the same is charged. */
  readonly #column: number = -1
  readonly #then: Delay | undefined
  /** Whether all of it is always the same. */
  readonly #fixed: boolean
  readonly #lane: number
  readonly usual: number
  readonly columns: readonly number[]
  readonly constants: readonly Constant[]

  constructor(
    simulation: Simulation,
    resource: string,
    activity: string,
    time: number | ((item: number) => number),
    then?: Delay,
  ) {
    const { journeys, events } = simulation
    this.#simulation = simulation
    this.#name = [resource, activity]
    this.#time = time
    this.#then = then
    const { usual = 0, columns = [], constants = [] } = then ?? {}
    if (typeof time === 'number') {
      this.#fixed = then === undefined || then.#fixed
      this.usual = time + usual
      this.columns = columns
      this.constants = [{ part: journeys.part(resource, activity), time: () => time }, ...constants]
    } else {
      this.#fixed = false
      this.#column = journeys.column(resource, activity)
      this.usual = usual
      this.columns = [this.#column, ...columns]
      this.constants = constants
    }
    this.#lane = events.laneFor(this.usual)
  }

  followedBy(next: Step): Delay | undefined {
    if (!(next instanceof Delay)) return undefined
    const then = this.#then === undefined ? next : this.#then.followedBy(next)
    return new Delay(this.#simulation, ...this.#name, this.#time, then)
  }

  pass(item: number, came: number): number {
    return came + this.#charge(item)
  }

  /** Charges the item, and returns how long it takes. */
  #charge(item: number): number {
    return this.#fixed ? this.usual : this.#chargeEach(item)
  }

  #chargeEach(item: number): number {
    const rest = this.#then === undefined ? 0 : this.#then.#charge(item)
    const given = this.#time
    if (typeof given === 'number') return given + rest
    const time = given(item)
    this.#simulation.journeys.charge(item, this.#column, time)
    return time + rest
  }

  readonly enter = (item: number): boolean => {
    const time = this.#charge(item)
    if (time === 0) return true
    const { events, journeys } = this.#simulation
    events.scheduleIn(this.#lane, events.now + time, journeys.resumed, item)
    return false
  }
}

/** To be served by a station for a time that may depend on the size. */
export class Serve implements Chained {
  readonly #simulation: Simulation
  readonly #journeys: Journeys
  readonly #events: EventQueue
  readonly #server: Server
  readonly #activity: string
  readonly #time: (bytes: number) => number
  readonly #service: BySize
  readonly #then: Follower | undefined
  readonly #lane: number
  readonly #waiting: number
  readonly columns: readonly number[]
  readonly constants: readonly Constant[]

  constructor(
    simulation: Simulation,
    server: Server,
    activity: string,
    time: (bytes: number) => number,
    then?: Follower,
  ) {
    const { journeys, events } = simulation
    this.#simulation = simulation
    this.#journeys = journeys
    this.#events = events
    this.#server = server
    this.#activity = activity
    this.#time = time
    this.#service = new BySize(time)
    this.#then = then
    this.#lane = server.laneFor(then?.usual ?? 0)
    this.#waiting = journeys.column(server.name, 'waiting')
    this.columns = [this.#waiting, ...(then?.columns ?? [])]
    this.constants = [{ part: journeys.part(server.name, activity), time }, ...(then?.constants ?? [])]
  }

  followedBy(next: Step): Serve | undefined {
    const then =
      this.#then === undefined ? (isFollower(next) ? next : undefined) : this.#then.followedBy(next)
    return then && new Serve(this.#simulation, this.#server, this.#activity, this.#time, then)
  }

  readonly enter = (item: number): boolean => {
    const journeys = this.#journeys
    const events = this.#events
    const service = this.#service.at(journeys.sizes[item]!)
    const done = this.#server.enter(service)
    journeys.charge(item, this.#waiting, done - service - events.now)
    const gone = this.#then === undefined ? done : this.#then.pass(item, done)
    events.scheduleIn(this.#lane, gone, journeys.resumed, item)
    return false
  }
}

/** To have so many of a pool. */
export class Take implements Step {
  readonly #journeys: Journeys
  readonly #pool: Pool
  readonly #amount: BySize
  readonly #column: number
  readonly columns: readonly number[]

  constructor(simulation: Simulation, pool: Pool, amount: (bytes: number) => number) {
    this.#journeys = simulation.journeys
    this.#pool = pool
    this.#amount = new BySize(amount)
    this.#column = simulation.journeys.column(pool.name, 'waiting')
    this.columns = [this.#column]
  }

  readonly enter = (item: number): boolean => {
    const journeys = this.#journeys
    if (this.#pool.take(item, this.#amount.at(journeys.sizes[item]!))) return true
    journeys.waits(item)
    return false
  }

  readonly leave = (item: number): void => {
    this.#journeys.charge(item, this.#column, this.#journeys.waited(item))
  }
}

/** To give them back, and to be counted then. */
export class Give implements Step {
  readonly #journeys: Journeys
  readonly #pool: Pool
  readonly #amount: BySize
  readonly #counter: Counter

  constructor(simulation: Simulation, pool: Pool, amount: (bytes: number) => number, counted: string) {
    this.#journeys = simulation.journeys
    this.#pool = pool
    this.#amount = new BySize(amount)
    this.#counter = simulation.counter(counted)
  }

  readonly enter = (item: number): boolean => {
    this.#counter.count++
    this.#pool.give(this.#amount.at(this.#journeys.sizes[item]!))
    return true
  }
}

/** To be counted. */
export class Count implements Step {
  readonly #counter: Counter

  constructor(simulation: Simulation, name: string) {
    this.#counter = simulation.counter(name)
  }

  readonly enter = (): boolean => {
    this.#counter.count++
    return true
  }
}

/** Something that takes no time. */
export class Do implements Step {
  readonly #action: (item: number) => void

  constructor(action: (item: number) => void) {
    this.#action = action
  }

  readonly enter = (item: number): boolean => {
    this.#action(item)
    return true
  }
}
