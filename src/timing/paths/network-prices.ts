/** What network software costs, worker by worker. */
import type { NetworkWorkload } from '../configuration.ts'
import type { ParameterName } from '../costs/parameters.ts'
import type { Side } from '../resources/accounts.ts'
import type { Simulation } from '../simulation.ts'
import { VirtualizationPrices } from '../software/virtualization.ts'
import type { Charge, Prices } from '../software/worker.ts'

export class NetworkPrices extends VirtualizationPrices {
  readonly #simulation: Simulation
  readonly #workload: NetworkWorkload

  constructor(simulation: Simulation, workload: NetworkWorkload) {
    super(simulation, workload)
    this.#simulation = simulation
    this.#workload = workload
  }

  /** With receive and segmentation offload layers above the driver see large packets. */
  #above(charges: readonly Charge[]): Pick<Prices, 'item' | 'aggregate'> {
    return this.#workload.offload ? { aggregate: charges } : { item: charges }
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
  receiver(side: Side, driver: 'driverPerPacket' | 'frontendPerPacket', emulated: boolean): Prices {
    const { emulatedAccessesPerReceiveInterrupt } = this.#simulation.costs
    const packet = [this.charge(side, 'driver', driver), this.charge(side, 'network stack', 'stackPerPacket')]
    const above = this.#above([this.charge(side, 'transport', 'stackPerSegment')])
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
  sender(side: Side, driver: 'driverPerPacket' | 'frontendPerPacket', emulated: boolean): Prices {
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
    const driver = [this.charge('host', 'driver', 'driverPerPacket')]
    const above = sorted ? {} : this.#above([this.charge('host', 'switch', 'softwareSwitchPerPacket')])
    return { ...above, item: [...driver, ...(above.item ?? [])] }
  }

  /** A back end: the model of an emulated adapter, or the other side of a paravirtual one. */
  backend(transmits: boolean): Prices {
    const { model, backend } = this.#workload
    const parameter: ParameterName =
      model === 'emulated'
        ? 'emulatedPerPacket'
        : backend === 'user'
          ? 'userBackendPerPacket'
          : 'backendPerPacket'
    const work = [this.charge('host', 'back end', parameter)]
    // What a guest sends goes through the switch and out in the same thread.
    const out: ParameterName[] = ['softwareSwitchPerPacket', 'driverPerPacket']
    if (transmits) work.push(...out.map(name => this.charge('host', 'switch and driver', name)))
    return { ...this.#above(work), byte: [this.#copy('host')] }
  }

  /** What is done with a segment that was sent. */
  completion(side: Side): Prices {
    return {
      item: [this.charge(side, 'transmit completion', 'driverPerPacket')],
      ...this.#sleeping(side),
    }
  }
}
