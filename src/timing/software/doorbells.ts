/** How sleeping software is woken: by a device's interrupt, natively or through a hypervisor, or by other software. */
import type { Simulation } from '../simulation.ts'
import type { Charge, Doorbell, Worker } from './worker.ts'

/** What the worker's processor pays, by what it was doing when the news came. */
export interface Wakening {
  /** Software of the same owner was running there. */
  readonly running: readonly Charge[]
  /** It was idle, or ran somebody else. */
  readonly halted: readonly Charge[]
  /** Nanoseconds until the first instruction, if it was halted. */
  readonly haltedLatency: number
}

/** An interrupt message of a device, not sent sooner after the last than moderation allows. */
export class Interrupt implements Doorbell {
  readonly #simulation: Simulation
  readonly #worker: Worker
  readonly #moderation: number
  readonly #wakening: Wakening
  readonly #sent: number
  readonly #heard: number
  readonly #latency: number
  readonly #sentSoFar: { count: number }
  #pending = false
  #last = Number.NEGATIVE_INFINITY
  #charges: readonly Charge[] = []

  /** @param latency of the message: a posted write to the root complex and on to the processor. */
  constructor(
    simulation: Simulation,
    worker: Worker,
    options: { readonly moderation: number; readonly latency: number; readonly wakening: Wakening },
  ) {
    this.#simulation = simulation
    this.#worker = worker
    this.#moderation = options.moderation
    this.#latency = options.latency
    this.#wakening = options.wakening
    this.#sentSoFar = simulation.counter('interrupts')
    this.#sent = simulation.events.handle(() => this.#send())
    this.#heard = simulation.events.handle(() => this.#hear())
  }

  ring(): void {
    if (this.#pending) return
    this.#pending = true
    const { events } = this.#simulation
    events.schedule(Math.max(events.now, this.#last + this.#moderation), this.#sent, 0)
  }

  #send(): void {
    const { events } = this.#simulation
    this.#last = events.now
    this.#sentSoFar.count++
    const { running } = this.#worker
    this.#charges = running ? this.#wakening.running : this.#wakening.halted
    const latency = this.#latency + (running ? 0 : this.#wakening.haltedLatency)
    events.schedule(events.now + latency, this.#heard, 0)
  }

  #hear(): void {
    this.#pending = false
    this.#worker.rouse(this.#charges, this.#last)
  }
}

/** News from other software: the sender pays too. */
export class Signal implements Doorbell {
  readonly #simulation: Simulation
  readonly #worker: Worker
  readonly #sender: Worker
  readonly #price: readonly Charge[]
  readonly #wakening: Wakening
  readonly #heard: number
  #pending = false
  #rung = 0
  #charges: readonly Charge[] = []

  /** @param price what the sender pays for the sending. */
  constructor(
    simulation: Simulation,
    worker: Worker,
    options: { readonly sender: Worker; readonly price: readonly Charge[]; readonly wakening: Wakening },
  ) {
    this.#simulation = simulation
    this.#worker = worker
    this.#sender = options.sender
    this.#price = options.price
    this.#wakening = options.wakening
    this.#heard = simulation.events.handle(() => this.#hear())
  }

  ring(): void {
    if (this.#pending) return
    this.#pending = true
    const { events } = this.#simulation
    const { running } = this.#worker
    for (const charge of this.#price) this.#sender.pay(charge)
    this.#rung = events.now
    this.#charges = running ? this.#wakening.running : this.#wakening.halted
    const latency = running ? 0 : this.#wakening.haltedLatency
    if (latency === 0) this.#hear()
    else events.schedule(events.now + latency, this.#heard, 0)
  }

  #hear(): void {
    this.#pending = false
    this.#worker.rouse(this.#charges, this.#rung)
  }
}
