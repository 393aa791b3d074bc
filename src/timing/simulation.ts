/** One simulation: its time, its machine, everybody who measures. Paths put their stations, threads and items into it. */
import type { RequesterId } from '../core/index.ts'
import { Random } from '../core/index.ts'
import type { Configuration } from './configuration.ts'
import type { Costs, ParameterName } from './costs/parameters.ts'
import { MappingTimes } from './host-iommu/mapping-times.ts'
import { Remapping } from './remapping/remapping.ts'
import { Activities } from './resources/accounts.ts'
import { EventQueue } from './resources/event-queue.ts'
import { Histogram } from './resources/histogram.ts'
import { Journeys } from './resources/journeys.ts'
import { Pool } from './resources/pool.ts'
import { Processor } from './resources/processor.ts'
import { Server } from './resources/server.ts'
import { SpinLock } from './resources/spin-lock.ts'
import type { Station } from './resources/station.ts'

/** Counted while it is measured; whoever counts keeps it at hand. */
export interface Counter {
  count: number
}

export class Simulation {
  readonly configuration: Configuration
  readonly costs: Costs
  readonly events = new EventQueue()
  readonly activities = new Activities()
  readonly journeys = new Journeys(this.events)
  readonly random: Random
  readonly stations: Station[] = []
  readonly processors: readonly Processor[]
  /** Absent if the unit is off. */
  readonly remapping: Remapping | undefined
  /** Latencies of operations that are not items of {@link journeys}. */
  readonly operations = new Histogram()
  /** What happened while it was measured, besides what activities and stations count. */
  readonly #counters = new Map<string, Counter>()
  readonly mapping = new MappingTimes()
  readonly #continue: number
  #functions = 0
  /** Links that lead to the remapping unit. */
  links = 0

  constructor(configuration: Configuration, costs: Costs) {
    this.configuration = configuration
    this.costs = costs
    this.random = new Random(configuration.seed)
    this.remapping = configuration.iommu.mode === 'off' ? undefined : new Remapping(costs, this.events)
    this.#continue = this.events.handle(number => this.processors[number]!.proceed())
    const { cores, threadsPerCore } = configuration.machine
    const options = {
      continue: this.#continue,
      switchActivity: this.activities.number('context switch', 'host'),
      switchTime: this.cycles('contextSwitch'),
      siblingShare: costs.siblingShare,
    }
    const threads = cores * threadsPerCore
    this.processors = Array.from(
      { length: threads },
      (_, number) => new Processor(this.events, number, options),
    )
    this.stations.push(...this.processors)
    // As Linux numbers them: first one thread of each core, then the others.
    for (const processor of threadsPerCore === 2 ? this.processors : [])
      processor.sibling = this.processors[(processor.number + cores) % threads]
  }

  /** Nanoseconds of a cost in cycles. */
  readonly cycles = (name: ParameterName): number => this.costs[name] / this.costs.clockGHz

  readonly #shared = new Map<string, Server>()

  /** A station that all devices use. */
  shared(name: string, make: (name: string) => Server): Server {
    let server = this.#shared.get(name)
    if (server === undefined) this.#shared.set(name, (server = make(name)))
    return server
  }

  addServer(name: string, units = 1): Server {
    return this.#add(new Server(this.events, name, units))
  }

  /** A pool for items of {@link journeys}. */
  addPool(name: string, units: number): Pool {
    return this.#add(new Pool(this.events, name, units, this.journeys.resumed))
  }

  addLock(name: string): SpinLock {
    const { lockHandOff, lockWaiterExtra } = this.costs
    return this.#add(
      new SpinLock(this.events, name, {
        handOff: lockHandOff,
        waiterExtra: lockWaiterExtra,
        continue: this.#continue,
      }),
    )
  }

  #add<Kind extends Station>(station: Kind): Kind {
    this.stations.push(station)
    return station
  }

  /** A function of the device, with a requester id of its own. */
  addFunction(): RequesterId {
    return (0x100 + this.#functions++) as RequesterId
  }

  /** What paths count, by name. */
  counter(name: string): Counter {
    let counter = this.#counters.get(name)
    if (counter === undefined) this.#counters.set(name, (counter = { count: 0 }))
    return counter
  }

  get counts(): ReadonlyMap<string, Counter> {
    return this.#counters
  }

  /** Operations that ended while it was measured. */
  get operationCount(): number {
    return this.journeys.latencies.count + this.operations.count
  }

  /** Lets time pass: the warm-up, and then what is measured. */
  run(): void {
    const { warmUp, duration } = this.configuration
    this.events.run(warmUp)
    for (const station of this.stations) station.restart()
    this.activities.restart()
    this.journeys.restart()
    this.operations.restart()
    this.remapping?.restart()
    for (const counter of this.#counters.values()) counter.count = 0
    this.mapping.restart()
    this.events.run(warmUp + duration)
  }
}
