/** A machine with one network controller that the host's driver has opened. */
import { Engine, type Software } from '../../../src/engine/index.ts'
import { type NetworkAdapter, openAdapter } from '../../../src/host/index.ts'
import { Frame } from '../../../src/net/index.ts'
import type { PluggedPort } from '../../../src/platform/index.ts'
import { parseTopology } from '../../../src/platform/index.ts'
import { SimulatedPlatform } from '../../../src/system/index.ts'

export const PF = '0000:01:00.0'
export const OTHER = Uint8Array.of(2, 0, 0, 0, 0, 9)
export const BROADCAST = new Uint8Array(6).fill(255)

export type NicName = 'intel-82576' | 'intel-82599'

const topologyOf = (model: NicName) =>
  parseTopology({
    name: 'one-port',
    iommu: { kind: 'intel-vtd', units: [{ id: 'dmar0', includeAll: true }] },
    hostBridges: [{ devices: [{ at: '01.0', model: 'root-port', devices: [{ at: '00.0', model }] }] }],
  })

export const frameOf = (to: Uint8Array, from: Uint8Array, length = 64): Frame => {
  const bytes = new Uint8Array(length).map((_, i) => i)
  bytes.set(to)
  bytes.set(from, 6)
  bytes.set([0x88, 0xb5], 12)
  return Frame.of(bytes)
}

export class AdapterRig {
  readonly platform: SimulatedPlatform
  adapter: NetworkAdapter

  constructor(model: NicName) {
    this.platform = new Engine().run(SimulatedPlatform.create(topologyOf(model), { id: 'p', name: 'p' }))
    this.adapter = this.open()
  }

  run<Result>(software: Software<Result>): Result {
    return this.platform.engine.run(software)
  }

  open(): NetworkAdapter {
    this.adapter = this.run(openAdapter(this.platform.host.device(PF), this.platform.engine))
    return this.adapter
  }

  get wire(): PluggedPort {
    return this.platform.hardware.network.portOf(this.platform.functionAt(PF))
  }

  settle(): void {
    this.run(this.platform.hypervisor.settle())
  }

  /** A frame arrives from the wire, and all that follows from it happens. */
  arrives(frame: Frame): void {
    this.wire.partner.send(frame)
    this.settle()
  }

  /** Address of a virtual function, of which there are as many as needed. */
  virtualFunction(index: number, count: number): string {
    const { host } = this.platform
    if (host.find(PF).virtualFunctions.length !== count) this.run(host.setNumVfs(PF, count))
    return host.find(PF).virtualFunctions[index]!
  }
}
