/**
 * Two devices with one address, of which one stands in for the other ("VIRTIO_NET_F_STANDBY"): frames leave by the primary
 * while it is there. What the standby hears meanwhile the primary has heard, too, and is dropped, as Linux's net_failover
 * does it.
 */
import type { Software } from '../../engine/index.ts'
import type { NetworkDriver } from './network-driver.ts'

export class FailoverTeam {
  readonly primary: NetworkDriver | undefined
  readonly standby: NetworkDriver | undefined

  /** @param drivers of devices with the address */
  constructor(drivers: readonly NetworkDriver[]) {
    this.primary = drivers.find(({ standby }) => standby !== true)
    this.standby = drivers.find(({ standby }) => standby === true)
  }

  /** By whom frames leave. */
  get active(): NetworkDriver | undefined {
    return this.primary ?? this.standby
  }

  /** False if there is nobody to send it, or no room. */
  *send(frame: Uint8Array): Software<boolean> {
    return this.active === undefined ? false : yield* this.active.send(frame)
  }

  /** Frames received since the last call. */
  takeFrames(): readonly Uint8Array[] {
    const heard = this.standby?.takeFrames() ?? []
    return this.primary === undefined ? heard : this.primary.takeFrames()
  }
}
