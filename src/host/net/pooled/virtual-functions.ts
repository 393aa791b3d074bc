/** What a driver does for its virtual functions: settings of the administrator, and what they ask for by mailbox. */
import { NorthbridgeError } from '../../../core/index.ts'
import type { Trace } from '../../../engine/index.ts'
import type { VirtualFunctionSettings, VirtualFunctionState } from '../adapter.ts'
import { type MailboxOwner, PhysicalMailbox } from './mailbox.ts'
import type { PooledPort } from './port.ts'
import type { ReceiveAddresses } from './receive-addresses.ts'
import { isStationAddress, type SavedVirtualFunction, VirtualFunction } from './virtual-function.ts'
import type { VlanFilters } from './vlan-filters.ts'

const NO_MAC = new Uint8Array(6)

export class VirtualFunctions implements MailboxOwner {
  readonly #port: PooledPort
  readonly #vlans: VlanFilters
  readonly #addresses: ReceiveAddresses
  readonly #mailbox: PhysicalMailbox
  readonly #address: string
  #functions: readonly VirtualFunction[] = []

  constructor(
    port: PooledPort,
    vlans: VlanFilters,
    addresses: ReceiveAddresses,
    trace: Trace,
    address: string,
  ) {
    this.#port = port
    this.#vlans = vlans
    this.#addresses = addresses
    this.#address = address
    this.#mailbox = new PhysicalMailbox(port, this, trace, address)
  }

  get functions(): readonly VirtualFunction[] {
    return this.#functions
  }

  /** They begin without settings: that is what enabling them anew means. */
  setCount(count: number): void {
    const spoofed = this.#port.namesSpoofers ? 0 : null
    this.#functions = Array.from({ length: count }, () => new VirtualFunction(spoofed))
  }

  /** Their queues work again when they have said that they are there. */
  portWasReset(): void {
    for (const vf of this.#functions.keys()) this.forget(vf)
  }

  serve(): void {
    this.#mailbox.serve()
  }

  ping(): void {
    this.#mailbox.ping()
  }

  countSpoofing(): void {
    const spoofers = this.#port.takeSpoofers()
    for (const [vf, fn] of this.#functions.entries()) {
      if (fn.spoofed !== null && (spoofers >>> vf) & 1) fn.spoofed++
    }
  }

  get states(): readonly VirtualFunctionState[] {
    return this.#functions.map((fn, vf) => ({
      ...fn.settings,
      clearToSend: fn.clearToSend,
      inUse: fn.inUse,
      vlans: this.#vlans.of(vf).filter(vlan => vlan !== 0),
      multicastHashes: fn.hashes.length,
      promiscuous: fn.unicastPromiscuous ? 'unicast' : fn.allMulticast ? 'multicast' : 'none',
      spoofed: fn.spoofed,
    }))
  }

  /** Throws `notFound`, `invalidArgument`, `outOfResources`; then nothing has changed. */
  configure(vf: number, settings: Partial<VirtualFunctionSettings>): void {
    const fn = this.#functions[vf]
    if (fn === undefined) {
      throw new NorthbridgeError('notFound', `${this.#address} has no virtual function ${vf}`)
    }
    const { mac, vlan, maximumRate } = settings
    if (mac !== undefined && !isStationAddress(mac)) {
      throw new NorthbridgeError('invalidArgument', 'the address of a virtual function is an individual one')
    }
    if (maximumRate !== undefined) this.#checkRate(maximumRate)
    if (mac !== undefined && !this.#addresses.takes(vf)) {
      throw new NorthbridgeError('outOfResources', `${this.#address} has no receive address left`)
    }
    if (vlan !== undefined && vlan !== fn.settings.vlan) this.#setPortVlan(vf, vlan)
    fn.settings = { ...fn.settings, ...settings }
    if (mac !== undefined) this.setMac(vf, mac)
    this.apply(vf)
    if (maximumRate !== undefined) this.#port.setRate(vf, maximumRate)
  }

  #checkRate(rate: number): void {
    const { speedMbps, lowestRate } = this.#port
    if (rate > speedMbps) {
      throw new NorthbridgeError('invalidArgument', `the port sends ${speedMbps} Mb/s at most, not ${rate}`)
    }
    if (rate !== 0 && rate < lowestRate) {
      throw new NorthbridgeError('invalidArgument', `the lowest limit of the port is ${lowestRate} Mb/s`)
    }
  }

  /** A port VLAN replaces what the virtual function asked for; without one, frames with a priority only are heard. */
  #setPortVlan(vf: number, vlan: number): void {
    if (!this.#vlans.add(vlan, vf)) {
      throw new NorthbridgeError('outOfResources', `${this.#address} has no VLAN filter left`)
    }
    for (const other of this.#vlans.of(vf)) if (other !== vlan) this.#vlans.remove(other, vf)
  }

  apply(vf: number): void {
    const port = this.#port
    const { settings, hashes, allMulticast, unicastPromiscuous, furtherMacs } = this.#functions[vf]!
    port.setPool(vf, {
      untagged: settings.vlan === 0,
      multicastHash: hashes.length > 0,
      allMulticast,
      unicastHash: unicastPromiscuous,
    })
    port.setPortVlan(vf, settings.vlan)
    port.setSpoofCheck(vf, settings.spoofCheck && !furtherMacs)
  }

  // What the mailbox asks for

  admit(vf: number): void {
    this.#port.enablePool(vf, true)
    this.#port.virtualFunctionReady(vf, this.#functions[vf]!.settings.vlan)
  }

  forget(vf: number): void {
    const fn = this.#functions[vf]!
    const hadGroups = fn.hashes.length > 0
    fn.reset()
    this.#port.enablePool(vf, false)
    this.#vlans.removePool(vf)
    const { vlan, mac } = fn.settings
    this.#vlans.add(vlan, vf)
    this.#addresses.removePool(vf)
    fn.inUse = mac ?? NO_MAC
    if (hadGroups) this.#writeMulticastTable()
    this.apply(vf)
  }

  setMac(vf: number, mac: Uint8Array): boolean {
    this.#addresses.removePool(vf)
    this.#functions[vf]!.inUse = mac.slice()
    return this.#addresses.add(vf, mac)
  }

  addMac(vf: number, mac: Uint8Array): boolean {
    return this.#addresses.add(vf, mac)
  }

  clearMacs(vf: number): void {
    const { inUse } = this.#functions[vf]!
    if (isStationAddress(inUse)) this.setMac(vf, inUse)
    else this.#addresses.removePool(vf)
  }

  setMulticast(vf: number, hashes: readonly number[]): void {
    this.#functions[vf]!.hashes = hashes
    this.#writeMulticastTable()
    this.apply(vf)
  }

  setVlan(vf: number, vlan: number, add: boolean): boolean {
    if (add) return this.#vlans.add(vlan, vf)
    this.#vlans.remove(vlan, vf)
    return true
  }

  setReceiver(vf: number, on: boolean): void {
    this.#port.enableReceive(vf, on)
  }

  /** One table for all pools: the groups of every virtual function. */
  #writeMulticastTable(): void {
    const { registers, multicastTable } = this.#port
    const words = new Uint32Array(multicastTable.count)
    for (const { hashes } of this.#functions) {
      for (const hash of hashes) words[hash >>> 5]! |= 1 << (hash & 31)
    }
    for (const [i, word] of words.entries()) registers.write(multicastTable, word, i)
  }

  save(): readonly SavedVirtualFunction[] {
    return this.#functions.map(fn => fn.save())
  }

  load(saved: readonly SavedVirtualFunction[]): void {
    this.#functions = saved.map(fn => VirtualFunction.restore(fn))
  }
}
