/**
 * An assigned function as its guest sees it: config space with virtual BARs and a virtual MSI or MSI-X capability over
 * the function's own, device memory mapped straight through, and an MSI-X table of the guest's own.
 */
import {
  ALL_LANES,
  devfn,
  formatFunctionAddress,
  NorthbridgeError,
  opened,
  requesterId,
  type Saved,
} from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import { type AssignedFunction, DeviceMigration, type MigrationState } from '../host/index.ts'
import { AF, COMMAND_STATUS, EXPRESS, HEADER, ID, INTERRUPT, ROM_OFFSET } from '../pcie/formats/index.ts'
import type { MachinePort } from '../platform/machine-port.ts'
import { DeviceMemory, type MemoryMapHost } from './device-memory.ts'
import {
  type Messages,
  messagesOf,
  type ResetRegisters,
  resetRegisters,
  trappedSpans,
} from './function-registers.ts'
import { type ForwarderHost, InterruptForwarder } from './interrupt-forwarder.ts'
import type { AttachedDevice, VirtualVector } from './types.ts'
import type { BusDevice } from './virtual-bus.ts'
import { VirtualMsi } from './virtual-msi.ts'
import { VirtualMsix } from './virtual-msix.ts'

const { MSE, IOSE, INTS } = COMMAND_STATUS.f
const BAR_FIRST = 0x10
const BAR_LAST = 0x24

/** What a virtual function needs of its virtual machine. */
export interface FunctionHost extends ForwarderHost, MemoryMapHost {
  /** The virtual processor that a message addresses first; null if none. */
  vcpuFor(address: number): number | null
}

export type SavedVirtualFunction = {
  readonly version: 3
  readonly address: string
  readonly slot: number
  readonly messages: Messages | null
  readonly resets: ResetRegisters
  readonly memoryEnable: boolean
  readonly interruptLine: number
  readonly memory: Saved
  readonly interrupts: Saved
  /** State of its migration; null where there is none. */
  readonly migration: MigrationState | null
}

export class VirtualFunction implements BusDevice {
  readonly assigned: AssignedFunction
  readonly slot: number
  /** How its state goes elsewhere; undefined: it does not. */
  readonly migration: DeviceMigration | undefined
  readonly #machine: MachinePort
  readonly #host: FunctionHost
  readonly #memory: DeviceMemory
  readonly #messages: Messages | null
  readonly #resets: ResetRegisters
  readonly #msix: VirtualMsix | undefined
  readonly #msi: VirtualMsi | undefined
  readonly #forwarder: InterruptForwarder | undefined
  #memoryEnable = false
  #interruptLine = 0

  /** @param saved what it was: function, memory map and host vectors are as they were then. */
  constructor(
    assigned: AssignedFunction,
    slot: number,
    machine: MachinePort,
    host: FunctionHost,
    saved?: SavedVirtualFunction,
  ) {
    this.assigned = assigned
    this.slot = slot
    this.#machine = machine
    this.#host = host
    this.#messages = saved === undefined ? messagesOf(assigned) : saved.messages
    this.#resets = saved === undefined ? resetRegisters(assigned) : saved.resets
    if (this.#messages?.kind === 'msix') this.#msix = new VirtualMsix(assigned.msix!, this.#messages.at)
    else if (this.#messages?.kind === 'msi') this.#msi = new VirtualMsi(assigned.msi!, this.#messages.control)
    const source = this.#source
    if (source !== undefined) this.#forwarder = new InterruptForwarder(assigned, source, host)
    this.migration = DeviceMigration.of(machine, assigned)
    const window = this.migration === undefined ? [] : [this.migration.window]
    this.#memory = new DeviceMemory(assigned, [...trappedSpans(this.#msix), ...window], host)
    if (saved === undefined) return
    opened(saved, 'an assigned function in a guest', 3)
    if (saved.migration !== null) this.migration?.load(saved.migration)
    this.#memoryEnable = saved.memoryEnable
    this.#interruptLine = saved.interruptLine
    this.#memory.load(saved.memory)
    if (saved.interrupts !== null) this.#forwarder?.load(saved.interrupts)
  }

  /** Where the guest finds it. */
  get guestAddress(): string {
    return formatFunctionAddress(0, requesterId(0, devfn(this.slot, 0)))
  }

  /** What offers messages to the guest, if anything does. */
  get #source(): VirtualMsix | VirtualMsi | undefined {
    return this.#msix ?? this.#msi
  }

  readConfig(offset: number): number {
    if (offset >= BAR_FIRST && offset <= BAR_LAST) return this.#memory.bars.read((offset - BAR_FIRST) >>> 2)
    const { function: fn } = this.assigned
    switch (offset) {
      case ID.offset:
        return ((fn.deviceId << 16) | fn.vendorId) >>> 0
      case ROM_OFFSET.type0:
        return 0
      case INTERRUPT.offset:
        // No INTx: the pin reads 0.
        return this.#interruptLine
    }
    const real = this.assigned.readConfig(offset, 4)
    switch (offset) {
      case COMMAND_STATUS.offset: {
        const enable = this.#memoryEnable ? MSE.mask : 0
        return ((real & ~(MSE.mask | IOSE.mask | INTS.mask)) | enable) >>> 0
      }
      case HEADER.offset:
        // One function per slot: other functions of the device are not on this bus.
        return (real & ~HEADER.f.MF.mask) >>> 0
      case this.#msix?.capability:
        return this.#msix!.controlOver(real)
    }
    const msi = this.#msiOffset(offset)
    return msi < 0 ? real : this.#msi!.read(msi, index => this.#forwarder!.isPending(index))
  }

  *writeConfig(offset: number, value: number, lanes: number): Software {
    if (offset >= BAR_FIRST && offset <= BAR_LAST) {
      this.#memory.bars.write((offset - BAR_FIRST) >>> 2, value, lanes)
      this.#memory.place(this.#memoryEnable)
      return
    }
    if (this.#startsReset(offset, value & lanes)) return yield* this.#resetByGuest()
    switch (offset) {
      case ID.offset:
      case HEADER.offset:
      case ROM_OFFSET.type0:
        return
      case COMMAND_STATUS.offset:
        if (lanes & MSE.mask) this.#memoryEnable = (value & MSE.mask) !== 0
        this.#pass(offset, value, lanes)
        this.#memory.place(this.#memoryEnable)
        return
      case INTERRUPT.offset:
        this.#interruptLine = ((this.#interruptLine & ~lanes) | (value & lanes)) & INTERRUPT.f.LINE.mask
        return
      case this.#msix?.capability:
        this.#msix!.writeControl(value, lanes)
        return yield* this.#follow()
    }
    const msi = this.#msiOffset(offset)
    if (msi < 0) return this.#pass(offset, value, lanes)
    this.#msi!.write(msi, value, lanes)
    yield* this.#follow()
  }

  /** Whether a write initiates a function level reset, by either capability, of a function that has it. */
  #startsReset(offset: number, value: number): boolean {
    const { express, advancedFeatures } = this.#resets
    return (
      (offset === express && (value & EXPRESS.DEVICE_CONTROL.f.INITIATE_FLR.mask) !== 0) ||
      (offset === advancedFeatures && (value & AF.CONTROL.f.INITIATE_FLR.mask) !== 0)
    )
  }

  /** As vfio-pci: the kernel resets the function, by the method it prefers, and keeps what is the host's of it. */
  *#resetByGuest(): Software {
    try {
      yield* this.assigned.reset()
    } catch (error) {
      if (!(error instanceof NorthbridgeError)) throw error
      this.#host.report(`${this.assigned.function.address} was not reset`, error)
      return
    }
    yield* this.forget()
  }

  /** The function was reset: what the guest had set is lost, and nothing of it is in the guest's memory map. */
  *forget(): Software {
    this.#memoryEnable = false
    this.#interruptLine = 0
    this.#memory.withdraw()
    this.#memory.bars.reset()
    this.#msix?.reset()
    this.#msi?.reset()
    if (this.#forwarder !== undefined) yield* this.#forwarder.forget()
  }

  /** Offset in the MSI capability, or -1. */
  #msiOffset(offset: number): number {
    const msi = this.#msi
    if (msi === undefined || offset < msi.capability || offset >= msi.capability + msi.size) return -1
    return offset - msi.capability
  }

  /** Writes the bytes that `lanes` carries to the function's own register, 16-bit registers whole. */
  #pass(offset: number, value: number, lanes: number): void {
    if (lanes === ALL_LANES) {
      this.assigned.writeConfig(offset, 4, value)
      return
    }
    for (const at of [0, 2]) {
      const carried = (lanes >>> (8 * at)) & 0xffff
      const bits = (value >>> (8 * at)) & 0xffff
      if (carried === 0xffff) this.assigned.writeConfig(offset + at, 2, bits)
      else if (carried === 0x00ff) this.assigned.writeConfig(offset + at, 1, bits & 0xff)
      else if (carried === 0xff00) this.assigned.writeConfig(offset + at + 1, 1, bits >>> 8)
    }
  }

  /** Arms what the guest has unmasked. A host that cannot leaves the interrupts unarmed and says so. */
  *#follow(): Software {
    try {
      yield* this.#forwarder!.update()
    } catch (error) {
      if (!(error instanceof NorthbridgeError)) throw error
      this.#host.report(`interrupts of ${this.assigned.function.address} could not be armed`, error)
    }
  }

  /** Whether the function's memory is at a guest-physical address. */
  claims(address: number): boolean {
    return this.#memory.locate(address) !== undefined
  }

  /** Whether its own registers, or the function's, answer there. */
  ownerAt(address: number): 'msixTable' | 'deviceMemory' {
    const { region, offset } = this.#memory.locate(address)!
    return this.#tableOffset(region.index, offset) >= 0 ? 'msixTable' : 'deviceMemory'
  }

  /** An access that exited, because its page is trapped or could not be mapped. */
  readMemory(address: number): number {
    const { region, offset } = this.#memory.locate(address)!
    if (this.#isWindow(region.index, offset)) return 0
    const table = this.#tableOffset(region.index, offset)
    if (table >= 0) return this.#msix!.readTable(table)
    const real = this.#machine.readDword(region.hostAddress + offset)
    return (real | this.#virtualPending(region.index, offset)) >>> 0
  }

  *writeMemory(address: number, value: number, lanes: number): Software {
    const { region, offset } = this.#memory.locate(address)!
    if (this.#isWindow(region.index, offset)) return
    const table = this.#tableOffset(region.index, offset)
    if (table < 0) return this.#machine.writeDword(region.hostAddress + offset, value, lanes)
    this.#msix!.writeTable(table, value, lanes)
    yield* this.#follow()
  }

  /** Whether an offset lies in the migration window, which is the host's: for the guest there is nothing. */
  #isWindow(bar: number, offset: number): boolean {
    const window = this.migration?.window
    return window?.bar === bar && offset >= window.offset && offset < window.offset + window.size
  }

  /** Registers of the message capability that its guest sets up. */
  get messageRegisters(): { readonly at: number; readonly size: number } {
    if (this.#msix !== undefined) return { at: this.#msix.capability, size: 4 }
    return { at: this.#msi?.capability ?? 0, size: this.#msi?.size ?? 0 }
  }

  /** The MSI-X table as its guest filled it. */
  get messageTable(): number[] {
    const size = this.#msix?.tableSize ?? 0
    return Array.from({ length: size / 4 }, (_, i) => this.#msix!.readTable(4 * i))
  }

  *setMessageTable(words: readonly number[]): Software {
    for (const [i, word] of words.entries()) this.#msix?.writeTable(4 * i, word, ALL_LANES)
    if (words.length > 0) yield* this.#follow()
  }

  /** Offset in the MSI-X table, or -1. */
  #tableOffset(bar: number, offset: number): number {
    const msix = this.#msix
    if (msix === undefined || bar !== msix.layout.tableBar) return -1
    const within = offset - msix.layout.tableOffset
    return within >= 0 && within < msix.tableSize ? within : -1
  }

  /** Pending bits of a PBA dword for messages that wait in the hypervisor. */
  #virtualPending(bar: number, offset: number): number {
    const msix = this.#msix
    if (msix === undefined || bar !== msix.layout.pbaBar) return 0
    const within = offset - msix.layout.pbaOffset
    if (within < 0 || within >= msix.pbaSize) return 0
    let bits = 0
    for (let i = 0; i < 32; i++) if (this.#forwarder!.isPending(within * 8 + i)) bits |= 1 << i
    return bits
  }

  /** Takes the function's memory out of the guest and disarms its interrupts. */
  *unplug(): Software {
    this.#memory.withdraw()
    if (this.#forwarder !== undefined) yield* this.#forwarder.disarm()
  }

  vector(index: number): VirtualVector | undefined {
    const source = this.#source
    if (source === undefined || index < 0 || index >= source.count) return undefined
    return {
      index,
      masked: source.masked(index),
      vcpu: this.#host.vcpuFor(source.address(index)),
      guestVector: source.data(index) & 0xff,
      delivered: this.#forwarder!.delivered(index),
    }
  }

  view(): AttachedDevice {
    const { function: fn } = this.assigned
    const source = this.#source
    return {
      address: fn.address,
      guestAddress: this.guestAddress,
      vendorId: fn.vendorId,
      deviceId: fn.deviceId,
      bars: this.#memory.bars.regions.map(region => ({
        index: region.index,
        is64: region.is64,
        prefetchable: region.prefetchable,
        size: region.size,
        guestAddress: this.#memory.addressOf(region),
        hostAddress: region.hostAddress,
      })),
      interrupts: source?.kind ?? 'none',
      vectors: Array.from({ length: source?.count ?? 0 }, (_, index) => this.vector(index)!),
    }
  }

  save(): SavedVirtualFunction {
    return {
      version: 3,
      messages: this.#messages,
      resets: { ...this.#resets },
      address: this.assigned.function.address,
      slot: this.slot,
      memoryEnable: this.#memoryEnable,
      interruptLine: this.#interruptLine,
      memory: this.#memory.save(),
      interrupts: this.#forwarder?.save() ?? null,
      migration: this.migration?.state ?? null,
    }
  }
}
