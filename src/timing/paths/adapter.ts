/** A network adapter: wires, packet engines, descriptor rings, and the DMA between them and memory. */
import type { RequesterId } from '../../core/index.ts'
import { type Journeys, Path, type Step } from '../resources/journeys.ts'
import type { Pool } from '../resources/pool.ts'
import { Ring } from '../resources/ring.ts'
import type { Server } from '../resources/server.ts'
import { Delay, Do, merged, Serve, Take } from '../resources/steps.ts'
import type { Simulation } from '../simulation.ts'
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

const one = (): number => 1

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
    const { costs, journeys } = simulation
    const { requester, buffers, descriptors } = queue
    return [
      this.#receiveEngine(payload),
      new Delay(simulation, 'adapter', 'pipeline', costs.devicePipeline),
      lossy ? new TakeOrDrop(simulation, descriptors) : new Take(simulation, descriptors, one),
      new Do(item => {
        journeys.pages[item] = buffers.next()
      }),
      ...this.root.write({ requester, bytes: size => this.#framing.inMemory(size) }),
      this.#descriptorTraffic(queue, 'read'),
      this.#descriptorTraffic(queue, 'write'),
    ]
  }

  /** From memory to the wire. */
  transmit(queue: Queue): Step[] {
    const simulation = this.#simulation
    const { costs, journeys, configuration } = simulation
    const { requester, buffers, descriptors, port } = queue
    const { gbps } = configuration.adapter
    return [
      new Take(simulation, descriptors, one),
      new Do(item => {
        journeys.pages[item] = buffers.next()
      }),
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

  /** Descriptors travel beside the packets: so many at once, or as soon as somebody waits for them. */
  #descriptorTraffic(queue: Queue, kind: 'read' | 'write'): Step {
    const { journeys } = this.#simulation
    const { descriptorBatch } = this.#simulation.costs
    const path = this.#descriptorPath(queue, kind)
    let waiting = 0
    return new Do(() => {
      waiting++
      if (waiting < descriptorBatch && !queue.idle()) return
      journeys.begin(path, waiting * DESCRIPTOR_BYTES, 0, queue.ringPage)
      waiting = 0
    })
  }

  #descriptorPath({ requester }: Queue, kind: 'read' | 'write'): Path {
    const steps = kind === 'read' ? this.root.read({ requester }) : this.root.write({ requester })
    return new Path(merged(steps), false)
  }
}

/** Takes a descriptor; who finds none is lost. */
class TakeOrDrop implements Step {
  readonly #simulation: Simulation
  readonly #descriptors: Pool

  constructor(simulation: Simulation, descriptors: Pool) {
    this.#simulation = simulation
    this.#descriptors = descriptors
  }

  readonly enter = (item: number): boolean => {
    if (this.#descriptors.has(1)) return this.#descriptors.take(item, 1)
    this.#simulation.counter('drops').count++
    this.#simulation.journeys.drop(item)
    return false
  }
}

/** The adapter reads descriptors before it sends: one for a packet that comes alone, many for a backlog. */
class Fetch implements Step {
  readonly #journeys: Journeys
  readonly #queue: Queue
  readonly #path: Path
  readonly #batch: number
  readonly #waiting = new Ring()
  readonly #part: number
  readonly parts: readonly number[]
  #known = 0

  constructor(simulation: Simulation, queue: Queue, path: Path) {
    this.#journeys = simulation.journeys
    this.#queue = queue
    this.#batch = simulation.costs.descriptorBatch
    this.#part = simulation.journeys.part('adapter', 'descriptor fetch')
    this.parts = [this.#part]
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
    this.#journeys.charge(item, this.#part, this.#journeys.waited(item))
    this.#journeys.resume(item)
  }
}
