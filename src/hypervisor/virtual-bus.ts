/**
 * The virtual machine's I/O ports: one PCI bus behind configuration mechanism #1, the slot controller that tells the
 * guest of functions that come and go, and the error controller that tells of their errors.
 */
import { lanesOf, opened, type Saved } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import { CLASS, ID } from '../pcie/formats/index.ts'
import {
  CONFIG_ADDRESS,
  CONFIG_DATA,
  ERROR_EVENT_VECTOR,
  ERROR_PORT,
  HOST_BRIDGE,
  SLOT_EVENT_VECTOR,
  SLOT_PORT,
  SLOTS,
} from './formats/virtual-board.ts'

const NO_SLOTS: readonly number[] = []

/** A function on the virtual bus. Offsets are multiples of 4, below 256. */
export interface PciDevice {
  readConfig(offset: number): number
  writeConfig(offset: number, value: number, lanes: number): Software
}

const ALL_ONES = 0xffff_ffff
const CONFIG_ENABLE = 0x8000_0000

/** What has registers in the guest-physical address space. */
export interface MemoryDevice {
  /** Whether its memory is at a guest-physical address. */
  claims(address: number): boolean
  /** What answers there, for exit records. */
  ownerAt(address: number): string
  /** Aligned dwords of accesses that exited. */
  readMemory(address: number): number
  writeMemory(address: number, value: number, lanes: number): Software
}

/** A function with memory, as its virtual machine sees it. */
export interface BusDevice extends PciDevice, MemoryDevice {
  readonly slot: number
  /** Where the guest finds it. */
  readonly guestAddress: string
  /** Takes its memory out of the guest and ends its interrupts. */
  unplug(): Software
  save(): Saved
}

type SavedBus = {
  readonly version: 2
  readonly configAddress: number
  readonly changed: number
  readonly removing: number
  readonly ejected: number
  readonly reported: number
  readonly reset: number
  readonly kept: Uint8Array
}

export class VirtualBus<Device extends PciDevice> {
  readonly #devices: (Device | undefined)[] = new Array(SLOTS).fill(undefined)
  #present: readonly Device[] = []
  readonly #raise: (vector: number) => void
  #configAddress = 0
  #changed = 0
  #removing = 0
  /** Slots that the guest has ejected and that still hold their function. */
  #ejected = 0
  /** By slot: why the guest kept its function when it was asked last; 0: it did not say that. */
  readonly #kept = new Uint8Array(SLOTS)
  /** Slots of which the guest has not been told that their function had an error, or was reset for one. */
  #reported = 0
  #reset = 0

  /** @param raise makes an event interrupt pending. */
  constructor(raise: (vector: number) => void) {
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
    this.#raise(SLOT_EVENT_VECTOR)
  }

  /** Puts a function back into its slot after a restore: the guest knows it. */
  restore(slot: number, device: Device): void {
    this.#put(slot, device)
  }

  /** Asks the guest to let go of a slot. */
  requestRemoval(slot: number): void {
    this.#removing |= 1 << slot
    this.#kept[slot] = 0
    this.#raise(SLOT_EVENT_VECTOR)
  }

  /** Whether the guest has been asked for a slot and has not answered yet. */
  isAskedFor(slot: number): boolean {
    return ((this.#removing >>> slot) & 1) !== 0
  }

  /** What the guest said last to being asked for a slot: why it keeps its function; 0 if nothing. */
  refusalOf(slot: number): number {
    return this.#kept[slot]!
  }

  /** Slots that the guest has ejected and that still hold their function. */
  get ejected(): readonly number[] {
    return this.#ejected === 0
      ? NO_SLOTS
      : Array.from({ length: SLOTS }, (_, slot) => slot).filter(slot => (this.#ejected >>> slot) & 1)
  }

  /** Tells the guest of an error of the function in a slot. */
  reportError(slot: number, wasReset: boolean): void {
    if (wasReset) this.#reset |= 1 << slot
    else this.#reported |= 1 << slot
    this.#raise(ERROR_EVENT_VECTOR)
  }

  /** Takes the function out of a slot. Returns whether the guest had ejected it; else the guest is told now. */
  remove(slot: number): boolean {
    const bit = 1 << slot
    const ejected = (this.#ejected & bit) !== 0
    this.#put(slot, undefined)
    this.#ejected &= ~bit
    this.#removing &= ~bit
    this.#reported &= ~bit
    this.#reset &= ~bit
    this.#kept[slot] = 0
    if (!ejected) {
      this.#changed |= bit
      this.#raise(SLOT_EVENT_VECTOR)
    }
    return ejected
  }

  /** Which part of the board answers at a port; undefined: nothing does. */
  ownerOf(port: number): 'virtualPci' | 'slotController' | 'errorController' | undefined {
    if (port >= CONFIG_ADDRESS && port < CONFIG_DATA + 4) return 'virtualPci'
    switch (port) {
      case SLOT_PORT.changed:
      case SLOT_PORT.removing:
      case SLOT_PORT.eject:
      case SLOT_PORT.status:
        return 'slotController'
      case ERROR_PORT.reported:
      case ERROR_PORT.reset:
        return 'errorController'
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
      case ERROR_PORT.reported: {
        const bits = this.#reported >>> 0
        this.#reported = 0
        return bits & mask
      }
      case ERROR_PORT.reset: {
        const bits = this.#reset >>> 0
        this.#reset = 0
        return bits & mask
      }
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
    } else if (port === SLOT_PORT.status) {
      this.#keep(value & 0xff, (value >>> 8) & 0xff)
    } else if (byte >= 0 && byte + width <= 4) {
      const selected = this.#selected
      if (selected === undefined || selected === 'bridge') return
      const lanes = lanesOf(((1 << width) - 1) << byte)
      yield* selected.writeConfig(this.#configAddress & 0xfc, (value << (8 * byte)) >>> 0, lanes)
    }
  }

  /** The guest will not let go of a slot that it was asked for. */
  #keep(slot: number, why: number): void {
    const bit = slot < SLOTS ? 1 << slot : 0
    if ((this.#removing & bit) === 0) return
    this.#removing &= ~bit
    this.#kept[slot] = why
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
      version: 2,
      configAddress: this.#configAddress,
      changed: this.#changed >>> 0,
      removing: this.#removing >>> 0,
      ejected: this.#ejected >>> 0,
      reported: this.#reported >>> 0,
      reset: this.#reset >>> 0,
      kept: this.#kept.slice(),
    }
  }

  load(saved: Saved): void {
    const state = opened<SavedBus>(saved, 'a virtual bus', 2)
    this.#configAddress = state.configAddress
    this.#changed = state.changed | 0
    this.#removing = state.removing | 0
    this.#ejected = state.ejected | 0
    this.#reported = state.reported | 0
    this.#reset = state.reset | 0
    this.#kept.set(state.kept)
  }
}

function hostBridge(offset: number): number {
  if (offset === ID.offset) return ((HOST_BRIDGE.deviceId << 16) | HOST_BRIDGE.vendorId) >>> 0
  if (offset === CLASS.offset) return (HOST_BRIDGE.classCode << 8) >>> 0
  return 0
}
