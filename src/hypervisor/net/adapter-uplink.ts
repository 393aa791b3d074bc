/** A physical adapter as an uplink of the virtual switch. */
import type { NetworkAdapter } from '../../host/index.ts'
import type { Frame } from '../../net/formats/index.ts'
import type { Uplink } from './uplink.ts'
import type { UplinkTeam } from './uplink-team.ts'

export class AdapterUplink implements Uplink {
  readonly adapter: NetworkAdapter

  constructor(adapter: NetworkAdapter, team: UplinkTeam) {
    this.adapter = adapter
    adapter.receiver = frame => void team.receive(this, frame)
    adapter.linkChanged = () => team.carrierChanged()
    adapter.transmitted = () => team.roomAgain(this)
  }

  /** Addresses of virtual machines are none of the adapter's own: it has to hear everything. */
  connect(): void {
    this.adapter.setPromiscuous(true)
  }

  get name(): string {
    return this.adapter.address
  }

  get mac(): Uint8Array {
    return this.adapter.mac
  }

  get speedMbps(): number {
    return this.adapter.speedMbps
  }

  get carrier(): boolean {
    return this.adapter.carrier
  }

  send(frame: Frame): boolean {
    return this.adapter.send(frame)
  }

  disconnect(): void {
    this.adapter.receiver = undefined
    this.adapter.linkChanged = undefined
    this.adapter.transmitted = undefined
    this.adapter.setPromiscuous(false)
  }
}
