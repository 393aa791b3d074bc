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
import type { AssignedFunction } from '../host/index.ts'
import {
  CAPABILITY,
  COMMAND_STATUS,
  CONVENTIONAL_CONFIG_SIZE,
  findCapability,
  HEADER,
  ID,
  INTERRUPT,
  listCapabilities,
  ROM_OFFSET,
} from '../pcie/formats/index.ts'
import type { MachinePort } from '../platform/machine-port.ts'
import { DeviceMemory, type MemoryMapHost, type TrappedSpan } from './device-memory.ts'
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

/** By what the function signals: offset of the capability, and of MSI the first dword as it was found. */
type Messages =
  | { readonly kind: 'msix'; readonly at: number }
  | { readonly kind: 'msi'; readonly control: number }

export type SavedVirtualFunction = {
  readonly version: 2
  readonly address: string
  readonly slot: number
  readonly messages: Messages | null
  readonly memoryEnable: boolean
  readonly interruptLine: number
  readonly memory: Saved
  readonly interrupts: Saved
}

export class VirtualFunction implements BusDevice {
  readonly assigned: AssignedFunction
  readonly slot: number
  readonly #machine: MachinePort
  readonly #host: FunctionHost
  readonly #memory: DeviceMemory
  readonly #messages: Messages | null
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
    if (this.#messages?.kind === 'msix') this.#msix = new VirtualMsix(assigned.msix!, this.#messages.at)
    else if (this.#messages?.kind === 'msi') this.#msi = new VirtualMsi(assigned.msi!, this.#messages.control)
    const source = this.#source
    if (source !== undefined) this.#forwarder = new InterruptForwarder(assigned, source, host)
    this.#memory = new DeviceMemory(assigned, trappedSpans(this.#msix), host)
    if (saved === undefined) return
    opened(saved, 'an assigned function in a guest', 2)
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
    const table = this.#tableOffset(region.index, offset)
    if (table >= 0) return this.#msix!.readTable(table)
    const real = this.#machine.readDword(region.hostAddress + offset)
    return (real | this.#virtualPending(region.index, offset)) >>> 0
  }

  *writeMemory(address: number, value: number, lanes: number): Software {
    const { region, offset } = this.#memory.locate(address)!
    const table = this.#tableOffset(region.index, offset)
    if (table < 0) return this.#machine.writeDword(region.hostAddress + offset, value, lanes)
    this.#msix!.writeTable(table, value, lanes)
    yield* this.#follow()
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
      version: 2,
      messages: this.#messages,
      address: this.assigned.function.address,
      slot: this.slot,
      memoryEnable: this.#memoryEnable,
      interruptLine: this.#interruptLine,
      memory: this.#memory.save(),
      interrupts: this.#forwarder?.save() ?? null,
    }
  }
}

function messagesOf(assigned: AssignedFunction): Messages | null {
  const read = (offset: number): number => assigned.readConfig(offset, 4)
  const capabilities = listCapabilities(read, CONVENTIONAL_CONFIG_SIZE)
  const at = findCapability(capabilities, CAPABILITY.MSI_X)
  const { msix, msi, regions } = assigned
  // Without its BAR placed, an MSI-X table is out of reach of host and guest.
  if (at !== undefined && msix !== undefined && regions.some(({ index }) => index === msix.tableBar))
    return { kind: 'msix', at }
  return msi === undefined ? null : { kind: 'msi', control: read(msi.capability) }
}

/** The MSI-X table, which is the guest's own, and the PBA, which shows what waits in the hypervisor too. */
function trappedSpans(msix: VirtualMsix | undefined): TrappedSpan[] {
  if (msix === undefined) return []
  const { tableBar, tableOffset, pbaBar, pbaOffset } = msix.layout
  return [
    { bar: tableBar, offset: tableOffset, size: msix.tableSize },
    { bar: pbaBar, offset: pbaOffset, size: msix.pbaSize },
  ]
}
