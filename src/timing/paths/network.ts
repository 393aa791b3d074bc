/** Network traffic of guests or the host, by each model: who touches a packet between wire and application. */
import type { NetworkWorkload } from '../configuration.ts'
import { InvalidationPort } from '../host-iommu/invalidation-port.ts'
import { Path, type Step } from '../resources/journeys.ts'
import type { Processor } from '../resources/processor.ts'
import { Count, Do } from '../resources/steps.ts'
import type { Simulation } from '../simulation.ts'
import type { Wakening } from '../software/doorbells.ts'
import type { Prices, Worker } from '../software/worker.ts'
import { Adapter } from './adapter.ts'
import { DeviceSpace } from './buffers.ts'
import { NetworkPrices } from './network-prices.ts'
import { NetworkWorkers, type Receiver, type Seat } from './network-workers.ts'
import { Traffic } from './traffic.ts'
import { Framing } from './wire.ts'

const HOST = 0

/** One virtual processor with rings of its own, or a processor of the host. */
interface Lane {
  readonly machine: number
  readonly seat: Seat
  readonly adapter: Adapter
  readonly space: DeviceSpace
  /** Where the back end of the machine runs, if it has one. */
  readonly backend: Seat | undefined
}

export function buildNetwork(simulation: Simulation, workload: NetworkWorkload): void {
  new Network(simulation, workload).build()
}

class Network {
  readonly #simulation: Simulation
  readonly #workload: NetworkWorkload
  readonly #prices: NetworkPrices
  readonly #framing: Framing
  readonly #workers: NetworkWorkers
  readonly #traffic: Traffic
  readonly #port: InvalidationPort
  /** The device's functions belong to guests. */
  readonly #assigned: boolean
  readonly #hasBackend: boolean
  readonly #adapters: Adapter[] = []
  readonly #hostSpace: DeviceSpace | undefined
  #placed = 0

  constructor(simulation: Simulation, workload: NetworkWorkload) {
    const { model } = workload
    this.#simulation = simulation
    this.#workload = workload
    this.#framing = new Framing(workload)
    this.#prices = new NetworkPrices(simulation, workload, this.#framing)
    this.#workers = new NetworkWorkers(simulation, workload, this.#framing)
    this.#traffic = new Traffic(simulation, workload, this.#framing)
    this.#port = new InvalidationPort(simulation)
    this.#assigned = model === 'sriov' || model === 'direct'
    this.#hasBackend = model === 'emulated' || model === 'paravirtual' || model === 'vmdq'
    this.#hostSpace = this.#assigned ? undefined : new DeviceSpace(simulation, this.#port, false)
  }

  build(): void {
    const { direction, pattern, hostQueues } = this.#workload
    const lanes = this.#lanes()
    // Without queues for each machine the host receives for all of them, and sorts.
    const sorts = this.#hasBackend && this.#workload.model !== 'vmdq'
    const shared = Array.from({ length: sorts ? hostQueues : 0 }, (_, i) => this.#hostReceiver(i, false))
    for (const [number, lane] of lanes.entries()) {
      const incoming = (): Step[] => this.#receive(lane, shared[number % shared.length])
      const outgoing = (): Step[] => this.#transmit(lane)
      if (pattern === 'requestResponse') this.#traffic.requests(number, [...incoming(), ...outgoing()])
      else {
        if (direction !== 'transmit') this.#traffic.arrivals(number, incoming())
        if (direction !== 'receive') this.#traffic.departures(number, outgoing())
      }
    }
  }

  /** Processors are given in turn: virtual ones first, then those of back ends and of the host's drivers. */
  #lanes(): readonly Lane[] {
    const { model, vms, vcpus } = this.#workload
    const machines = Array.from({ length: model === 'native' ? 1 : vms }, (_, machine) => machine)
    const seats = machines.map(machine => Array.from({ length: vcpus }, () => this.#guestSeat(machine)))
    const whole = this.#prices.inOnePiece ? this.#hostSeat(HOST) : undefined
    return machines.flatMap(machine => {
      const place = {
        machine,
        adapter: this.#adapterOf(machine),
        space: this.#hostSpace ?? new DeviceSpace(this.#simulation, this.#port, true),
        // Back ends are threads of the host, each of a process of its own.
        backend: this.#hasBackend ? (whole ?? this.#hostSeat(-1 - machine)) : undefined,
      }
      return seats[machine]!.map((seat): Lane => ({ ...place, seat }))
    })
  }

  #guestSeat(machine: number): Seat {
    if (this.#workload.model === 'native') return this.#hostSeat(HOST)
    return { side: 'guest', owner: machine + 1, processor: this.#place() }
  }

  #hostSeat(owner: number): Seat {
    return { side: 'host', owner, processor: this.#place() }
  }

  #place(): Processor {
    const { processors } = this.#simulation
    return processors[this.#placed++ % processors.length]!
  }

  /** Each machine has its own adapter, or all share one. */
  #adapterOf(machine: number): Adapter {
    const own = this.#workload.model === 'direct' ? machine : 0
    const name = own === 0 ? 'adapter' : `adapter ${own}`
    return (this.#adapters[own] ??= new Adapter(this.#simulation, name, this.#framing))
  }

  #hostReceiver(number: number, sorted: boolean): Receiver {
    return this.#workers.receiver(this.#adapterOf(0), this.#hostSpace!, number, {
      role: 'host driver',
      seat: this.#hostSeat(HOST),
      prices: this.#prices.hostReceiver(sorted),
      wakening: this.#prices.native,
    })
  }

  /** From the wire to the application. */
  #receive(lane: Lane, shared: Receiver | undefined): Step[] {
    const { machine, seat, adapter, space, backend } = lane
    const prices = this.#prices
    if (backend === undefined) {
      const { worker, steps, refill } = this.#workers.receiver(adapter, space, machine, {
        role: 'driver',
        seat,
        prices: prices.receiver(seat.side, 'driverPerPacket', false),
        wakening: this.#wakening,
      })
      return [...steps, refill, ...this.#workers.handTo(this.#application(seat, worker))]
    }
    const host = shared ?? this.#hostReceiver(machine, true)
    const emulated = this.#workload.model === 'emulated'
    const driver = emulated ? 'driverPerPacket' : 'frontendPerPacket'
    const guest = this.#workers.worker('driver', seat, prices.receiver('guest', driver, emulated))
    guest.urgent = true
    const between: Step[] = []
    let teller = host.worker
    if (!prices.inOnePiece) {
      teller = this.#backend(backend, prices.receivingBackend(), 'receive')
      this.#workers.signal(teller, host.worker, [], prices.thread)
      between.push(...this.#workers.handTo(teller))
    }
    this.#workers.signal(guest, teller, prices.injection, prices.injected)
    return [
      ...host.steps,
      host.refill,
      ...between,
      this.#copied(),
      ...this.#workers.handTo(guest),
      ...this.#workers.handTo(this.#application(seat, guest)),
    ]
  }

  /**
   * The application reads a message at a time, so that its driver is not kept waiting for long; of datagrams as many as the
   * driver takes at once, or it would starve beside it.
   */
  #application(seat: Seat, driver: Worker): Worker {
    const { pattern, messageBytes } = this.#workload
    const { pollBudget } = this.#simulation.costs
    const budget = pattern === 'datagrams' ? pollBudget : this.#framing.packets(messageBytes)
    const worker = this.#workers.worker('application', seat, this.#prices.application(seat.side), { budget })
    this.#workers.signal(worker, driver, [this.#prices.switched(seat.side)], NOTHING)
    return worker
  }

  get #wakening(): Wakening {
    return this.#assigned ? this.#prices.assigned : this.#prices.native
  }

  #backend(seat: Seat, prices: Prices, direction: 'receive' | 'transmit'): Worker {
    const { model, backend } = this.#workload
    const name = model === 'emulated' ? 'device model' : 'back end'
    return this.#workers.worker(`${name}, ${direction}`, seat, prices, { polls: backend === 'sidecore' })
  }

  #copied(): Step {
    return new Count(this.#simulation, 'copies')
  }

  /** From the application to the wire. */
  #transmit(lane: Lane): Step[] {
    const { seat, backend } = lane
    const { model } = this.#workload
    const prices = this.#prices
    const emulated = model === 'emulated'
    const driver = backend === undefined || emulated ? 'driverPerPacket' : 'frontendPerPacket'
    const sender = this.#workers.worker('sender', seat, prices.sender(seat.side, driver, emulated))
    if (backend === undefined) return [sender, ...this.#send(lane, seat, this.#wakening)]
    const back = this.#backend(backend, prices.sendingBackend(this.#traffic.segment), 'transmit')
    const silent = emulated || this.#workload.backend === 'sidecore'
    this.#workers.signal(back, sender, silent ? [] : prices.kick, prices.thread)
    return [sender, back, this.#copied(), ...this.#send(lane, backend, prices.native)]
  }

  /** A transmit ring; completions go to a worker of their own, which takes the buffers back. */
  #send({ adapter, space, machine }: Lane, seat: Seat, wakening: Wakening): Step[] {
    const { journeys } = this.#simulation
    const { segment } = this.#traffic
    const bytes = this.#framing.inMemory(segment)
    const parts = this.#framing.partsOf(segment)
    const queue = this.#workers.queue(space, machine, bytes, parts, () => completer.idle)
    const { errand } = queue.buffers
    const completer = this.#workers.interrupted(
      'completion',
      seat,
      this.#prices.completion(seat.side),
      wakening,
      errand,
    )
    const completion = new Path([completer, new Do(() => queue.descriptors.give(1))], false)
    return [
      ...adapter.transmit(queue),
      new Do(item => {
        journeys.begin(completion, journeys.sizes[item]!, journeys.flows[item]!, journeys.pages[item]!)
      }),
      this.#workers.latency(),
    ]
  }
}

/** Within one system a wake-up costs its sender only. */
const NOTHING: Wakening = { running: [], halted: [], haltedLatency: 0 }
