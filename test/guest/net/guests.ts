/** Guests with a network device of every kind that they have a driver for. */
import type { Software } from '../../../src/engine/index.ts'
import { GuestKernel, type NetworkDriver } from '../../../src/guest/index.ts'
import type { EmulatedDevice } from '../../../src/hypervisor/emulated-device.ts'
import { E1000Device } from '../../../src/hypervisor/net/e1000/e1000.ts'
import { FrameJournal } from '../../../src/hypervisor/net/network-device.ts'
import { VirtioNet } from '../../../src/hypervisor/net/virtio-net.ts'
import { VirtioDevice } from '../../../src/hypervisor/virtio/index.ts'
import type { Frame } from '../../../src/net/index.ts'
import { AdapterRig, type NicName, PF } from '../../host/net/adapter-rig.ts'

export const MAC = Uint8Array.of(2, 0, 0, 0, 0, 0xa0)
export const RING_ENTRIES = 8

/** A guest with one network device, and the outside of that device. */
export class Guest {
  readonly rig: AdapterRig
  readonly sent: Uint8Array[] = []
  driver!: NetworkDriver
  /** Brings a frame to the device. */
  deliver: (frame: Frame) => void = frame => this.rig.arrives(frame)

  constructor(model: NicName = 'intel-82576') {
    this.rig = new AdapterRig(model)
    this.rig.run(this.rig.platform.hypervisor.createVm({ name: 'a', vcpus: 1, memoryMiB: 16 }))
  }

  start(slot = 1, options = {}): this {
    const asked = { ringEntries: RING_ENTRIES, ...options }
    this.driver = this.run(kernel => kernel.open(slot, asked)) as NetworkDriver
    return this
  }

  assign(address: string): this {
    this.rig.run(this.rig.platform.hypervisor.attach('a', address))
    this.rig.wire.partner.listener = frame => this.sent.push(frame.toBytes())
    return this.start(1, { mac: MAC })
  }

  virtualFunction(): this {
    return this.assign(this.rig.virtualFunction(1, 2))
  }

  plug(device: EmulatedDevice, deliver: (frame: Frame) => unknown): this {
    this.deliver = frame => {
      deliver(frame)
      this.rig.settle()
    }
    this.rig.run(this.rig.platform.hypervisor.plug('a', device))
    return this.start()
  }

  readonly exit = (frame: Frame): undefined => {
    this.sent.push(frame.toBytes())
  }

  run<Result>(code: (kernel: GuestKernel) => Software<Result>): Result {
    return this.rig.run(
      this.rig.platform.hypervisor.runGuest('a', 0, software => {
        if (!(software instanceof GuestKernel)) throw new Error('a guest runs its kernel')
        return code(software)
      }),
    ).result
  }
}

export const GUESTS: Record<string, () => Guest> = {
  e1000: () => {
    const guest = new Guest()
    const device = new E1000Device(MAC, guest.exit, new FrameJournal())
    return guest.plug(device, frame => device.deliver(frame))
  },
  virtio_net: () => {
    const guest = new Guest()
    const model = new VirtioNet(MAC, guest.exit, new FrameJournal())
    return guest.plug(new VirtioDevice(model), frame => model.deliver(frame))
  },
  igbvf: () => new Guest().virtualFunction(),
  igb: () => new Guest().assign(PF),
  ixgbevf: () => new Guest('intel-82599').virtualFunction(),
  ixgbe: () => new Guest('intel-82599').assign(PF),
}
