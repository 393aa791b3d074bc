/** What igb does for its virtual functions: settings of the administrator, and what they ask for through the mailbox. */
import { NorthbridgeError, type Saved } from '../../../core/index.ts'
import { I82576_POOLS, MTA, VFRE, VFTE, WVBR } from '../../../devices/formats/nic/i82576-registers.ts'
import type { Trace } from '../../../engine/index.ts'
import type { VirtualFunctionSettings, VirtualFunctionState } from '../adapter.ts'
import { IgbMailbox, type MailboxActions } from './mailbox.ts'
import { STANDARD_FRAME, setPool, setPortVlan, setRate, setSpoofCheck } from './pool-settings.ts'
import type { ReceiveAddresses } from './receive-addresses.ts'
import type { IgbRegisters } from './registers.ts'
import { IgbVirtualFunction, isStationAddress } from './virtual-function.ts'
import type { VlanFilters } from './vlan-filters.ts'

const NO_MAC = new Uint8Array(6)

export class IgbVirtualFunctions implements MailboxActions {
  readonly #registers: IgbRegisters
  readonly #vlans: VlanFilters
  readonly #addresses: ReceiveAddresses
  readonly #mailbox: IgbMailbox
  readonly #address: string
  #functions: readonly IgbVirtualFunction[] = []

  constructor(
    registers: IgbRegisters,
    vlans: VlanFilters,
    addresses: ReceiveAddresses,
    trace: Trace,
    address: string,
  ) {
    this.#registers = registers
    this.#vlans = vlans
    this.#addresses = addresses
    this.#address = address
    this.#mailbox = new IgbMailbox(registers, this, trace, address)
  }

  get count(): number {
    return this.#functions.length
  }

  /** They begin without settings: that is what enabling them anew means. */
  setCount(count: number): void {
    this.#functions = Array.from({ length: count }, () => new IgbVirtualFunction())
    this.#mailbox.functions = this.#functions
  }

  /** Their queues work again when they have said that they are there. */
  portWasReset(): void {
    for (const [vf, fn] of this.#functions.entries()) {
      fn.reset()
      this.disable(vf)
    }
  }

  serve(): void {
    this.#mailbox.serve()
  }

  ping(): void {
    this.#mailbox.ping()
  }

  /** "Wrong VM Behavior Register": a bit for each pool and check. */
  countSpoofing(): void {
    const wrong = this.#registers.read(WVBR)
    for (const [vf, fn] of this.#functions.entries()) {
      if (((wrong >>> vf) | (wrong >>> (vf + I82576_POOLS))) & 1) fn.spoofed++
    }
  }

  get states(): readonly VirtualFunctionState[] {
    return this.#functions.map((fn, vf) => ({
      ...fn.settings,
      clearToSend: fn.clearToSend,
      inUse: fn.inUse,
      vlans: this.#vlans.of(vf),
      multicastHashes: fn.hashes.length,
      promiscuous: fn.unicastPromiscuous ? 'unicast' : fn.allMulticast ? 'multicast' : 'none',
      spoofed: fn.spoofed,
    }))
  }

  /** Throws `notFound`, `invalidArgument`, `outOfResources`; then nothing has changed. */
  configure(vf: number, settings: Partial<VirtualFunctionSettings>, speedMbps: number): void {
    const fn = this.#functions[vf]
    if (fn === undefined)
      throw new NorthbridgeError('notFound', `${this.#address} has no virtual function ${vf}`)
    const { mac, vlan, maximumRate = 0 } = settings
    if (mac !== undefined && !isStationAddress(mac)) {
      throw new NorthbridgeError('invalidArgument', 'the address of a virtual function is an individual one')
    }
    if (maximumRate > speedMbps) {
      throw new NorthbridgeError(
        'invalidArgument',
        `the port sends ${speedMbps} Mb/s at most, not ${maximumRate}`,
      )
    }
    if (vlan !== undefined && vlan !== fn.settings.vlan) this.#setPortVlan(vf, vlan)
    fn.settings = { ...fn.settings, ...settings }
    if (mac !== undefined) this.setMac(vf, mac)
    this.#apply(vf)
    const queues = [vf, vf + I82576_POOLS]
    if (settings.maximumRate !== undefined) setRate(this.#registers, queues, maximumRate, speedMbps)
  }

  /** A port VLAN replaces what the virtual function asked for. */
  #setPortVlan(vf: number, vlan: number): void {
    if (vlan !== 0 && !this.#vlans.add(vlan, vf)) {
      throw new NorthbridgeError('outOfResources', `${this.#address} has no VLAN filter left`)
    }
    for (const other of this.#vlans.of(vf)) if (other !== vlan) this.#vlans.remove(other, vf)
  }

  #apply(vf: number): void {
    const { settings, hashes, allMulticast, unicastPromiscuous } = this.#functions[vf]!
    setPool(this.#registers, vf, {
      untagged: settings.vlan === 0,
      multicastHash: hashes.length > 0,
      allMulticast,
      unicastHash: unicastPromiscuous,
      longestFrame: STANDARD_FRAME,
    })
    setPortVlan(this.#registers, vf, settings.vlan)
    setSpoofCheck(this.#registers, vf, settings.spoofCheck)
  }

  // What the mailbox asks for

  enable(vf: number): void {
    this.#registers.set(VFRE, 1 << vf)
    this.#registers.set(VFTE, 1 << vf)
  }

  disable(vf: number): void {
    this.#registers.clear(VFRE, 1 << vf)
    this.#registers.clear(VFTE, 1 << vf)
    this.#vlans.removePool(vf)
    const { vlan, mac } = this.#functions[vf]!.settings
    if (vlan !== 0) this.#vlans.add(vlan, vf)
    this.#addresses.removePool(vf)
    this.#functions[vf]!.inUse = mac ?? NO_MAC
    this.#writeMulticastTable()
    this.#apply(vf)
  }

  setMac(vf: number, mac: Uint8Array): void {
    this.#addresses.removePool(vf)
    this.#addresses.add(vf, mac)
    this.#functions[vf]!.inUse = mac.slice()
  }

  addMac(vf: number, mac: Uint8Array): boolean {
    return this.#addresses.add(vf, mac)
  }

  clearMacs(vf: number): void {
    const { inUse } = this.#functions[vf]!
    if (isStationAddress(inUse)) this.setMac(vf, inUse)
    else this.#addresses.removePool(vf)
  }

  applyMulticast(vf: number): void {
    this.#writeMulticastTable()
    this.#apply(vf)
  }

  applyPromiscuous(vf: number): void {
    this.#apply(vf)
  }

  setVlan(vf: number, vlan: number, add: boolean): boolean {
    if (add) return this.#vlans.add(vlan, vf)
    this.#vlans.remove(vlan, vf)
    return true
  }

  /** One table for all pools: the groups of every virtual function. */
  #writeMulticastTable(): void {
    const words = new Uint32Array(MTA.count)
    for (const { hashes } of this.#functions) {
      for (const hash of hashes) words[hash >>> 5]! |= 1 << (hash & 31)
    }
    for (const [i, word] of words.entries()) this.#registers.write(MTA, word, i)
  }

  save(): Saved {
    return this.#functions.map(fn => fn.save())
  }
}
