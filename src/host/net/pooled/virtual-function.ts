/** What the driver of a physical function knows of one virtual function. */
import type { VirtualFunctionSettings } from '../adapter.ts'

const NO_MAC = new Uint8Array(6)

export type SavedVirtualFunction = Omit<VirtualFunctionSettings, 'mac'> & {
  readonly mac: Uint8Array | null
  readonly clearToSend: boolean
  readonly inUse: Uint8Array
  readonly hashes: readonly number[]
  readonly allMulticast: boolean
  readonly unicastPromiscuous: boolean
  readonly furtherMacs: boolean
  readonly api: number
  readonly spoofed: number | null
}

export class VirtualFunction {
  settings: VirtualFunctionSettings = { vlan: 0, spoofCheck: true, trusted: false, maximumRate: 0 }
  /** It has announced itself since it was reset last. */
  clearToSend = false
  inUse: Uint8Array = NO_MAC
  /** 12-bit hashes of its multicast addresses. */
  hashes: readonly number[] = []
  /** More groups than fit, or promiscuous: every group is wanted. */
  allMulticast = false
  unicastPromiscuous = false
  /** It has addresses besides the first. */
  furtherMacs = false
  /** Version of the mailbox's language that was agreed on; 0 is the first. */
  api = 0
  /** Frames that lied about their source; null where the hardware does not tell whose they were. */
  spoofed: number | null

  constructor(spoofed: number | null) {
    this.spoofed = spoofed
  }

  /** What a reset of the virtual function takes from it. */
  reset(): void {
    this.clearToSend = false
    this.hashes = []
    this.allMulticast = false
    this.unicastPromiscuous = false
    this.furtherMacs = false
    this.api = 0
  }

  static restore(saved: SavedVirtualFunction): VirtualFunction {
    const { mac, vlan, spoofCheck, trusted, maximumRate, inUse, hashes, spoofed, ...rest } = saved
    const fn = new VirtualFunction(spoofed)
    fn.settings = { vlan, spoofCheck, trusted, maximumRate, ...(mac !== null && { mac: mac.slice() }) }
    fn.inUse = inUse.slice()
    fn.hashes = [...hashes]
    return Object.assign(fn, rest)
  }

  save(): SavedVirtualFunction {
    const { mac, ...settings } = this.settings
    return {
      ...settings,
      mac: mac?.slice() ?? null,
      clearToSend: this.clearToSend,
      inUse: this.inUse.slice(),
      hashes: [...this.hashes],
      allMulticast: this.allMulticast,
      unicastPromiscuous: this.unicastPromiscuous,
      furtherMacs: this.furtherMacs,
      api: this.api,
      spoofed: this.spoofed,
    }
  }
}

/** Whether an address may be a station's: individual, and not all zeros. */
export const isStationAddress = (mac: Uint8Array): boolean =>
  (mac[0]! & 1) === 0 && mac.some(byte => byte !== 0)
