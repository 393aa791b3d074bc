/**
 * Software that is handed items and works them off in batches: a driver's poll routine, a back end, an application. It
 * sleeps when it has nothing to do; what it costs to wake it is its doorbell's business.
 */
import type { Side } from '../resources/accounts.ts'
import type { Constant, Step } from '../resources/journeys.ts'
import { PARK, POLL, type Processor, type Program, Thread, TURN } from '../resources/processor.ts'
import { Ring } from '../resources/ring.ts'
import type { Simulation } from '../simulation.ts'

/** What something costs each time that it happens. */
export interface Charge {
  readonly activity: number
  readonly nanoseconds: number
  readonly times?: number
}

/** Prices of a worker's work. An aggregate is what the batch has of one flow, up to {@link AGGREGATE_BYTES}. */
export interface Prices {
  readonly batch?: readonly Charge[]
  readonly item?: readonly Charge[]
  readonly aggregate?: readonly Charge[]
  readonly byte?: readonly Charge[]
  /** When it goes to sleep and leaves its processor with nothing to do. */
  readonly sleep?: readonly Charge[]
}

/** What large-receive and segmentation offload make of packets. */
export const AGGREGATE_BYTES = 65_536

/** How a sleeping worker learns that there is work. */
export interface Doorbell {
  /** Work has come for a worker that sleeps. */
  ring(): void
}

/** What a worker does for each batch besides its prices, where it may have to wait. */
export type Errand = (worker: Worker, items: readonly number[]) => Program

export interface WorkerOptions {
  readonly role: string
  readonly side: Side
  readonly owner: number
  readonly processor: Processor
  readonly prices: Prices
  readonly budget: number
  /** It runs before others that are ready, as handlers of interrupts do. */
  readonly urgent?: boolean
  /** It looks for work all the time and never sleeps. */
  readonly polls?: boolean
  /** A round that did not need the whole budget is the last until the doorbell rings again, as in Linux's NAPI. */
  readonly rests?: boolean
  readonly errand?: Errand
}

export class Worker extends Thread implements Step {
  readonly role: string
  readonly #simulation: Simulation
  readonly #prices: Required<Prices>
  /** What an item costs by itself, and each of its bytes. */
  readonly #ownFixed: number
  readonly #ownPerByte: number
  readonly #budget: number
  readonly #errand: Errand | undefined
  readonly #polls: boolean
  readonly #rests: boolean
  readonly #neverHalts: boolean
  /** It is looking at an empty queue right now. */
  #polling = false
  readonly #queue = new Ring()
  readonly #batch: number[] = []
  readonly #charged
  readonly columns: readonly number[]
  readonly constants: readonly Constant[]
  /** When it was last woken; what came before had to wait for that. */
  #woken = 0
  #rung = 0
  #told = false
  #again = false
  readonly #flowSeen: number[] = []
  #stamp = 0
  doorbell: Doorbell = { ring: () => this.wake() }

  constructor(simulation: Simulation, options: WorkerOptions) {
    super(
      options.processor,
      options.owner,
      simulation.activities,
      options.side,
      options.polls === true ? 'polling' : undefined,
    )
    const { role } = options
    this.urgent = options.urgent ?? false
    const { journeys } = simulation
    this.role = role
    this.#simulation = simulation
    this.#prices = { batch: [], item: [], aggregate: [], byte: [], sleep: [], ...options.prices }
    this.#ownFixed = costOf(options.prices.item) + costOf(options.prices.aggregate)
    this.#ownPerByte = costOf(options.prices.byte)
    this.#budget = options.budget
    this.#polls = options.polls ?? false
    this.#rests = options.rests ?? false
    this.#errand = options.errand
    const { workload } = simulation.configuration
    this.#neverHalts = options.side === 'guest' && 'idle' in workload && workload.idle === 'poll'
    this.#charged = {
      moderation: journeys.column(role, 'not told yet'),
      waking: journeys.column(role, 'waking up'),
      queueing: journeys.column(role, 'queueing'),
      mapping: journeys.column(role, 'mapping'),
      batch: journeys.column(role, 'others of the batch'),
    }
    this.constants = [{ part: journeys.part(role, 'work'), time: size => this.#own(size) }]
    const { mapping, ...always } = this.#charged
    this.columns = [...Object.values(always), ...(this.#errand === undefined ? [] : [mapping])]
  }

  /** Hands it an item; the item goes on when the batch is done that it is part of. */
  readonly enter = (item: number): boolean => {
    this.#simulation.journeys.waits(item)
    this.#queue.push(item)
    if (this.#polling) this.processor.endPolling()
    else if (this.parked) this.doorbell.ring()
    return false
  }

  /** Whether its system runs on its processor right now, at work or idle without a halt. */
  get running(): boolean {
    const { processor, owner } = this
    return processor.runs(owner) || (this.#neverHalts && processor.idle)
  }

  /** Items that it has not begun with. */
  get backlog(): number {
    return this.#queue.length
  }

  /** Whether it sleeps, or polls in vain, with nothing on its way to it. */
  get idle(): boolean {
    return (this.parked || this.#polling) && this.#queue.length === 0
  }

  /** The doorbell has been heard: charges what that takes, and wakes. */
  rouse(charges: readonly Charge[], rung: number): void {
    if (!this.parked) return
    for (const charge of charges) this.pay(charge)
    this.#told = true
    this.#rung = rung
    this.#woken = this.#simulation.events.now
    this.wake()
  }

  /** Charges the worker something that happens so many times. */
  pay({ activity, nanoseconds, times = 1 }: Charge, amount = 1): void {
    this.charge(activity, times * amount, nanoseconds * times * amount)
  }

  /** Sleeps until there is work that it may know of, and does it, batch by batch. */
  protected *run(): Program {
    const { events } = this.#simulation
    for (;;) {
      // Here, because a generator of its own for each sleep would cost as much as the rest of a batch.
      while (!this.#hasWork) {
        if (this.#polls) yield* this.#poll()
        else {
          if (this.processor.waiting === 0) for (const charge of this.#prices.sleep) this.pay(charge)
          yield this.spend()
          if (this.#hasWork) break
          if (this.#queue.length > 0) this.doorbell.ring()
          yield PARK
        }
      }
      this.#told = false
      const began = events.now
      const waking = this.due
      const batch = this.#fetch()
      this.#payFor(batch)
      yield this.spend()
      const worked = events.now
      if (this.#errand !== undefined) yield* this.#errand(this, batch)
      const mapping = events.now - worked
      this.#finish(batch, began, waking, mapping)
      this.#again = batch.length === this.#budget
      if (this.processor.waiting > 0) yield TURN
    }
  }

  /** Looks until there is work. */
  *#poll(): Program {
    this.#polling = true
    while (this.#queue.length === 0) {
      if (this.processor.waiting === 0) yield POLL
      else {
        this.spun(this.#simulation.costs.pollInterval)
        yield this.#simulation.costs.pollInterval
        yield TURN
      }
    }
    this.#polling = false
  }

  /** One that rests knows of work only when it was told, or when the last round was not enough. */
  get #hasWork(): boolean {
    return this.#queue.length > 0 && (!this.#rests || this.#told || this.#again)
  }

  #fetch(): readonly number[] {
    const batch = this.#batch
    batch.length = Math.min(this.#queue.length, this.#budget)
    for (let i = 0; i < batch.length; i++) batch[i] = this.#queue.shift()
    return batch
  }

  #payFor(batch: readonly number[]): void {
    const prices = this.#prices
    const { sizes, flows } = this.#simulation.journeys
    let bytes = 0
    let aggregates = 0
    this.#stamp++
    for (const item of batch) {
      bytes += sizes[item]!
      const flow = flows[item]!
      if (this.#flowSeen[flow] === this.#stamp) continue
      this.#flowSeen[flow] = this.#stamp
      aggregates++
    }
    aggregates = Math.max(aggregates, Math.ceil(bytes / AGGREGATE_BYTES))
    for (const charge of prices.batch) this.pay(charge)
    for (const charge of prices.item) this.pay(charge, batch.length)
    for (const charge of prices.aggregate) this.pay(charge, aggregates)
    for (const { activity, nanoseconds } of prices.byte)
      this.charge(activity, batch.length, nanoseconds * bytes)
  }

  /** Charges the items what they waited and what was done for them, and lets them go on. */
  #finish(batch: readonly number[], began: number, due: number, mapping: number): void {
    const { journeys, events } = this.#simulation
    const charged = this.#charged
    const whole = events.now - began
    const waking = Math.min(due, whole - mapping)
    const rest = whole - waking - mapping
    for (const item of batch) {
      const came = journeys.since(item)
      const told = clamp(this.#rung, came, began)
      const woken = clamp(this.#woken, told, began)
      journeys.charge(item, charged.moderation, told - came)
      journeys.charge(item, charged.queueing, began - woken)
      journeys.charge(item, charged.waking, woken - told + waking)
      if (mapping > 0) journeys.charge(item, charged.mapping, mapping)
      journeys.charge(item, charged.batch, rest - this.#own(journeys.sizes[item]!))
      journeys.resume(item)
    }
  }

  /** What an item costs alone, waking apart. */
  #own(bytes: number): number {
    return this.#ownFixed + this.#ownPerByte * bytes
  }
}

const costOf = (charges: readonly Charge[] = []): number =>
  charges.reduce((sum, { nanoseconds, times = 1 }) => sum + nanoseconds * times, 0)

const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high)
