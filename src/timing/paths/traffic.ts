/** Who offers packets: streams with a window, sources that never rest or keep a rate, and one message at a time. */
import type { NetworkWorkload } from '../configuration.ts'
import { Path, type Step } from '../resources/journeys.ts'
import { Delay, Do, merged } from '../resources/steps.ts'
import type { Simulation } from '../simulation.ts'
import type { Framing } from './wire.ts'

/** Nanoseconds of the wire that streams fill together, if nothing else is said: more than any path takes, idle. */
const SHARED_WINDOW = 200_000
/** A stream has so many packets under way at least: the initial window of TCP (RFC 6928). */
const FEWEST = 10

export class Traffic {
  readonly #simulation: Simulation
  readonly #workload: NetworkWorkload
  readonly #framing: Framing
  /** Payload of a packet. */
  readonly #packet: number
  /** Payload of what a sender hands to its driver at once. */
  readonly segment: number

  constructor(simulation: Simulation, workload: NetworkWorkload, framing: Framing) {
    const { messageBytes, offload, pattern } = workload
    this.#simulation = simulation
    this.#workload = workload
    this.#framing = framing
    const stream = pattern === 'stream'
    this.#packet = stream ? framing.packet : Math.min(messageBytes, framing.packet)
    const largest = stream && offload ? framing.largestSegment : framing.packet
    this.segment = stream ? Math.min(Math.max(messageBytes, framing.packet), largest) : this.#packet
  }

  /** Number of a flow of a lane. */
  #flow(lane: number, flow: number): number {
    return lane * this.#flowsOfLane + flow
  }

  get #flowsOfLane(): number {
    return Math.max(1, Math.ceil(this.#workload.flows / this.#workload.vcpus))
  }

  /** Packets for a lane; `steps` begin at the wire. */
  arrivals(lane: number, steps: readonly Step[]): void {
    const { pattern } = this.#workload
    if (pattern === 'datagrams') this.#datagrams(lane, steps, true)
    else this.#stream(lane, steps, this.#packet)
  }

  /** Segments that a lane sends. */
  departures(lane: number, steps: readonly Step[]): void {
    const { pattern } = this.#workload
    if (pattern === 'datagrams') this.#datagrams(lane, steps, false)
    else this.#stream(lane, steps, this.segment)
  }

  /**
   * A window of each stream is under way all the time: what has arrived lets another follow. The first ones come in turn,
   * as fast as the wire takes them, a message of each stream at once: senders hand whole messages to their adapters.
   */
  #stream(lane: number, steps: readonly Step[], size: number): void {
    const { events, journeys } = this.#simulation
    const begin = (flow: number): void => {
      journeys.begin(path, size, flow)
    }
    const first = events.handle(begin)
    const path = new Path(merged(steps), true, item => begin(journeys.flows[item]!))
    const round = ((this.#framing.onWire(size) * 8) / this.#wires) * this.#streams
    const inWindow = Math.max(FEWEST, Math.floor(this.#window / size))
    const burst = Math.ceil(this.#workload.messageBytes / size)
    for (let i = 0; i < inWindow; i++) {
      const time = (i - (i % burst)) * round
      for (let flow = 0; flow < this.#flowsOfLane; flow++)
        events.schedule(time, first, this.#flow(lane, flow))
    }
  }

  /** Bytes under way of one stream. */
  get #window(): number {
    return this.#workload.window ?? (this.#wires * SHARED_WINDOW) / 8 / this.#streams
  }

  /** Bits in a nanosecond on all wires together. */
  get #wires(): number {
    const { vms, model } = this.#workload
    const { gbps, ports } = this.#simulation.configuration.adapter
    return gbps * ports * (model === 'direct' ? vms : 1)
  }

  get #streams(): number {
    const { vms, vcpus, model } = this.#workload
    return (model === 'native' ? 1 : vms) * vcpus * this.#flowsOfLane
  }

  /** At a rate, spaced by chance; or as fast as the wire, or the sender, takes them. */
  #datagrams(lane: number, steps: readonly Step[], arriving: boolean): void {
    const { events, journeys, random } = this.#simulation
    const size = this.#packet
    const flow = this.#flow(lane, 0)
    const next = events.handle(() => {
      journeys.begin(path, size, flow)
      if (interval !== undefined) {
        const chance = random.integer(1, 2 ** 30) / 2 ** 30
        events.schedule(events.now - Math.log(chance) * interval, next, 0)
      }
    })
    const interval = this.#interval()
    const again = (): void => events.schedule(events.now, next, 0)
    const restless = interval === undefined
    const path =
      restless && arriving
        ? new Path(merged([steps[0]!, new Do(again), ...steps.slice(1)]), true)
        : new Path(merged(steps), true, restless ? again : undefined)
    const ahead = interval === undefined && !arriving ? this.#simulation.configuration.adapter.ringSize : 1
    for (let i = 0; i < ahead; i++) events.schedule(0, next, 0)
  }

  /** Nanoseconds between two datagrams of a lane; undefined if they come at line rate. */
  #interval(): number | undefined {
    const { rate, vms, vcpus, model } = this.#workload
    const { gbps, ports } = this.#simulation.configuration.adapter
    if (rate === undefined) return undefined
    const lanes = (model === 'native' ? 1 : vms) * vcpus
    const line = (gbps * ports) / 8 / this.#framing.onWire(this.#packet) / lanes
    return rate / vcpus / 1e9 >= line ? undefined : (1e9 * vcpus) / rate
  }

  /** One message of each flow at a time: it comes, is answered, and the other end answers the answer. */
  requests(lane: number, steps: readonly Step[]): void {
    const { events, journeys, costs } = this.#simulation
    const size = this.#packet
    const partner = new Delay(this.#simulation, 'other end', 'turnaround', costs.partnerTurnaround)
    const again = events.handle(flow => journeys.begin(path, size, flow))
    const path = new Path(merged([...steps, partner]), true, item =>
      events.schedule(events.now, again, journeys.flows[item]!),
    )
    for (let flow = 0; flow < this.#flowsOfLane; flow++) events.schedule(0, again, this.#flow(lane, flow))
  }
}
