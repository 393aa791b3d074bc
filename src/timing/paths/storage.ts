/** Block requests of guests or the host, by each model: who touches a request between application and medium. */
import type { StorageWorkload } from '../configuration.ts'
import type { ParameterName } from '../costs/parameters.ts'
import { InvalidationPort } from '../host-iommu/invalidation-port.ts'
import type { Side } from '../resources/accounts.ts'
import { Path, type Step } from '../resources/journeys.ts'
import type { Processor } from '../resources/processor.ts'
import type { Server } from '../resources/server.ts'
import { Count, Delay, Do, merged, Serve } from '../resources/steps.ts'
import type { Simulation } from '../simulation.ts'
import { Interrupt, Signal } from '../software/doorbells.ts'
import { VirtualizationPrices } from '../software/virtualization.ts'
import { type Charge, type Errand, type Prices, Worker } from '../software/worker.ts'
import { DeviceSpace } from './buffers.ts'
import { Root } from './root.ts'

const HOST = 0
const PAGE = 4096
const COMMAND_BYTES = 64
const COMPLETION_BYTES = 16

export function buildStorage(simulation: Simulation, workload: StorageWorkload): void {
  new Storage(simulation, workload).build()
}

/** A controller: its place on the link, and the medium behind it. */
interface Controller {
  readonly root: Root
  readonly channels: Server
  readonly transfer: Server
}

class Storage {
  readonly #simulation: Simulation
  readonly #workload: StorageWorkload
  readonly #prices: VirtualizationPrices
  readonly #port: InvalidationPort
  readonly #side: Side
  readonly #assigned: boolean
  readonly #controllers: Controller[] = []
  readonly #hostSpace: DeviceSpace | undefined
  #placed = 0

  constructor(simulation: Simulation, workload: StorageWorkload) {
    const { model } = workload
    this.#simulation = simulation
    this.#workload = workload
    this.#prices = new VirtualizationPrices(simulation, workload)
    this.#port = new InvalidationPort(simulation)
    this.#side = model === 'native' ? 'host' : 'guest'
    this.#assigned = model === 'direct' || model === 'sriov'
    this.#hostSpace = this.#assigned ? undefined : new DeviceSpace(simulation, this.#port, false)
  }

  build(): void {
    const { model, vms, vcpus, jobs } = this.#workload
    const machines = model === 'native' ? 1 : vms
    for (let machine = 0; machine < machines; machine++) {
      const processors = Array.from({ length: vcpus }, () => this.#place())
      const space = this.#hostSpace ?? new DeviceSpace(this.#simulation, this.#port, true)
      for (let job = 0; job < jobs; job++) this.#job(machine, processors[job % vcpus]!, space)
    }
  }

  /** Processors in turn. */
  #place(): Processor {
    const { processors } = this.#simulation
    return processors[this.#placed++ % processors.length]!
  }

  #controllerOf(machine: number): Controller {
    const own = this.#workload.model === 'direct' ? machine : 0
    return (this.#controllers[own] ??= this.#newController(own === 0 ? 'controller' : `controller ${own}`))
  }

  #newController(name: string): Controller {
    const simulation = this.#simulation
    return {
      root: new Root(simulation, name),
      channels: simulation.addServer(`medium of ${name}`, simulation.costs.diskChannels),
      transfer: simulation.addServer(`transfer of ${name}`),
    }
  }

  /** A job keeps its depth of requests under way. */
  #job(machine: number, processor: Processor, space: DeviceSpace): void {
    const { journeys, events } = this.#simulation
    const { blockBytes, depth } = this.#workload
    const begin = (): void => {
      journeys.begin(path, blockBytes, machine)
    }
    const again = events.handle(begin)
    const path = new Path(merged(this.#steps(machine, processor, space)), true, () =>
      events.schedule(events.now, again, 0),
    )
    for (let i = 0; i < depth; i++) events.schedule(0, again, 0)
  }

  #steps(machine: number, processor: Processor, space: DeviceSpace): Step[] {
    const { model } = this.#workload
    const owner = this.#side === 'guest' ? machine + 1 : HOST
    const submitter = this.#worker('application', this.#side, owner, processor, this.#submission())
    if (model !== 'emulated' && model !== 'paravirtual') {
      return [submitter, ...this.#device(machine, space, this.#side, owner, processor)]
    }
    const place = this.#place()
    const back = this.#worker('back end', 'host', -1 - machine, place, this.#backend(), this.#polledBackend)
    const kick = model === 'paravirtual' && !this.#polledBackend ? this.#prices.kick : []
    this.#signal(back, submitter, kick, this.#prices.thread)
    const completer = this.#worker('completion', 'guest', owner, processor, this.#completion('guest'))
    this.#signal(completer, back, this.#prices.injection, this.#prices.injected)
    return [
      submitter,
      back,
      ...this.#device(machine, space, 'host', -1 - machine, place),
      new Count(this.#simulation, 'copies'),
      completer,
    ]
  }

  get #polledBackend(): boolean {
    return this.#workload.backend === 'sidecore'
  }

  /** Through the controller of a driver: command, medium, data, completion, and the end of the driver's work. */
  #device(machine: number, space: DeviceSpace, side: Side, owner: number, processor: Processor): Step[] {
    const simulation = this.#simulation
    const { costs, journeys } = simulation
    const { operation, blockBytes, depth, completion } = this.#workload
    const { root, channels, transfer } = this.#controllerOf(machine)
    const { requester } = space
    const buffers = space.buffers(depth, Math.ceil(blockBytes / PAGE))
    const queuePage = space.ring()
    const dataPage: number[] = []
    const onQueue = new Do(item => {
      dataPage[item] = buffers.next()
      journeys.pages[item] = queuePage
    })
    const onData = new Do(item => {
      journeys.pages[item] = dataPage[item]!
    })
    const backToQueue = new Do(item => {
      journeys.pages[item] = queuePage
    })
    const medium = [
      new Serve(simulation, channels, operation, () => costs.diskLatency),
      new Serve(simulation, transfer, 'data', size => size / costs.diskGBps),
    ]
    const data = operation === 'read' ? root.write({ requester }) : root.read({ requester })
    const worker = this.#worker(
      'driver',
      side,
      owner,
      processor,
      this.#completion(side),
      completion === 'poll',
      buffers.errand,
    )
    if (completion === 'interrupt') {
      worker.doorbell = new Interrupt(simulation, worker, {
        moderation: 0,
        latency: costs.rootComplexLatency / 2,
        wakening: this.#assigned ? this.#prices.assigned : this.#prices.native,
      })
    }
    return [
      new Count(simulation, 'doorbells'),
      new Delay(simulation, 'link', 'doorbell', costs.registerWrite),
      onQueue,
      ...root.read({ requester, bytes: () => COMMAND_BYTES }),
      onData,
      ...(operation === 'read' ? [...medium, ...data] : [...data, ...medium.toReversed()]),
      backToQueue,
      ...root.write({ requester, bytes: () => COMPLETION_BYTES }),
      onData,
      worker,
    ]
  }

  #worker(
    role: string,
    side: Side,
    owner: number,
    processor: Processor,
    prices: Prices,
    polls = false,
    errand?: Errand,
  ): Worker {
    const budget = this.#simulation.costs.pollBudget
    const given = errand === undefined ? {} : { errand }
    return new Worker(this.#simulation, { role, side, owner, processor, prices, budget, polls, ...given })
  }

  #signal(
    worker: Worker,
    sender: Worker,
    price: readonly Charge[],
    wakening: VirtualizationPrices['thread'],
  ): void {
    worker.doorbell = new Signal(this.#simulation, worker, { sender, price, wakening })
  }

  /** Half of the block layer's work is done before the request is under way. */
  #submission(): Prices {
    const side = this.#side
    const work = halved(this.#prices.charge(side, 'block layer', 'blockStackPerRequest'))
    const call = this.#prices.charge(side, 'system call', 'systemCall')
    const { costs } = this.#simulation
    const accesses =
      this.#workload.model === 'emulated' ? [this.#prices.accesses(costs.blockEmulatedAccesses)] : []
    return { item: [call, work, ...accesses], ...this.#sleep(side) }
  }

  #completion(side: Side): Prices {
    const work = halved(this.#prices.charge(side, 'block layer', 'blockStackPerRequest'))
    return { item: [work], ...this.#sleep(side) }
  }

  #sleep(side: Side): Pick<Prices, 'sleep'> {
    return side === 'guest' ? { sleep: this.#prices.sleep } : {}
  }

  #backend(): Prices {
    const { model, backend } = this.#workload
    const parameters: ParameterName[] = [
      model === 'emulated' ? 'blockEmulatedPerRequest' : 'blockBackendPerRequest',
      ...(backend === 'user' || model === 'emulated' ? (['systemCall'] as const) : []),
    ]
    const work = this.#prices.charge('host', 'back end', ...parameters)
    const submit = halved(this.#prices.charge('host', 'block layer', 'blockStackPerRequest'))
    // Both kinds of back end move the data between a buffer of their own and the guest.
    const copy = [this.#prices.charge('host', 'copy', 'copyPerByte')]
    return { item: [work, submit], byte: copy }
  }
}

const halved = (charge: Charge): Charge => ({ ...charge, nanoseconds: charge.nanoseconds / 2 })
