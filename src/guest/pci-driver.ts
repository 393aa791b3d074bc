/**
 * The guest's PCI driver: finds a function in a slot, places its BARs, gives its messages vectors and lets it be bus
 * master; and lets go of it again.
 */
import { opened, type Saved } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import {
  DEVICE_WINDOW_32,
  DEVICE_WINDOW_64,
  FIRST_DEVICE_VECTOR,
} from '../hypervisor/formats/virtual-board.ts'
import { compatibilityAddress } from '../interrupts/formats/message.ts'
import {
  BAR,
  BAR_COUNT,
  barOffset,
  CAPABILITIES_POINTER,
  CAPABILITY,
  COMMAND_STATUS,
  ID,
  MSI,
  MSI_X,
  MSI_X_ENTRY,
  msiLayout,
} from '../pcie/formats/index.ts'
import { ConfigAccess } from './config-access.ts'
import type { GuestPort } from './guest-port.ts'
import { AddressWindow, VectorSpace } from './resources.ts'

const TWO_32 = 2 ** 32
const ABSENT = 0xffff
/** Vectors above are left to the kernel itself. */
const LAST_DEVICE_VECTOR = 0xef
/** No device gets more vectors, so that several fit. */
const MOST_VECTORS = 64
/** Entries of a capability list that fit config space. */
const LONGEST_LIST = 48

/** A function that the driver runs. */
export interface GuestDevice {
  readonly slot: number
  readonly vendorId: number
  readonly deviceId: number
  /** Placed memory BARs. */
  readonly bars: readonly { readonly index: number; readonly base: number; readonly size: number }[]
  /** Offset of the message capability in use; undefined without one. */
  readonly messages?: number
  /** First vector and number of vectors in use. */
  readonly firstVector: number
  readonly vectors: number
}

type Bar = GuestDevice['bars'][number]

export class PciDriver {
  readonly #port: GuestPort
  readonly #config: ConfigAccess
  readonly #window32 = new AddressWindow(DEVICE_WINDOW_32)
  readonly #window64 = new AddressWindow(DEVICE_WINDOW_64)
  readonly #vectors = new VectorSpace(FIRST_DEVICE_VECTOR, LAST_DEVICE_VECTOR)
  #devices: readonly GuestDevice[] = []

  constructor(port: GuestPort) {
    this.#port = port
    this.#config = new ConfigAccess(port)
  }

  get devices(): readonly GuestDevice[] {
    return this.#devices
  }

  /** Starts the function in a slot, if one is there. `apicId` is the local APIC that takes its interrupts. */
  *start(slot: number, apicId: number): Software {
    const id = yield* this.#config.read(slot, ID.offset)
    if ((id & 0xffff) === ABSENT) return
    yield* this.#config.write16(slot, COMMAND_STATUS.offset, COMMAND_STATUS.f.INTD.mask)
    const bars = yield* this.#placeBars(slot)
    const { MSE, BME, INTD } = COMMAND_STATUS.f
    yield* this.#config.write16(slot, COMMAND_STATUS.offset, MSE.mask | BME.mask | INTD.mask)
    const interrupts = yield* this.#startInterrupts(slot, bars, apicId)
    this.#devices = [
      ...this.#devices,
      { slot, vendorId: id & 0xffff, deviceId: id >>> 16, bars, ...interrupts },
    ]
  }

  /** Silences the function that the driver runs in a slot, gone or not, and takes its resources back. */
  *stop(slot: number): Software {
    const device = this.#devices.find(candidate => candidate.slot === slot)
    if (device === undefined) return
    if (device.messages !== undefined) yield* this.#config.write16(slot, device.messages + 2, 0)
    yield* this.#config.write16(slot, COMMAND_STATUS.offset, COMMAND_STATUS.f.INTD.mask)
    for (const { index, base } of device.bars) {
      this.#windowOf(base).free(base)
      yield* this.#config.write(slot, barOffset(index), 0)
    }
    if (device.vectors > 0) this.#vectors.free(device.firstVector, device.vectors)
    this.#devices = this.#devices.filter(other => other !== device)
  }

  #windowOf(base: number): AddressWindow {
    return base >= DEVICE_WINDOW_64.base ? this.#window64 : this.#window32
  }

  /** "Base Address Registers": write ones, read the size back, write an address. Decoding is off meanwhile. */
  *#placeBars(slot: number): Software<Bar[]> {
    const bars: Bar[] = []
    for (let index = 0; index < BAR_COUNT.type0; index++) {
      const offset = barOffset(index)
      const type = yield* this.#config.read(slot, offset)
      if (type & BAR.IO) continue
      const is64 = (type & BAR.TYPE) === BAR.MEMORY_64
      yield* this.#config.write(slot, offset, 0xffff_ffff)
      const low = ((yield* this.#config.read(slot, offset)) & BAR.MEMORY_ADDRESS) >>> 0
      let mask = 0xffff_ffff * TWO_32 + low
      if (is64) {
        yield* this.#config.write(slot, offset + 4, 0xffff_ffff)
        mask = (yield* this.#config.read(slot, offset + 4)) * TWO_32 + low
      }
      // Neither half of the register holds an address bit: there is no BAR.
      if (low === 0 && !is64) continue
      const size = sizeOf(mask)
      const base = (is64 ? this.#window64 : this.#window32).allocate(size)
      yield* this.#config.write(slot, offset, (base ?? 0) % TWO_32)
      if (is64) yield* this.#config.write(slot, offset + 4, Math.floor((base ?? 0) / TWO_32))
      if (base !== undefined) bars.push({ index, base, size })
      if (is64) index++
    }
    return bars
  }

  *#startInterrupts(
    slot: number,
    bars: readonly Bar[],
    apicId: number,
  ): Software<Pick<GuestDevice, 'messages' | 'firstVector' | 'vectors'>> {
    const msix = yield* this.#findCapability(slot, CAPABILITY.MSI_X)
    if (msix !== undefined) {
      const location = yield* this.#config.read(slot, msix + MSI_X.TABLE.offset)
      const bar = bars.find(({ index }) => index === (location & MSI_X.TABLE.f.BIR.mask))
      const offset = (location & MSI_X.TABLE.f.OFFSET.mask) >>> 0
      if (bar !== undefined) return yield* this.#startMsix(slot, msix, bar.base + offset, apicId)
    }
    const msi = yield* this.#findCapability(slot, CAPABILITY.MSI)
    if (msi !== undefined) return yield* this.#startMsi(slot, msi, apicId)
    return { firstVector: 0, vectors: 0 }
  }

  *#findCapability(slot: number, id: number): Software<number | undefined> {
    let at = (yield* this.#config.read(slot, CAPABILITIES_POINTER)) & 0xfc
    for (let i = 0; i < LONGEST_LIST && at !== 0; i++) {
      const header = yield* this.#config.read(slot, at)
      if ((header & 0xff) === id) return at
      at = (header >>> 8) & 0xfc
    }
    return undefined
  }

  /** MSI-X, its table at a guest-physical address: enabled with all masked, every entry in use programmed, then unmasked together. */
  *#startMsix(
    slot: number,
    capability: number,
    table: number,
    apicId: number,
  ): Software<Pick<GuestDevice, 'messages' | 'firstVector' | 'vectors'>> {
    const { TABLE_SIZE, ENABLE, FUNCTION_MASK } = MSI_X.CONTROL.f
    const control = yield* this.#config.read(slot, capability)
    const { firstVector, vectors } = this.#takeVectors(((control & TABLE_SIZE.mask) >>> TABLE_SIZE.shift) + 1)
    if (vectors === 0) return { firstVector: 0, vectors: 0 }
    const upper = capability + 2
    yield* this.#config.write16(slot, upper, (ENABLE.mask | FUNCTION_MASK.mask) >>> 16)
    for (let i = 0; i < vectors; i++) {
      const entry = table + i * MSI_X_ENTRY.SIZE
      yield* this.#store(entry + MSI_X_ENTRY.ADDRESS, compatibilityAddress(apicId))
      yield* this.#store(entry + MSI_X_ENTRY.ADDRESS_UPPER, 0)
      yield* this.#store(entry + MSI_X_ENTRY.DATA, firstVector + i)
      yield* this.#store(entry + MSI_X_ENTRY.CONTROL, 0)
    }
    yield* this.#config.write16(slot, upper, ENABLE.mask >>> 16)
    return { messages: capability, firstVector, vectors }
  }

  /** As many vectors as are asked for and free together, at most {@link MOST_VECTORS}. */
  #takeVectors(wanted: number): { firstVector: number; vectors: number } {
    for (let vectors = Math.min(wanted, MOST_VECTORS); vectors > 0; vectors--) {
      const firstVector = this.#vectors.allocate(vectors)
      if (firstVector >= 0) return { firstVector, vectors }
    }
    return { firstVector: 0, vectors: 0 }
  }

  /** MSI: a power of two of vectors, aligned, because the function replaces the low bits of the data. */
  *#startMsi(
    slot: number,
    capability: number,
    apicId: number,
  ): Software<Pick<GuestDevice, 'messages' | 'firstVector' | 'vectors'>> {
    const { MMC, MME, ENABLE, C64 } = MSI.CONTROL.f
    const control = yield* this.#config.read(slot, capability)
    let exponent = (control & MMC.mask) >>> MMC.shift
    let firstVector = this.#vectors.allocate(1 << exponent, 1 << exponent)
    while (firstVector < 0 && exponent > 0) {
      exponent--
      firstVector = this.#vectors.allocate(1 << exponent, 1 << exponent)
    }
    if (firstVector < 0) return { firstVector: 0, vectors: 0 }
    const { data, mask } = msiLayout(control)
    yield* this.#config.write(slot, capability + MSI.ADDRESS.offset, compatibilityAddress(apicId))
    if (control & C64.mask) yield* this.#config.write(slot, capability + MSI.ADDRESS_UPPER.offset, 0)
    yield* this.#config.write16(slot, capability + data, firstVector)
    if (mask !== undefined) yield* this.#config.write(slot, capability + mask, 0)
    const enable = (ENABLE.mask | (exponent << MME.shift)) >>> 16
    yield* this.#config.write16(slot, capability + 2, enable)
    return { messages: capability, firstVector, vectors: 1 << exponent }
  }

  *#store(address: number, value: number): Software {
    yield* this.#port.execute({ op: 'write', address, width: 4, value: [value, 0] })
  }

  save(): Saved {
    return {
      version: 2,
      window32: this.#window32.save(),
      window64: this.#window64.save(),
      vectors: this.#vectors.save(),
      devices: this.#devices.map(device => ({ ...device, bars: device.bars.map(bar => ({ ...bar })) })),
    }
  }

  load(saved: Saved): void {
    const state = opened<{
      window32: Saved
      window64: Saved
      vectors: Saved
      devices: readonly GuestDevice[]
    }>(saved, 'the PCI driver of a guest', 2)
    this.#window32.load(state.window32)
    this.#window64.load(state.window64)
    this.#vectors.load(state.vectors)
    this.#devices = state.devices.map(device => ({ ...device, bars: device.bars.map(bar => ({ ...bar })) }))
  }
}

/** The lowest address bit that a BAR holds, as a number: its size. `mask` has the read-back of both halves. */
function sizeOf(mask: number): number {
  const low = (mask % TWO_32) >>> 0
  if (low !== 0) return (low & -low) >>> 0
  const high = Math.floor(mask / TWO_32)
  return ((high & -high) >>> 0) * TWO_32
}
