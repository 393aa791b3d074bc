/** What igb knows of one virtual function. */
import type { Saved } from '../../../core/index.ts'
import type { VirtualFunctionSettings } from '../adapter.ts'

const NO_MAC = new Uint8Array(6)

export class IgbVirtualFunction {
  settings: VirtualFunctionSettings = { vlan: 0, spoofCheck: true, trusted: false, maximumRate: 0 }
  /** It has announced itself since it was reset last. */
  clearToSend = false
  inUse: Uint8Array = NO_MAC
  /** 12-bit hashes of its multicast addresses. */
  hashes: readonly number[] = []
  /** More groups than fit, or promiscuous: every group is wanted. */
  allMulticast = false
  unicastPromiscuous = false
  spoofed = 0

  /** What a reset of the virtual function takes from it. */
  reset(): void {
    this.clearToSend = false
    this.hashes = []
    this.allMulticast = false
    this.unicastPromiscuous = false
  }

  save(): Saved {
    const { mac, ...settings } = this.settings
    return {
      ...settings,
      mac: mac ?? null,
      clearToSend: this.clearToSend,
      inUse: this.inUse,
      hashes: [...this.hashes],
      allMulticast: this.allMulticast,
      unicastPromiscuous: this.unicastPromiscuous,
      spoofed: this.spoofed,
    }
  }
}

/** Whether an address may be a station's: individual, and not all zeros. */
export const isStationAddress = (mac: Uint8Array): boolean =>
  (mac[0]! & 1) === 0 && mac.some(byte => byte !== 0)
