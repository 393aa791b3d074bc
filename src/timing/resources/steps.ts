/** Steps that paths are made of. */
import type { RequesterId } from '../../core/index.ts'
import type { Simulation } from '../simulation.ts'
import type { EventQueue } from './event-queue.ts'
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

/** What depends on the size of an item only, which mostly is that of the item before. */
class BySize {
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
export class Delay implements Delayable {
  readonly #simulation: Simulation
  readonly #journeys: Journeys
  readonly #part: number
  readonly #time: number | ((item: number) => number)
  readonly #then: Delay | undefined
  /** The whole with all that follows, if it is always the same. */
  readonly #fixed: number | undefined
  readonly #lane: number
  readonly parts: readonly number[]

  constructor(
    simulation: Simulation,
    resource: string,
    activity: string,
    time: number | ((item: number) => number),
    then?: Delay,
  ) {
    this.#simulation = simulation
    this.#journeys = simulation.journeys
    this.#part = simulation.journeys.part(resource, activity)
    this.#time = time
    this.#then = then
    this.parts = [this.#part, ...(then?.parts ?? [])]
    const rest = then === undefined ? 0 : then.#fixed
    this.#fixed = typeof time === 'number' && rest !== undefined ? time + rest : undefined
    this.#lane = simulation.events.lane()
  }

  before(delay: Delay): Delay {
    const then = this.#then === undefined ? delay : this.#then.before(delay)
    return new Delay(this.#simulation, ...this.#simulation.journeys.nameOf(this.#part), this.#time, then)
  }

  timeFor(item: number): number {
    if (this.#fixed !== undefined) return this.#fixed
    return this.#own(item) + (this.#then === undefined ? 0 : this.#then.timeFor(item))
  }

  /** Charges the item, and returns how long it takes. */
  pass(item: number): number {
    const time = this.#own(item)
    this.#journeys.charge(item, this.#part, time)
    return time + (this.#then === undefined ? 0 : this.#then.pass(item))
  }

  #own(item: number): number {
    const time = this.#time
    return typeof time === 'number' ? time : time(item)
  }

  readonly enter = (item: number): boolean => {
    const time = this.pass(item)
    if (time === 0) return true
    const { events, journeys } = this.#simulation
    events.scheduleIn(this.#lane, events.now + time, journeys.resumed, item)
    return false
  }
}

/** To be served by a station for a time that may depend on the size. */
export class Serve implements Delayable {
  readonly #simulation: Simulation
  readonly #journeys: Journeys
  readonly #events: EventQueue
  readonly #server: Server
  readonly #activity: string
  readonly #time: (bytes: number) => number
  readonly #service: BySize
  readonly #then: Delay | undefined
  readonly #waiting: number
  readonly #served: number
  readonly parts: readonly number[]

  constructor(
    simulation: Simulation,
    server: Server,
    activity: string,
    time: (bytes: number) => number,
    then?: Delay,
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
    this.#waiting = journeys.part(server.name, 'waiting')
    this.#served = journeys.part(server.name, activity)
    this.parts = [this.#waiting, this.#served, ...(then?.parts ?? [])]
  }

  before(delay: Delay): Serve {
    const then = this.#then === undefined ? delay : this.#then.before(delay)
    return new Serve(this.#simulation, this.#server, this.#activity, this.#time, then)
  }

  readonly enter = (item: number): boolean => {
    const journeys = this.#journeys
    const events = this.#events
    const server = this.#server
    const service = this.#service.at(journeys.sizes[item]!)
    const done = server.enter(service)
    journeys.charge(item, this.#waiting, done - service - events.now)
    journeys.charge(item, this.#served, service)
    const delay = this.#then === undefined ? 0 : this.#then.pass(item)
    events.scheduleIn(server.lane, done + delay, journeys.resumed, item)
    return false
  }

  readonly leave = (item: number): void => {
    this.#server.leave(this.#then === undefined ? 0 : this.#then.timeFor(item))
  }
}

/** To have so many of a pool. */
export class Take implements Step {
  readonly #journeys: Journeys
  readonly #pool: Pool
  readonly #amount: BySize
  readonly #part: number
  readonly parts: readonly number[]

  constructor(simulation: Simulation, pool: Pool, amount: (bytes: number) => number) {
    this.#journeys = simulation.journeys
    this.#pool = pool
    this.#amount = new BySize(amount)
    this.#part = simulation.journeys.part(pool.name, 'waiting')
    this.parts = [this.#part]
  }

  readonly enter = (item: number): boolean => {
    const journeys = this.#journeys
    if (this.#pool.take(item, this.#amount.at(journeys.sizes[item]!))) return true
    journeys.waits(item)
    return false
  }

  readonly leave = (item: number): void => {
    this.#journeys.charge(item, this.#part, this.#journeys.waited(item))
  }
}

export class Give implements Step {
  readonly #journeys: Journeys
  readonly #pool: Pool
  readonly #amount: BySize

  constructor(simulation: Simulation, pool: Pool, amount: (bytes: number) => number) {
    this.#journeys = simulation.journeys
    this.#pool = pool
    this.#amount = new BySize(amount)
  }

  readonly enter = (item: number): boolean => {
    this.#pool.give(this.#amount.at(this.#journeys.sizes[item]!))
    return true
  }
}

/** To be counted. */
export class Count implements Step {
  readonly #counter: { count: number }

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

/** Translation of a transfer by the remapping unit: nothing but the look-up for a hit, a walker for each page missed. */
export class Translate implements Delayable {
  readonly #simulation: Simulation
  readonly #walkers: Server
  readonly #requester: RequesterId
  readonly #write: boolean
  readonly #bytes: (size: number) => number
  readonly #pages: BySize
  readonly #then: Delay | undefined
  readonly #charged
  readonly parts: readonly number[]
  readonly #times
  readonly #lane: number
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
    const { journeys, costs } = simulation
    this.#simulation = simulation
    this.#walkers = walkers
    this.#requester = requester
    this.#write = write
    this.#bytes = bytes
    this.#pages = new BySize(size => Math.max(1, Math.ceil(bytes(size) / PAGE)))
    this.#then = then
    this.#lane = simulation.events.lane()
    const { translationHit, walkStart, tableRead } = costs
    this.#times = { hit: translationHit, walkStart, tableRead }
    this.#charged = {
      hit: journeys.part('remapping unit', 'look-up'),
      waiting: journeys.part(walkers.name, 'waiting'),
      walk: journeys.part(walkers.name, 'walk'),
    }
    this.parts = [...Object.values(this.#charged), ...(then?.parts ?? [])]
  }

  before(delay: Delay): Translate {
    const then = this.#then === undefined ? delay : this.#then.before(delay)
    return new Translate(this.#simulation, this.#walkers, this.#requester, this.#write, this.#bytes, then)
  }

  readonly enter = (item: number): boolean => {
    const { remapping, journeys, events } = this.#simulation
    const times = this.#times
    const delay = this.#then === undefined ? 0 : this.#then.pass(item)
    if (remapping === undefined) {
      if (delay === 0) return true
      events.scheduleIn(this.#lane, events.now + delay, journeys.resumed, item)
      return false
    }
    const pages = this.#pages.at(journeys.sizes[item]!)
    const first = journeys.pages[item]!
    // Each page has packets of its own, whose walks do not wait for one another.
    let done = events.now
    let longest = 0
    let walks = 0
    for (let i = 0; i < pages; i++) {
      const reads = remapping.translate(this.#requester, first + i, this.#write)
      if (reads === 0) continue
      const walk = times.walkStart + reads * times.tableRead
      done = Math.max(done, this.#walkers.enter(walk))
      longest = Math.max(longest, walk)
      walks++
    }
    journeys.charge(item, this.#charged.hit, times.hit)
    if (walks > 0) {
      journeys.charge(item, this.#charged.waiting, done - longest - events.now)
      journeys.charge(item, this.#charged.walk, longest)
    }
    this.#walking[item] = walks
    events.scheduleIn(this.#lane, done + times.hit + delay, journeys.resumed, item)
    return false
  }

  readonly leave = (item: number): void => {
    const walks = this.#walking[item] ?? 0
    if (walks === 0) return
    const late = this.#times.hit + (this.#then === undefined ? 0 : this.#then.timeFor(item))
    for (let left = walks; left > 0; left--) this.#walkers.leave(late)
  }
}
