/** Translation of a transfer by the remapping unit: nothing but the look-up for a hit, a walker for each page missed. */
import type { RequesterId } from '../../core/index.ts'
import { Translator } from '../remapping/translator.ts'
import type { Simulation } from '../simulation.ts'
import type { Constant, Step } from './journeys.ts'
import type { Server } from './server.ts'
import { BySize, Delay, type Follower } from './steps.ts'

const PAGE = 4096

export interface Translation {
  readonly walkers: Server
  readonly requester: RequesterId
  readonly write: boolean
  readonly bytes: (size: number) => number
  /** Whether the unit may be asked when the request enters the link that it will have left by then. */
  readonly early: boolean
}

export class Translate implements Follower {
  readonly #simulation: Simulation
  readonly #translation: Translation
  readonly #walkers: Server
  readonly #pages: BySize
  /** Absent if the unit is off. */
  readonly #translator: Translator | undefined
  readonly #then: Delay | undefined
  readonly #times
  readonly #waiting: number
  readonly #walk: number
  readonly #lane: number
  readonly usual: number
  readonly columns: readonly number[]
  readonly constants: readonly Constant[]
  readonly follows: boolean

  constructor(simulation: Simulation, translation: Translation, then?: Delay) {
    const { journeys, costs, remapping, events } = simulation
    const { walkers, requester, write, bytes, early } = translation
    this.#simulation = simulation
    this.#translation = translation
    this.#walkers = walkers
    this.#pages = new BySize(size => Math.max(1, Math.ceil(bytes(size) / PAGE)))
    this.#translator = remapping && new Translator(remapping, requester, write)
    this.#then = then
    const { translationHit, walkStart, tableRead } = costs
    this.#times = { hit: remapping === undefined ? 0 : translationHit, walkStart, tableRead }
    const hit = { part: journeys.part('remapping unit', 'look-up'), time: () => this.#times.hit }
    this.#waiting = journeys.column(walkers.name, 'waiting')
    this.#walk = journeys.column(walkers.name, 'walk')
    this.columns = [this.#waiting, this.#walk, ...(then?.columns ?? [])]
    this.constants = [hit, ...(then?.constants ?? [])]
    this.usual = this.#times.hit + (then?.usual ?? 0)
    this.follows = early
    this.#lane = events.laneFor(this.usual)
  }

  followedBy(next: Step): Translate | undefined {
    const then = this.#then === undefined ? asDelay(next) : this.#then.followedBy(next)
    return then && new Translate(this.#simulation, this.#translation, then)
  }

  readonly enter = (item: number): boolean => {
    const { events, journeys } = this.#simulation
    const gone = this.pass(item, events.now)
    if (gone === events.now && this.#translator === undefined) return true
    events.scheduleIn(this.#lane, gone, journeys.resumed, item)
    return false
  }

  pass(item: number, came: number): number {
    const through = this.#translator === undefined ? came : this.#translate(item, came, this.#translator)
    return this.#then === undefined ? through : this.#then.pass(item, through)
  }

  #translate(item: number, came: number, translator: Translator): number {
    const { journeys } = this.#simulation
    const times = this.#times
    const pages = this.#pages.at(journeys.sizes[item]!)
    const first = journeys.pages[item]!
    // Each page has packets of its own, whose walks do not wait for one another.
    let done = came
    let longest = 0
    for (let i = 0; i < pages; i++) {
      const reads = translator.translate(first + i, came)
      if (reads === 0) continue
      const walk = times.walkStart + reads * times.tableRead
      done = Math.max(done, this.#walkers.enter(walk, came))
      longest = Math.max(longest, walk)
    }
    if (longest > 0) {
      journeys.charge(item, this.#waiting, done - longest - came)
      journeys.charge(item, this.#walk, longest)
    }
    return done + times.hit
  }
}

const asDelay = (step: Step): Delay | undefined => (step instanceof Delay ? step : undefined)
