/** The drivers that a guest kernel has started, by the slot of their function, and the memory that they share out. */
import { assert, NorthbridgeError, opened, type Saved } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import { CLASS } from '../pcie/formats/index.ts'
import type { ConfigAccess } from './config-access.ts'
import type { DriverContext, DriverEntry, DriverOptions, GuestDriver } from './driver.ts'
import type { FreeMemory } from './free-memory.ts'
import type { GuestAccess } from './guest-access.ts'
import type { GuestDevice } from './pci-driver.ts'
import { AddressWindow } from './resources.ts'

/** Guest memory for rings and buffers: every machine has it, whatever its size. */
export const DRIVER_MEMORY = { base: 0x10_0000, size: 0x10_0000 } as const
const PAGE = 4096

interface Started {
  readonly device: GuestDevice
  readonly driver: GuestDriver
  readonly options: DriverOptions
  /** Addresses of memory taken. */
  readonly memory: readonly number[]
}

type SavedDrivers = {
  readonly version: 2
  readonly memory: Saved
  readonly drivers: readonly {
    readonly slot: number
    readonly name: string
    readonly memory: readonly number[]
    readonly ringEntries: number | null
    readonly mac: Uint8Array | null
    readonly driver: Saved
  }[]
}

export class Drivers {
  readonly #access: GuestAccess
  readonly #config: ConfigAccess
  readonly #table: readonly DriverEntry[]
  readonly #freeMemory: FreeMemory
  readonly #memory = new AddressWindow(DRIVER_MEMORY)
  #started: readonly Started[] = []

  constructor(
    access: GuestAccess,
    config: ConfigAccess,
    table: readonly DriverEntry[],
    freeMemory: FreeMemory,
  ) {
    this.#access = access
    this.#config = config
    this.#table = table
    this.#freeMemory = freeMemory
  }

  /** The driver of the function in a slot, if one was started. */
  of(slot: number): GuestDriver | undefined {
    return this.#started.find(({ device }) => device.slot === slot)?.driver
  }

  /** What the driver of the function in a slot was started with, if one was. */
  optionsOf(slot: number): DriverOptions | undefined {
    return this.#started.find(({ device }) => device.slot === slot)?.options
  }

  /** Whether the kernel starts the driver of a function as soon as it finds it. */
  startsItself(device: GuestDevice): boolean {
    return this.#byIds(device)?.automatic === true
  }

  /** All that were started. */
  get all(): readonly GuestDriver[] {
    return this.#started.map(({ driver }) => driver)
  }

  /** Starts the driver of a function. Throws `notFound`, `alreadyDone`, `outOfMemory`, and what the driver throws. */
  *start(device: GuestDevice, options: DriverOptions): Software<GuestDriver> {
    if (this.of(device.slot) !== undefined) {
      throw new NorthbridgeError('alreadyDone', `slot ${device.slot} has its driver already`)
    }
    const entry = this.#byIds(device) ?? (yield* this.#byClass(device))
    if (entry === undefined) {
      throw new NorthbridgeError(
        'notFound',
        `the guest has no driver for the function in slot ${device.slot}`,
      )
    }
    const taken: number[] = []
    try {
      const driver = yield* entry.start(this.#contextOf(device, taken), options)
      this.#started = [...this.#started, { device, driver, options, memory: taken }]
      return driver
    } catch (error) {
      for (const address of taken) this.#memory.free(address)
      throw error
    }
  }

  #byIds({ vendorId, deviceId }: GuestDevice): DriverEntry | undefined {
    return this.#table.find(({ ids }) =>
      ids?.some(([vendor, device]) => vendor === vendorId && device === deviceId),
    )
  }

  *#byClass({ slot }: GuestDevice): Software<DriverEntry | undefined> {
    const found = (yield* this.#config.read(slot, CLASS.offset)) >>> 8
    return this.#table.find(({ classCode }) => classCode === found)
  }

  #contextOf(device: GuestDevice, taken: number[]): DriverContext {
    return {
      device,
      access: this.#access,
      readConfig: offset => this.#config.read(device.slot, offset & 0xfc),
      allocate: bytes => this.#allocate(bytes, taken),
      freeMemory: this.#freeMemory,
    }
  }

  *#allocate(bytes: number, taken: number[]): Software<number> {
    // The window hands out powers of two, aligned to themselves.
    const size = Math.max(PAGE, 2 ** Math.ceil(Math.log2(bytes)))
    const address = this.#memory.allocate(size)
    if (address === undefined) {
      throw new NorthbridgeError('outOfMemory', `the guest’s drivers have no ${bytes} bytes left`)
    }
    taken.push(address)
    yield* this.#access.zero(address, size)
    return address
  }

  *stop(slot: number): Software {
    const found = this.#started.find(({ device }) => device.slot === slot)
    if (found === undefined) return
    yield* found.driver.stop()
    for (const address of found.memory) this.#memory.free(address)
    this.#started = this.#started.filter(one => one !== found)
  }

  /** Hands a vector to the driver whose it is. */
  *interrupt(vector: number): Software {
    for (const { device, driver } of this.#started) {
      const index = vector - device.firstVector
      if (index >= 0 && index < device.vectors) yield* driver.interrupt(index)
    }
  }

  save(): SavedDrivers {
    return {
      version: 2,
      memory: this.#memory.save(),
      drivers: this.#started.map(({ device, driver, options, memory }) => ({
        slot: device.slot,
        name: driver.name,
        memory: [...memory],
        ringEntries: options.ringEntries ?? null,
        mac: options.mac?.slice() ?? null,
        driver: driver.save(),
      })),
    }
  }

  /** @param devices those that the PCI driver runs */
  load(saved: Saved, devices: readonly GuestDevice[]): void {
    const state = opened<SavedDrivers>(saved, 'the drivers of a guest', 2)
    this.#memory.load(state.memory)
    this.#started = state.drivers.map(({ slot, name, memory, ringEntries, mac, driver }) => {
      const device = devices.find(candidate => candidate.slot === slot)
      const entry = this.#table.find(candidate => candidate.name === name)
      assert(device !== undefined && entry !== undefined, 'a started driver has its function and its code')
      const taken = [...memory]
      return {
        device,
        driver: entry.restore(this.#contextOf(device, taken), driver),
        options: { ...(ringEntries !== null && { ringEntries }), ...(mac !== null && { mac: mac.slice() }) },
        memory: taken,
      }
    })
  }
}
