/**
 * The virtual machine's I/O ports: one PCI bus behind configuration mechanism #1, and the slot controller that tells
 * the guest of functions that come and go.
 */
import { lanesOf, opened, type Saved } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import { CLASS, ID } from '../pcie/formats/index.ts'
import { CONFIG_ADDRESS, CONFIG_DATA, HOST_BRIDGE, SLOT_PORT, SLOTS } from './formats/virtual-board.ts'

/** A function on the virtual bus. Offsets are multiples of 4, below 256. */
export interface PciDevice {
  readConfig(offset: number): number
  writeConfig(offset: number, value: number, lanes: number): Software
}

const ALL_ONES = 0xffff_ffff
const CONFIG_ENABLE = 0x8000_0000

/** A function with memory, as its virtual machine sees it. */
export interface BusDevice extends PciDevice {
  readonly slot: number
  /** Where the guest finds it. */
  readonly guestAddress: string
  /** Whether its memory is at a guest-physical address. */
  claims(address: number): boolean
  /** What answers there, for exit records. */
  ownerAt(address: number): string
  /** Aligned dwords of accesses that exited. */
  readMemory(address: number): number
  writeMemory(address: number, value: number, lanes: number): Software
  /** Takes its memory out of the guest and ends its interrupts. */
  unplug(): Software
  save(): Saved
}

export class VirtualBus<Device extends PciDevice> {
  readonly #devices: (Device | undefined)[] = new Array(SLOTS).fill(undefined)
  #present: readonly Device[] = []
  readonly #raise: () => void
  #configAddress = 0
  #changed = 0
  #removing = 0
  /** Slots that the guest has ejected and that still hold their function. */
  #ejected = 0

  /** @param raise makes the slot event interrupt pending. */
  constructor(raise: () => void) {
    this.#raise = raise
  }

  /** The lowest device number without a function; -1 if the bus is full. Device 0 is the host bridge. */
  get freeSlot(): number {
    return this.#devices.findIndex((device, slot) => slot > 0 && device === undefined)
  }

  /** In the order of their slots. */
  get devices(): readonly Device[] {
    return this.#present
  }

  #put(slot: number, device: Device | undefined): void {
    this.#devices[slot] = device
    this.#present = this.#devices.filter(one => one !== undefined)
  }

  /** Puts a function into a slot and tells the guest. */
  insert(slot: number, device: Device): void {
    this.#put(slot, device)
    this.#changed |= 1 << slot
    this.#raise()
  }

  /** Puts a function back into its slot after a restore: the guest knows it. */
  restore(slot: number, device: Device): void {
    this.#put(slot, device)
  }

  /** Asks the guest to let go of a slot. */
  requestRemoval(slot: number): void {
    this.#removing |= 1 << slot
    this.#raise()
  }

  /** Takes the function out of a slot. Returns whether the guest had ejected it; else the guest is told now. */
  remove(slot: number): boolean {
    const bit = 1 << slot
    const ejected = (this.#ejected & bit) !== 0
    this.#put(slot, undefined)
    this.#ejected &= ~bit
    this.#removing &= ~bit
    if (!ejected) {
      this.#changed |= bit
      this.#raise()
    }
    return ejected
  }

  /** Which part of the board answers at a port; undefined: nothing does. */
  ownerOf(port: number): 'virtualPci' | 'slotController' | undefined {
    if (port >= CONFIG_ADDRESS && port < CONFIG_DATA + 4) return 'virtualPci'
    if (port === SLOT_PORT.changed || port === SLOT_PORT.removing || port === SLOT_PORT.eject) {
      return 'slotController'
    }
    return undefined
  }

  in(port: number, width: number): number {
    const mask = width === 4 ? ALL_ONES : (1 << (8 * width)) - 1
    switch (port) {
      case CONFIG_ADDRESS:
        return width === 4 ? this.#configAddress : mask
      case SLOT_PORT.changed: {
        const bits = this.#changed >>> 0
        this.#changed = 0
        return bits & mask
      }
      case SLOT_PORT.removing:
        return (this.#removing & mask) >>> 0
    }
    const byte = port - CONFIG_DATA
    if (byte < 0 || byte + width > 4) return mask
    const offset = this.#configAddress & 0xfc
    const value = this.#selected === 'bridge' ? hostBridge(offset) : this.#selected?.readConfig(offset)
    return (((value ?? ALL_ONES) >>> (8 * byte)) & mask) >>> 0
  }

  *out(port: number, width: number, value: number): Software {
    const byte = port - CONFIG_DATA
    if (port === CONFIG_ADDRESS) {
      if (width === 4) this.#configAddress = (value & 0x80ff_fffc) >>> 0
    } else if (port === SLOT_PORT.eject) {
      this.#ejected |= value & this.#removing
      this.#removing &= ~value
    } else if (byte >= 0 && byte + width <= 4) {
      const selected = this.#selected
      if (selected === undefined || selected === 'bridge') return
      const lanes = lanesOf(((1 << width) - 1) << byte)
      yield* selected.writeConfig(this.#configAddress & 0xfc, (value << (8 * byte)) >>> 0, lanes)
    }
  }

  /** What CONFIG_ADDRESS selects: only function 0 of each device of bus 0 exists. */
  get #selected(): Device | 'bridge' | undefined {
    const address = this.#configAddress
    if ((address & CONFIG_ENABLE) === 0 || ((address >>> 16) & 0xff) !== 0 || ((address >>> 8) & 7) !== 0) {
      return undefined
    }
    const slot = (address >>> 11) & 31
    return slot === 0 ? 'bridge' : this.#devices[slot]
  }

  save(): Saved {
    return {
      version: 1,
      configAddress: this.#configAddress,
      changed: this.#changed >>> 0,
      removing: this.#removing >>> 0,
      ejected: this.#ejected >>> 0,
    }
  }

  load(saved: Saved): void {
    const { configAddress, changed, removing, ejected } = opened<Record<string, number>>(
      saved,
      'a virtual bus',
      1,
    )
    this.#configAddress = configAddress!
    this.#changed = changed! | 0
    this.#removing = removing! | 0
    this.#ejected = ejected! | 0
  }
}

function hostBridge(offset: number): number {
  if (offset === ID.offset) return ((HOST_BRIDGE.deviceId << 16) | HOST_BRIDGE.vendorId) >>> 0
  if (offset === CLASS.offset) return (HOST_BRIDGE.classCode << 8) >>> 0
  return 0
}
