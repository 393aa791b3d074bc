/** From a device to memory and back: link, root complex, remapping unit, memory. Every DMA of every model goes this way. */
import { assert, type RequesterId } from '../../core/index.ts'
import type { Step } from '../resources/journeys.ts'
import type { Pool } from '../resources/pool.ts'
import type { Server } from '../resources/server.ts'
import { Delay, Give, Serve, Take } from '../resources/steps.ts'
import { Translate } from '../resources/translate.ts'
import type { Simulation } from '../simulation.ts'
import { mappingsStay } from './buffers.ts'
import { LinkTiming } from './link.ts'

/** Whose transfers, of how many bytes, to what kind of memory. */
export interface Transfer {
  readonly requester: RequesterId
  /** On the link, by the size of the item; default: the same. */
  readonly bytes?: (size: number) => number
  readonly remote?: boolean
  /** Not in the last-level cache. */
  readonly cold?: boolean
  /** Pages from this one on do not fit what the cache gives to devices. */
  readonly coldFrom?: number
  /** Nothing else is under way: parts of the root complex may sleep. */
  readonly alone?: boolean
}

const same = (size: number): number => size

export class Root {
  readonly link: LinkTiming
  readonly #simulation: Simulation
  readonly #up: Server
  readonly #down: Server
  readonly #tags: Pool
  readonly #credits: Pool
  readonly #walkers: Server
  readonly #memory: Server
  readonly #writes: Server

  constructor(simulation: Simulation, device: string) {
    const { configuration, costs } = simulation
    this.#simulation = simulation
    this.link = new LinkTiming(configuration.link, costs)
    this.#up = simulation.addServer(`link from ${device}`)
    this.#down = simulation.addServer(`link to ${device}`)
    this.#tags = simulation.addPool(`read tags of ${device}`, Math.max(1, Math.round(costs.deviceReadTags)))
    this.#credits = simulation.addPool(
      `posted credits of ${device}`,
      Math.max(1, Math.round(costs.postedWrites)),
    )
    this.#walkers = simulation.shared('page walkers', name =>
      simulation.addServer(name, Math.max(1, Math.round(costs.pageWalkers))),
    )
    this.#writes = simulation.shared('root complex', name => simulation.addServer(name))
    this.#memory = simulation.shared('memory', name => simulation.addServer(name))
    simulation.links++
    assert(
      simulation.links === 1 || !this.#inOrder,
      'several links are there only where machines have devices of their own',
    )
  }

  read(transfer: Transfer): Step[] {
    const simulation = this.#simulation
    const { costs } = simulation
    const { link } = this
    const bytes = transfer.bytes ?? same
    const tags = (size: number): number => Math.min(this.#tags.units, link.requests(bytes(size)))
    return [
      new Take(simulation, this.#tags, tags),
      new Serve(simulation, this.#up, 'read request', size => link.requestTime(bytes(size))),
      this.#translate(transfer, false),
      new Delay(simulation, 'root complex', 'latency', costs.rootComplexLatency + this.#wake(transfer)),
      new Delay(simulation, 'memory', 'read', this.#readTime(transfer)),
      ...this.#dram(transfer),
      new Serve(simulation, this.#down, 'completions', size => link.completionTime(bytes(size))),
      new Give(simulation, this.#tags, tags, 'transfers'),
    ]
  }

  /** A posted write; the device is done with it when the last TLP has left, the item when memory has it. */
  write(transfer: Transfer): Step[] {
    const simulation = this.#simulation
    const { costs } = simulation
    const { link } = this
    const bytes = transfer.bytes ?? same
    const credits = (size: number): number => Math.min(this.#credits.units, link.writes(bytes(size)))
    return [
      new Take(simulation, this.#credits, credits),
      new Serve(simulation, this.#up, 'write', size => link.writeTime(bytes(size))),
      ...this.#acceptance(bytes),
      this.#translate(transfer, true),
      new Delay(simulation, 'root complex', 'latency', costs.rootComplexLatency / 2),
      new Delay(simulation, 'memory', 'write', this.#remoteExtra(transfer)),
      ...this.#dram(transfer),
      new Give(simulation, this.#credits, credits, 'transfers'),
    ]
  }

  #translate({ requester, bytes = same }: Transfer, write: boolean): Step {
    return new Translate(this.#simulation, {
      walkers: this.#walkers,
      requester,
      write,
      bytes,
      early: this.#inOrder && mappingsStay(this.#simulation.configuration),
    })
  }

  /**
   * Whether requests come to the unit in the order in which they entered the link. With one link, which leads straight to
   * it, they do: then the unit may be asked for its answers in that order too, as soon as a request enters the link, unless
   * somebody could invalidate what it has cached while the request is on its way.
   */
  get #inOrder(): boolean {
    const { workload } = this.#simulation.configuration
    const links = 'vms' in workload && workload.model === 'direct' ? workload.vms : 1
    return links === 1 && !this.#acceptsSlowly
  }

  #wake({ alone }: Transfer): number {
    return alone === true ? this.#simulation.costs.uncoreWake : 0
  }

  #readTime(transfer: Transfer): number | ((item: number) => number) {
    const { costs, journeys } = this.#simulation
    const { coldFrom } = transfer
    const remote = this.#remoteExtra(transfer)
    if (coldFrom === undefined) return costs.cacheRead + remote
    return item => costs.cacheRead + ((journeys.pages[item]! >= coldFrom ? costs.dramExtra : 0) + remote)
  }

  #remoteExtra({ remote }: Transfer): number {
    return remote === true ? this.#simulation.costs.remoteSocketExtra : 0
  }

  /** A root complex that takes writes more slowly than the link brings them. */
  get #acceptsSlowly(): boolean {
    return this.#simulation.costs.rootComplexWrite > this.link.writeTime(1)
  }

  #acceptance(bytes: (size: number) => number): Step[] {
    const { rootComplexWrite } = this.#simulation.costs
    if (!this.#acceptsSlowly) return []
    return [
      new Serve(
        this.#simulation,
        this.#writes,
        'write',
        size => this.link.writes(bytes(size)) * rootComplexWrite,
      ),
    ]
  }

  /** Bandwidth of DRAM, where the cache takes nothing. */
  #dram({ coldFrom, bytes = same }: Transfer): Step[] {
    if (coldFrom !== 0) return []
    const { dramGBps } = this.#simulation.costs
    return [new Serve(this.#simulation, this.#memory, 'DRAM', size => bytes(size) / dramGBps)]
  }
}
