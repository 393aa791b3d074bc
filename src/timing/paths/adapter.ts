/** A network adapter: wires, packet engines, descriptor rings, and the DMA between them and memory. */
import type { RequesterId } from '../../core/index.ts'
import { type Journeys, Path, type Step } from '../resources/journeys.ts'
import type { Pool } from '../resources/pool.ts'
import { Ring } from '../resources/ring.ts'
import type { Server } from '../resources/server.ts'
import { Delay, merged, Serve } from '../resources/steps.ts'
import type { Counter, Simulation } from '../simulation.ts'
import type { Buffers } from './buffers.ts'
import { Root } from './root.ts'
import type { Framing } from './wire.ts'

const DESCRIPTOR_BYTES = 16

/** A descriptor ring and who uses it. */
export interface Queue {
  readonly requester: RequesterId
  readonly descriptors: Pool
  readonly buffers: Buffers
  /** Page of the ring itself. */
  readonly ringPage: number
  readonly port: number
  /** Whether software sleeps: then it is told of every single descriptor. */
  readonly idle: () => boolean
}

export class Adapter {
  readonly root: Root
  readonly #framing: Framing
  readonly #simulation: Simulation
  readonly #in: readonly Server[]
  readonly #out: readonly Server[]
  readonly #receiver: Server
  readonly #transmitter: Server

  constructor(simulation: Simulation, name: string, framing: Framing) {
    const { ports } = simulation.configuration.adapter
    this.#simulation = simulation
    this.#framing = framing
    this.root = new Root(simulation, name)
    this.#in = Array.from({ length: ports }, (_, port) =>
      simulation.addServer(`wire to ${name}, port ${port}`),
    )
    this.#out = Array.from({ length: ports }, (_, port) =>
      simulation.addServer(`wire from ${name}, port ${port}`),
    )
    this.#receiver = simulation.addServer(`receiver of ${name}`)
    this.#transmitter = simulation.addServer(`transmitter of ${name}`)
  }

  /** The wire alone: what a source that never rests waits for. */
  arrive({ port }: Queue): Step {
    const { gbps } = this.#simulation.configuration.adapter
    return new Serve(
      this.#simulation,
      this.#in[port]!,
      'frame',
      size => (this.#framing.onWire(size) * 8) / gbps,
    )
  }

  /** What the engine does to a packet. One that takes no longer than the wire does to bring it makes nobody wait. */
  #receiveEngine(payload: number): Step {
    const simulation = this.#simulation
    const { costs, configuration } = simulation
    const { gbps, ports } = configuration.adapter
    const arrival = (this.#framing.onWire(payload) * 8) / gbps / ports
    return costs.devicePacket <= arrival
      ? new Delay(simulation, this.#receiver.name, 'packet', costs.devicePacket)
      : new Serve(simulation, this.#receiver, 'packet', () => costs.devicePacket)
  }

  /** From the wire to memory. `lossy`: a packet that finds no descriptor is lost; else the sender is told to wait. */
  receive(queue: Queue, payload: number, lossy: boolean): Step[] {
    const simulation = this.#simulation
    const { costs } = simulation
    const { requester } = queue
    return [
      this.#receiveEngine(payload),
      new Delay(simulation, 'adapter', 'pipeline', costs.devicePipeline),
      new TakeDescriptor(simulation, queue, lossy),
      ...this.root.write({ requester, bytes: size => this.#framing.inMemory(size) }),
      this.#descriptorTraffic(queue, 'read', 'write'),
    ]
  }

  /** From memory to the wire. */
  transmit(queue: Queue): Step[] {
    const simulation = this.#simulation
    const { costs, configuration } = simulation
    const { requester, port } = queue
    const { gbps } = configuration.adapter
    return [
      new TakeDescriptor(simulation, queue, false),
      new Delay(simulation, 'link', 'doorbell', costs.registerWrite),
      new Fetch(simulation, queue, this.#descriptorPath(queue, 'read')),
      ...this.root.read({ requester, bytes: size => this.#framing.inMemory(size) }),
      new Serve(
        simulation,
        this.#transmitter,
        'packet',
        size => costs.devicePacket * this.#framing.packets(size),
      ),
      new Delay(simulation, 'adapter', 'pipeline', costs.devicePipeline),
      new Serve(simulation, this.#out[port]!, 'frames', size => (this.#framing.onWire(size) * 8) / gbps),
      this.#descriptorTraffic(queue, 'write'),
    ]
  }

  #descriptorTraffic(queue: Queue, ...kinds: readonly ('read' | 'write')[]): Step {
    return new DescriptorTraffic(
      this.#simulation,
      queue,
      kinds.map(kind => this.#descriptorPath(queue, kind)),
    )
  }

  #descriptorPath({ requester }: Queue, kind: 'read' | 'write'): Path {
    const steps = kind === 'read' ? this.root.read({ requester }) : this.root.write({ requester })
    return new Path(merged(steps), false)
  }
}

/** Takes a descriptor and uses the buffer that it names. Who finds none waits, or is lost. */
class TakeDescriptor implements Step {
  readonly #journeys: Journeys
  readonly #descriptors: Pool
  readonly #buffers: Buffers
  readonly #lossy: boolean
  readonly #drops: Counter
  readonly #column: number
  readonly columns: readonly number[]

  constructor(simulation: Simulation, { descriptors, buffers }: Queue, lossy: boolean) {
    this.#journeys = simulation.journeys
    this.#descriptors = descriptors
    this.#buffers = buffers
    this.#lossy = lossy
    this.#drops = simulation.counter('drops')
    this.#column = simulation.journeys.column(descriptors.name, 'waiting')
    this.columns = [this.#column]
  }

  readonly enter = (item: number): boolean => {
    const journeys = this.#journeys
    const descriptors = this.#descriptors
    if (this.#lossy && !descriptors.has(1)) {
      this.#drops.count++
      journeys.drop(item)
      return false
    }
    if (descriptors.take(item, 1)) {
      journeys.pages[item] = this.#buffers.next()
      return true
    }
    journeys.waits(item)
    return false
  }

  readonly leave = (item: number): void => {
    const journeys = this.#journeys
    journeys.charge(item, this.#column, journeys.waited(item))
    journeys.pages[item] = this.#buffers.next()
  }
}

/** Descriptors travel beside the packets: so many at once, or as soon as somebody waits for them. */
class DescriptorTraffic implements Step {
  readonly #journeys: Journeys
  readonly #queue: Queue
  readonly #batch: number
  readonly #paths: readonly Path[]
  #waiting = 0

  constructor(simulation: Simulation, queue: Queue, paths: readonly Path[]) {
    this.#journeys = simulation.journeys
    this.#queue = queue
    this.#batch = simulation.costs.descriptorBatch
    this.#paths = paths
  }

  readonly enter = (): boolean => {
    this.#waiting++
    if (this.#waiting >= this.#batch || this.#queue.idle()) this.#send()
    return true
  }

  #send(): void {
    const bytes = this.#waiting * DESCRIPTOR_BYTES
    this.#waiting = 0
    for (const path of this.#paths) this.#journeys.begin(path, bytes, 0, this.#queue.ringPage)
  }
}

/** The adapter reads descriptors before it sends: one for a packet that comes alone, many for a backlog. */
class Fetch implements Step {
  readonly #journeys: Journeys
  readonly #queue: Queue
  readonly #path: Path
  readonly #batch: number
  readonly #waiting = new Ring()
  readonly #column: number
  readonly columns: readonly number[]
  #known = 0

  constructor(simulation: Simulation, queue: Queue, path: Path) {
    this.#journeys = simulation.journeys
    this.#queue = queue
    this.#batch = simulation.costs.descriptorBatch
    this.#column = simulation.journeys.column('adapter', 'descriptor fetch')
    this.columns = [this.#column]
    path.end = () => this.#fetched()
    this.#path = path
  }

  readonly enter = (item: number): boolean => {
    if (this.#known > 0) {
      this.#known--
      return true
    }
    const backlog = Math.min(this.#batch, this.#queue.descriptors.inside)
    this.#known = backlog - 1
    this.#journeys.waits(item)
    this.#waiting.push(item)
    this.#journeys.begin(this.#path, backlog * DESCRIPTOR_BYTES, 0, this.#queue.ringPage)
    return false
  }

  #fetched(): void {
    const item = this.#waiting.shift()
    this.#journeys.charge(item, this.#column, this.#journeys.waited(item))
    this.#journeys.resume(item)
  }
}
