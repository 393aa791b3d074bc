/** A physical adapter as an uplink of the virtual switch. */
import type { NetworkAdapter } from '../../host/index.ts'
import type { Frame } from '../../net/formats/index.ts'
import type { Uplink } from './uplink.ts'
import type { UplinkTeam } from './uplink-team.ts'

export class AdapterUplink implements Uplink {
  readonly adapter: NetworkAdapter
  #vlans: ReadonlySet<number> = new Set()

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

  /** VLANs of which groups and broadcasts are wanted: nobody's unicast is heard anyway. Returns those that cannot be. */
  hear(vlans: ReadonlySet<number>): readonly number[] {
    for (const vlan of this.#vlans) if (!vlans.has(vlan)) this.adapter.hearVlan(vlan, false)
    const missed = [...vlans].filter(vlan => !this.#vlans.has(vlan) && !this.adapter.hearVlan(vlan, true))
    this.#vlans = vlans
    return missed
  }

  /** After a restore: it hears them. */
  loadVlans(vlans: ReadonlySet<number>): void {
    this.#vlans = vlans
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
    this.hear(new Set())
    this.adapter.setPromiscuous(false)
  }
}
