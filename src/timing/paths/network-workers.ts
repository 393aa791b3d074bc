/** Workers of network paths, the rings they serve, and what wakes them. */
import type { NetworkWorkload } from '../configuration.ts'
import type { Side } from '../resources/accounts.ts'
import type { Step } from '../resources/journeys.ts'
import type { Processor } from '../resources/processor.ts'
import { Delay, Do } from '../resources/steps.ts'
import type { Simulation } from '../simulation.ts'
import { Interrupt, Signal, type Wakening } from '../software/doorbells.ts'
import { type Charge, type Errand, type Prices, Worker } from '../software/worker.ts'
import type { Adapter, Queue } from './adapter.ts'
import type { DeviceSpace } from './buffers.ts'
import type { Framing } from './wire.ts'

const PAGE = 4096

/** Where a worker runs, and for whom. */
export interface Seat {
  readonly side: Side
  readonly owner: number
  readonly processor: Processor
}

/** The receiving end of a ring. */
export interface Receiver {
  readonly worker: Worker
  /** From the wire to the worker. */
  readonly steps: readonly Step[]
  /** Gives the descriptor back. */
  readonly refill: Step
}

export class NetworkWorkers {
  readonly #simulation: Simulation
  readonly #workload: NetworkWorkload
  readonly #framing: Framing
  #rings = 0

  constructor(simulation: Simulation, workload: NetworkWorkload, framing: Framing) {
    this.#simulation = simulation
    this.#workload = workload
    this.#framing = framing
  }

  /** A worker of other software: it is told by a signal, or at once. */
  worker(
    role: string,
    seat: Seat,
    prices: Prices,
    more: { readonly polls?: boolean; readonly budget?: number } = {},
  ): Worker {
    const budget = this.#simulation.costs.pollBudget
    return new Worker(this.#simulation, { role, ...seat, prices, budget, ...more })
  }

  /** A worker that the adapter's interrupts wake. */
  interrupted(
    role: string,
    seat: Seat,
    prices: Prices,
    wakening: Wakening,
    errand: Errand | undefined,
  ): Worker {
    const { costs, configuration } = this.#simulation
    const worker = new Worker(this.#simulation, {
      role,
      ...seat,
      prices,
      budget: costs.pollBudget,
      rests: true,
      urgent: true,
      ...(errand === undefined ? {} : { errand }),
    })
    worker.doorbell = new Interrupt(this.#simulation, worker, {
      moderation: configuration.adapter.moderation,
      latency: costs.rootComplexLatency / 2,
      wakening,
    })
    return worker
  }

  signal(worker: Worker, sender: Worker, price: readonly Charge[], wakening: Wakening): void {
    worker.doorbell = new Signal(this.#simulation, worker, { sender, price, wakening })
  }

  /** Hands items to a worker. Datagrams are lost that find its queue full. */
  handTo(worker: Worker): Step[] {
    if (this.#workload.pattern !== 'datagrams') return [worker]
    const { ringSize } = this.#simulation.configuration.adapter
    return [new DropIfFull(this.#simulation, worker, ringSize), worker]
  }

  /** A ring of an adapter, with buffers of so many bytes, in parts. */
  queue(space: DeviceSpace, machine: number, bytes: number, parts: number, idle: () => boolean): Queue {
    const { ringSize, ports } = this.#simulation.configuration.adapter
    return {
      requester: space.requester,
      descriptors: this.#simulation.addPool(`descriptors of ring ${this.#rings++}`, ringSize),
      buffers: space.buffers(ringSize, Math.ceil(bytes / PAGE), parts),
      ringPage: space.ring(),
      port: machine % ports,
      idle,
    }
  }

  /** From one end of the wire to the other. */
  latency(): Step {
    const { costs } = this.#simulation
    return new Delay(this.#simulation, 'wire', 'latency', costs.wireLatency)
  }

  /** Of the packets that arrive. */
  get #payload(): number {
    const { pattern, messageBytes } = this.#workload
    return pattern === 'stream' ? this.#framing.packet : Math.min(messageBytes, this.#framing.packet)
  }

  /** A receive ring and the driver that serves it. */
  receiver(
    adapter: Adapter,
    space: DeviceSpace,
    machine: number,
    driver: {
      readonly role: string
      readonly seat: Seat
      readonly prices: Prices
      readonly wakening: Wakening
    },
  ): Receiver {
    const bytes = this.#framing.inMemory(this.#framing.packet)
    const queue = this.queue(space, machine, bytes, 1, () => worker.idle)
    const { role, seat, prices, wakening } = driver
    const worker = this.interrupted(role, seat, prices, wakening, queue.buffers.errand)
    const lossy = this.#workload.pattern === 'datagrams'
    return {
      worker,
      steps: [adapter.arrive(queue), this.latency(), ...adapter.receive(queue, this.#payload, lossy), worker],
      refill: new Do(() => queue.descriptors.give(1)),
    }
  }
}

class DropIfFull implements Step {
  readonly #simulation: Simulation
  readonly #worker: Worker
  readonly #limit: number

  constructor(simulation: Simulation, worker: Worker, limit: number) {
    this.#simulation = simulation
    this.#worker = worker
    this.#limit = limit
  }

  readonly enter = (item: number): boolean => {
    if (this.#worker.backlog < this.#limit) return true
    this.#simulation.counter('drops').count++
    this.#simulation.journeys.drop(item)
    return false
  }
}
