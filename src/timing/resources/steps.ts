/** Steps that paths are made of. */
import type { RequesterId } from '../../core/index.ts'
import type { Simulation } from '../simulation.ts'
import type { Journeys, Step } from './journeys.ts'
import type { Pool } from './pool.ts'
import type { Server } from './server.ts'

const PAGE = 4096

/** A step after which a fixed time passes: that needs no event of its own. */
interface Delayable extends Step {
  /** The same, with a delay behind it. */
  before(delay: Delay): Step
}

const isDelayable = (step: Step | undefined): step is Delayable => step !== undefined && 'before' in step

/** The same steps with every delay merged into the step before it. */
export function merged(steps: readonly Step[]): readonly Step[] {
  const result: Step[] = []
  for (const step of steps) {
    const last = result.at(-1)
    if (step instanceof Delay && isDelayable(last)) result[result.length - 1] = last.before(step)
    else result.push(step)
  }
  return result
}

/** Time that passes without anybody being busy. */
export class Delay implements Delayable {
  readonly #simulation: Simulation
  readonly #part: number
  readonly #time: (bytes: number, item: number) => number
  readonly #then: Delay | undefined

  constructor(
    simulation: Simulation,
    resource: string,
    activity: string,
    time: (bytes: number, item: number) => number,
    then?: Delay,
  ) {
    this.#simulation = simulation
    this.#part = simulation.journeys.part(resource, activity)
    this.#time = time
    this.#then = then
  }

  before(delay: Delay): Delay {
    const then = this.#then === undefined ? delay : this.#then.before(delay)
    return new Delay(this.#simulation, ...this.#simulation.journeys.nameOf(this.#part), this.#time, then)
  }

  timeFor(item: number): number {
    const time = this.#time(this.#simulation.journeys.sizes[item]!, item)
    return time + (this.#then === undefined ? 0 : this.#then.timeFor(item))
  }

  /** Charges the item, and returns how long it takes. */
  pass(item: number): number {
    const { journeys } = this.#simulation
    const time = this.#time(journeys.sizes[item]!, item)
    journeys.charge(item, this.#part, time)
    return time + (this.#then === undefined ? 0 : this.#then.pass(item))
  }

  enter(item: number): boolean {
    const time = this.pass(item)
    if (time === 0) return true
    const { events, journeys } = this.#simulation
    events.schedule(events.now + time, journeys.resumed, item)
    return false
  }
}

/** To be served by a station for a time that may depend on the size. */
export class Serve implements Delayable {
  readonly #simulation: Simulation
  readonly #server: Server
  readonly #activity: string
  readonly #time: (bytes: number) => number
  readonly #then: Delay | undefined
  readonly #waiting: number
  readonly #service: number

  constructor(
    simulation: Simulation,
    server: Server,
    activity: string,
    time: (bytes: number) => number,
    then?: Delay,
  ) {
    this.#simulation = simulation
    this.#server = server
    this.#activity = activity
    this.#time = time
    this.#then = then
    this.#waiting = simulation.journeys.part(server.name, 'waiting')
    this.#service = simulation.journeys.part(server.name, activity)
  }

  before(delay: Delay): Serve {
    const then = this.#then === undefined ? delay : this.#then.before(delay)
    return new Serve(this.#simulation, this.#server, this.#activity, this.#time, then)
  }

  enter(item: number): boolean {
    const { journeys, events } = this.#simulation
    const { now } = events
    const service = this.#time(journeys.sizes[item]!)
    const done = this.#server.enter(service)
    journeys.charge(item, this.#waiting, done - service - now)
    journeys.charge(item, this.#service, service)
    const delay = this.#then === undefined ? 0 : this.#then.pass(item)
    events.schedule(done + delay, journeys.resumed, item)
    return false
  }

  leave(item: number): void {
    const late = this.#then === undefined ? 0 : this.#then.timeFor(item)
    this.#server.leave(late)
  }
}

/** To have so many of a pool. */
export class Take implements Step {
  readonly #journeys: Journeys
  readonly #pool: Pool
  readonly #amount: (bytes: number) => number
  readonly #part: number

  constructor(simulation: Simulation, pool: Pool, amount: (bytes: number) => number) {
    this.#journeys = simulation.journeys
    this.#pool = pool
    this.#amount = amount
    this.#part = simulation.journeys.part(pool.name, 'waiting')
  }

  enter(item: number): boolean {
    if (this.#pool.take(item, this.#amount(this.#journeys.sizes[item]!))) return true
    this.#journeys.waits(item)
    return false
  }

  leave(item: number): void {
    this.#journeys.charge(item, this.#part, this.#journeys.waited(item))
  }
}

export class Give implements Step {
  readonly #journeys: Journeys
  readonly #pool: Pool
  readonly #amount: (bytes: number) => number

  constructor(simulation: Simulation, pool: Pool, amount: (bytes: number) => number) {
    this.#journeys = simulation.journeys
    this.#pool = pool
    this.#amount = amount
  }

  enter(item: number): boolean {
    this.#pool.give(this.#amount(this.#journeys.sizes[item]!))
    return true
  }
}

/** To be counted. */
export class Count implements Step {
  readonly #counter: { count: number }

  constructor(simulation: Simulation, name: string) {
    this.#counter = simulation.counter(name)
  }

  enter(): boolean {
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

  enter(item: number): boolean {
    this.#action(item)
    return true
  }
}

/** Translation of a transfer by the remapping unit: nothing but the look-up for a hit, a walker for each page missed. */
export class Translate implements Delayable {
  readonly #simulation: Simulation
  readonly #walkers: Server
  readonly #requester: RequesterId
  readonly #write: boolean
  readonly #bytes: (size: number) => number
  readonly #then: Delay | undefined
  readonly #parts
  /** By item: its walks. */
  readonly #walking: number[] = []

  constructor(
    simulation: Simulation,
    walkers: Server,
    requester: RequesterId,
    write: boolean,
    bytes: (size: number) => number,
    then?: Delay,
  ) {
    const { journeys } = simulation
    this.#simulation = simulation
    this.#walkers = walkers
    this.#requester = requester
    this.#write = write
    this.#bytes = bytes
    this.#then = then
    this.#parts = {
      hit: journeys.part('remapping unit', 'look-up'),
      waiting: journeys.part(walkers.name, 'waiting'),
      walk: journeys.part(walkers.name, 'walk'),
    }
  }

  before(delay: Delay): Translate {
    const then = this.#then === undefined ? delay : this.#then.before(delay)
    return new Translate(this.#simulation, this.#walkers, this.#requester, this.#write, this.#bytes, then)
  }

  enter(item: number): boolean {
    const { remapping, journeys, costs, events } = this.#simulation
    const delay = this.#then === undefined ? 0 : this.#then.pass(item)
    if (remapping === undefined) {
      if (delay === 0) return true
      events.schedule(events.now + delay, journeys.resumed, item)
      return false
    }
    const pages = Math.max(1, Math.ceil(this.#bytes(journeys.sizes[item]!) / PAGE))
    const first = journeys.pages[item]!
    // Each page has packets of its own, whose walks do not wait for one another.
    let done = events.now
    let longest = 0
    let walks = 0
    for (let i = 0; i < pages; i++) {
      const reads = remapping.translate(this.#requester, first + i, this.#write)
      if (reads === 0) continue
      const walk = costs.walkStart + reads * costs.tableRead
      done = Math.max(done, this.#walkers.enter(walk))
      longest = Math.max(longest, walk)
      walks++
    }
    journeys.charge(item, this.#parts.hit, costs.translationHit)
    journeys.charge(item, this.#parts.waiting, done - longest - events.now)
    journeys.charge(item, this.#parts.walk, longest)
    this.#walking[item] = walks
    events.schedule(done + costs.translationHit + delay, journeys.resumed, item)
    return false
  }

  leave(item: number): void {
    const walks = this.#walking[item] ?? 0
    if (walks === 0) return
    const { costs } = this.#simulation
    const late = costs.translationHit + (this.#then === undefined ? 0 : this.#then.timeFor(item))
    for (let left = walks; left > 0; left--) this.#walkers.leave(late)
  }
}
