/**
 * A function on the virtual bus that the hypervisor itself makes: configuration space, BARs of which every access exits,
 * and MSI-X or MSI, in front of a device model that knows registers and guest memory only.
 */
import { devfn, formatFunctionAddress, requesterId, type Saved } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import type { DeviceRegion } from '../host/index.ts'
import { COMMAND_STATUS } from '../pcie/formats/index.ts'
import { EmulatedConfig } from './emulated-config.ts'
import type { DevicePort, EmulatedDevice } from './emulated-device.ts'
import type { GuestMemory } from './guest-memory.ts'
import type { EmulatedDeviceView } from './types.ts'
import { VirtualBarRegisters } from './virtual-bar.ts'
import type { BusDevice } from './virtual-bus.ts'
import { VirtualMsi } from './virtual-msi.ts'
import { VirtualMsix } from './virtual-msix.ts'

const BAR_FIRST = 0x10
const BAR_LAST = 0x24

/** What it needs of its virtual machine. */
export interface EmulationHost {
  readonly memory: GuestMemory
  claim(base: number, size: number): boolean
  release(base: number): void
  /** A message of the device. False if it addresses no virtual processor that takes it. */
  deliver(address: number, data: number): boolean
  vcpuFor(address: number): number | null
}

export type SavedEmulatedFunction = {
  readonly version: 1
  readonly slot: number
  readonly kind: string
  readonly config: Saved
  readonly bars: Saved
  readonly placed: readonly (number | null)[]
  readonly messages: Saved
  readonly pending: Uint8Array
  readonly delivered: Float64Array
  readonly device: Saved
}

export class EmulatedFunction implements BusDevice, DevicePort {
  readonly slot: number
  readonly device: EmulatedDevice
  readonly #host: EmulationHost
  readonly #config: EmulatedConfig
  readonly #bars: VirtualBarRegisters
  /** By BAR index: where the guest's memory map has it now, or null. */
  readonly #placed: (number | null)[] = new Array(6).fill(null)
  readonly #msix: VirtualMsix | undefined
  readonly #msi: VirtualMsi | undefined
  readonly #pending: Uint8Array
  readonly #delivered: Float64Array

  /** @param saved the state in which it was, see `Machine.replug` */
  constructor(device: EmulatedDevice, slot: number, host: EmulationHost, saved?: SavedEmulatedFunction) {
    this.device = device
    this.slot = slot
    this.#host = host
    this.#config = new EmulatedConfig(device)
    this.#bars = new VirtualBarRegisters(device.bars.map((bar): DeviceRegion => ({ ...bar, hostAddress: 0 })))
    const { messages } = device
    const at = this.#config.messages
    if (messages === 'msi') {
      const layout = { capability: at, count: 1, is64: true, maskable: false }
      this.#msi = new VirtualMsi(layout, this.#config.read(at))
    } else if (messages !== 'none') {
      const { count, bar, tableOffset, pbaOffset } = messages
      this.#msix = new VirtualMsix({ count, tableBar: bar, tableOffset, pbaBar: bar, pbaOffset }, at)
    }
    const count = this.#source?.count ?? 0
    this.#pending = new Uint8Array(count)
    this.#delivered = new Float64Array(count)
    device.connect(this)
    if (saved !== undefined) this.#load(saved)
  }

  get #source(): VirtualMsix | VirtualMsi | undefined {
    return this.#msix ?? this.#msi
  }

  /** Where the guest finds it. */
  get guestAddress(): string {
    return formatFunctionAddress(0, requesterId(0, devfn(this.slot, 0)))
  }

  // What the device has.

  get busMaster(): boolean {
    return this.#config.busMaster
  }

  read(address: number, target: Uint8Array, start: number, length: number): boolean {
    return this.busMaster && this.#host.memory.readInto(address, target, start, length)
  }

  write(address: number, source: Uint8Array, start: number, length: number): boolean {
    return this.busMaster && this.#host.memory.writeFrom(address, source, start, length)
  }

  signal(vector: number): void {
    const source = this.#source
    if (source === undefined || vector >= source.count) return
    if (!this.busMaster || source.masked(vector)) this.#pending[vector] = 1
    else this.#send(vector, source)
  }

  #send(vector: number, source: VirtualMsix | VirtualMsi): void {
    this.#pending[vector] = 0
    if (this.#host.deliver(source.address(vector), source.data(vector))) this.#delivered[vector]!++
  }

  /** Sends what waited for its mask to be lifted. */
  #release(): void {
    const source = this.#source
    if (source === undefined || !this.busMaster) return
    for (let vector = 0; vector < source.count; vector++) {
      if (this.#pending[vector] !== 0 && !source.masked(vector)) this.#send(vector, source)
    }
  }

  // What the guest sees.

  readConfig(offset: number): number {
    if (offset >= BAR_FIRST && offset <= BAR_LAST) return this.#bars.read((offset - BAR_FIRST) >>> 2)
    const real = this.#config.read(offset)
    if (this.#msix?.capability === offset) return this.#msix.controlOver(real)
    const msi = this.#msiOffset(offset)
    return msi < 0 ? real : this.#msi!.read(msi, index => this.#pending[index] !== 0)
  }

  // biome-ignore lint/correctness/useYield: others on the bus wait where this one does not
  *writeConfig(offset: number, value: number, lanes: number): Software {
    if (offset >= BAR_FIRST && offset <= BAR_LAST) {
      this.#bars.write((offset - BAR_FIRST) >>> 2, value, lanes)
      return this.#place()
    }
    if (this.#msix?.capability === offset) this.#msix.writeControl(value, lanes)
    else if (this.#msiOffset(offset) >= 0) this.#msi!.write(this.#msiOffset(offset), value, lanes)
    else this.#config.write(offset, value, lanes)
    if (offset === COMMAND_STATUS.offset) this.#place()
    this.#release()
  }

  /** Offset in the MSI capability, or -1. */
  #msiOffset(offset: number): number {
    const msi = this.#msi
    if (msi === undefined || offset < msi.capability || offset >= msi.capability + msi.size) return -1
    return offset - msi.capability
  }

  /** Follows the BARs and Memory Space Enable into the guest's memory map. */
  #place(): void {
    for (const region of this.#bars.regions) {
      const address = this.#bars.address(region)
      const wanted = this.#config.memoryEnable && address !== 0 ? address : null
      const placed = this.#placed[region.index]!
      if (placed === wanted) continue
      if (placed !== null) this.#host.release(placed)
      const taken = wanted !== null && this.#host.claim(wanted, region.size)
      this.#placed[region.index] = taken ? wanted : null
    }
  }

  #locate(address: number): DeviceRegion | undefined {
    return this.#bars.regions.find(({ index, size }) => {
      const base = this.#placed[index]!
      return base !== null && address >= base && address < base + size
    })
  }

  claims(address: number): boolean {
    return this.#locate(address) !== undefined
  }

  ownerAt(address: number): string {
    const region = this.#locate(address)!
    const { index } = region
    return this.#tableOffset(index, address - this.#placed[index]!) >= 0 ? 'msixTable' : this.device.kind
  }

  readMemory(address: number): number {
    const { index } = this.#locate(address)!
    const offset = address - this.#placed[index]!
    const table = this.#tableOffset(index, offset)
    if (table >= 0) return this.#msix!.readTable(table)
    const pba = this.#pbaOffset(index, offset)
    return (pba >= 0 ? this.#pendingBits(pba) : this.device.readRegister(index, offset)) >>> 0
  }

  *writeMemory(address: number, value: number, lanes: number): Software {
    const { index } = this.#locate(address)!
    const offset = address - this.#placed[index]!
    const table = this.#tableOffset(index, offset)
    if (table >= 0) {
      this.#msix!.writeTable(table, value, lanes)
      this.#release()
    } else if (this.#pbaOffset(index, offset) < 0) {
      yield* this.device.writeRegister(index, offset, value, lanes)
    }
  }

  /** Offset in the MSI-X table, or -1. */
  #tableOffset(bar: number, offset: number): number {
    const msix = this.#msix
    if (msix === undefined || bar !== msix.layout.tableBar) return -1
    const within = offset - msix.layout.tableOffset
    return within >= 0 && within < msix.tableSize ? within : -1
  }

  #pbaOffset(bar: number, offset: number): number {
    const msix = this.#msix
    if (msix === undefined || bar !== msix.layout.pbaBar) return -1
    const within = offset - msix.layout.pbaOffset
    return within >= 0 && within < msix.pbaSize ? within : -1
  }

  #pendingBits(offset: number): number {
    let bits = 0
    for (let i = 0; i < 32; i++) if (this.#pending[offset * 8 + i] === 1) bits |= 1 << i
    return bits
  }

  /** Takes its memory out of the guest. */
  // biome-ignore lint/correctness/useYield: others on the bus wait where this one does not
  *unplug(): Software {
    for (const [index, base] of this.#placed.entries()) {
      if (base !== null) this.#host.release(base)
      this.#placed[index] = null
    }
    this.device.disconnect()
  }

  view(): EmulatedDeviceView {
    const { identity, bars, kind } = this.device
    const source = this.#source
    return {
      kind,
      guestAddress: this.guestAddress,
      vendorId: identity.vendorId,
      deviceId: identity.deviceId,
      bars: bars.map(({ index, size }) => ({ index, size, guestAddress: this.#placed[index]! })),
      interrupts: source?.kind ?? 'none',
      vectors: Array.from({ length: source?.count ?? 0 }, (_, index) => ({
        index,
        masked: source!.masked(index),
        vcpu: this.#host.vcpuFor(source!.address(index)),
        guestVector: source!.data(index) & 0xff,
        delivered: this.#delivered[index]!,
      })),
    }
  }

  #load(saved: SavedEmulatedFunction): void {
    this.#config.load(saved.config)
    this.#bars.load(saved.bars)
    for (const [index, base] of saved.placed.entries()) this.#placed[index] = base
    if (saved.messages !== null) this.#source?.load(saved.messages)
    this.#pending.set(saved.pending)
    this.#delivered.set(saved.delivered)
    this.device.load(saved.device)
  }

  save(): SavedEmulatedFunction {
    return {
      version: 1,
      slot: this.slot,
      kind: this.device.kind,
      config: this.#config.save(),
      bars: this.#bars.save(),
      placed: [...this.#placed],
      messages: this.#source?.save() ?? null,
      pending: this.#pending.slice(),
      delivered: this.#delivered.slice(),
      device: this.device.save(),
    }
  }
}
