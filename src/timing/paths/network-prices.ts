/** What network software costs, worker by worker. */
import type { NetworkWorkload } from '../configuration.ts'
import type { ParameterName } from '../costs/parameters.ts'
import type { Side } from '../resources/accounts.ts'
import type { Simulation } from '../simulation.ts'
import { VirtualizationPrices } from '../software/virtualization.ts'
import type { Charge, Prices } from '../software/worker.ts'
import type { Framing } from './wire.ts'

type DriverCost = 'driverPerPacket' | 'frontendPerPacket'

export class NetworkPrices extends VirtualizationPrices {
  readonly #simulation: Simulation
  readonly #workload: NetworkWorkload
  readonly #framing: Framing

  constructor(simulation: Simulation, workload: NetworkWorkload, framing: Framing) {
    super(simulation, workload)
    this.#simulation = simulation
    this.#workload = workload
    this.#framing = framing
  }

  /** With receive offload layers above the driver see large packets. */
  #above(charges: readonly Charge[], offload: boolean): Pick<Prices, 'item' | 'aggregate'> {
    return offload ? { aggregate: charges } : { item: charges }
  }

  #copy(side: Side): Charge {
    return this.charge(side, 'copy', 'copyPerByte')
  }

  /** Of an application's calls, by byte: one for each message. */
  #calls(side: Side): Charge {
    const { activity, nanoseconds } = this.charge(side, 'socket', 'socketPerMessage')
    return { activity, nanoseconds: nanoseconds / this.#workload.messageBytes }
  }

  /** The receiving kernel. */
  receiver(side: Side, driver: DriverCost, emulated: boolean): Prices {
    const { emulatedAccessesPerReceiveInterrupt } = this.#simulation.costs
    const packet = [this.charge(side, 'driver', driver), this.charge(side, 'network stack', 'stackPerPacket')]
    const transport = [this.charge(side, 'transport', 'stackPerSegment')]
    const above = this.#above(transport, this.#workload.offload)
    return {
      ...above,
      batch: emulated ? [this.accesses(emulatedAccessesPerReceiveInterrupt)] : [],
      item: [...packet, ...(above.item ?? [])],
      ...this.#sleeping(side),
    }
  }

  /** The application that takes the bytes. */
  application(side: Side): Prices {
    return { byte: [this.#copy(side), this.#calls(side)], ...this.#sleeping(side) }
  }

  #sleeping(side: Side): Pick<Prices, 'sleep'> {
    return side === 'guest' ? { sleep: this.sleep } : {}
  }

  /** An application that sends, and the kernel below it. Its items are segments. */
  sender(side: Side, driver: DriverCost, emulated: boolean): Prices {
    const accesses = emulated ? [this.accesses(this.#simulation.costs.emulatedAccessesPerTransmit)] : []
    const { activities } = this.#simulation
    return {
      batch: [...accesses, { activity: activities.number('doorbell', side), nanoseconds: 0 }],
      item: [this.charge(side, 'transport', 'stackPerSegment'), this.charge(side, 'driver', driver)],
      byte: [this.#copy(side), this.#calls(side)],
      ...this.#sleeping(side),
    }
  }

  /** The host's driver, and the switch unless the adapter has sorted. */
  hostReceiver(sorted: boolean): Prices {
    if (this.#workload.structure === 'onePiece' && !sorted) return this.#sorter()
    const driver = [this.charge('host', 'driver', 'driverPerPacket')]
    const switched = [this.charge('host', 'switch', 'softwareSwitchPerPacket')]
    const above = sorted ? {} : this.#above(switched, this.#workload.hostOffload)
    return { ...above, item: [...driver, ...(above.item ?? [])] }
  }

  /** A hypervisor in one piece sorts a packet and copies it into the machine that it is for. */
  #sorter(): Prices {
    return { item: [this.charge('host', 'sorting', 'sortingPerPacket')], byte: [this.#copy('host')] }
  }

  /** Nothing stands between what sorts packets and the guest's driver: an emulated adapter still has its model. */
  get inOnePiece(): boolean {
    return this.#workload.structure === 'onePiece' && this.#workload.model === 'paravirtual'
  }

  /** The other side of a paravirtual adapter, or the model of an emulated one, to which a monitor in user space hands packets. */
  #backendCosts(): ParameterName[] {
    const { model, backend, structure } = this.#workload
    if (model !== 'emulated') return [backend === 'user' ? 'userBackendPerPacket' : 'backendPerPacket']
    return structure === 'onePiece' ? ['emulatedPerPacket'] : ['userBackendPerPacket', 'emulatedPerPacket']
  }

  /** A back end that receives. */
  receivingBackend(): Prices {
    const work = [this.charge('host', 'back end', ...this.#backendCosts())]
    return { ...this.#above(work, this.#workload.hostOffload), byte: [this.#copy('host')] }
  }

  /**
   * One that sends: what a guest hands over, in segments of so many bytes, goes through the switch and out in the same thread.
   * The model of an emulated adapter cuts segments, others leave that to the real one.
   */
  sendingBackend(segment: number): Prices {
    const { model, structure } = this.#workload
    const times = model === 'emulated' ? this.#framing.packets(segment) : 1
    const work = [
      ...(this.inOnePiece ? [] : [this.charge('host', 'back end', ...this.#backendCosts())]),
      structure === 'onePiece'
        ? this.charge('host', 'sorting', 'sortingPerPacket')
        : this.charge('host', 'switch and driver', 'softwareSwitchPerPacket', 'driverPerPacket'),
    ]
    return { item: work.map(charge => ({ ...charge, times })), byte: [this.#copy('host')] }
  }

  /** What is done with a segment that was sent. */
  completion(side: Side): Prices {
    return {
      item: [this.charge(side, 'transmit completion', 'driverPerPacket')],
      ...this.#sleeping(side),
    }
  }
}
