/**
 * A tiny guest kernel, one instance per virtual processor: it brings up its local APIC, runs every function on the
 * virtual bus (on virtual processor 0), counts interrupts in guest memory, and otherwise sleeps.
 */
import { NorthbridgeError, opened, type Saved } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import {
  EJECTION_STATUS,
  ERROR_EVENT_VECTOR,
  ERROR_PORT,
  INTERRUPT_COUNTS_BASE,
  INTERRUPT_COUNTS_SIZE,
  SLOT_EVENT_VECTOR,
  SLOT_PORT,
  SLOTS,
  TURN_COUNTS_BASE,
} from '../hypervisor/formats/virtual-board.ts'
import type { Operation } from '../vmx/formats/operations.ts'
import { ConfigAccess } from './config-access.ts'
import type { DriverEntry, DriverOptions, GuestDriver } from './driver.ts'
import { DRIVER_MEMORY, Drivers } from './drivers.ts'
import { FreeMemory } from './free-memory.ts'
import { GuestAccess } from './guest-access.ts'
import type { GuestPort } from './guest-port.ts'
import { LocalApicDriver } from './local-apic.ts'
import { VirtioBalloonDriver } from './memory/virtio-balloon.ts'
import { FailoverTeam } from './net/failover-team.ts'
import { isNetworkDriver } from './net/network-driver.ts'
import { type GuestDevice, PciDriver } from './pci-driver.ts'
import { REMAPPING_FAULT_VECTOR, RemappingDriver } from './remapping/remapping-driver.ts'

/** Pages that the kernel and its drivers use. */
const KERNEL_PAGES = (DRIVER_MEMORY.base + DRIVER_MEMORY.size) / 4096

/** Vectors below are exceptions: their handlers signal no EOI. */
const FIRST_INTERRUPT_VECTOR = 32

const IRET_ENABLED: Operation = { op: 'iret', interruptFlag: true }
const IRET_DISABLED: Operation = { op: 'iret', interruptFlag: false }

/** Guest-physical address of the dword that counts a vector. */
export const interruptCountAddress = (vcpu: number, vector: number): number =>
  INTERRUPT_COUNTS_BASE + vcpu * INTERRUPT_COUNTS_SIZE + vector * 4

export class GuestKernel {
  readonly #port: GuestPort
  readonly #vcpu: number
  readonly #apic: LocalApicDriver
  readonly #pci: PciDriver
  readonly #drivers: Drivers
  /** What is left of its memory. */
  readonly #freeMemory: FreeMemory
  /** Slots whose function a program has open: the kernel keeps them when it is asked for them. */
  readonly #held = new Set<number>()
  #remapping: RemappingDriver | undefined
  /** Loads and stores of its code. */
  readonly access: GuestAccess

  constructor(port: GuestPort, vcpu: number, drivers: readonly DriverEntry[] = []) {
    this.#port = port
    this.#vcpu = vcpu
    this.#apic = new LocalApicDriver(port)
    this.#pci = new PciDriver(port)
    this.access = new GuestAccess(port)
    this.#freeMemory = new FreeMemory(port, KERNEL_PAGES)
    this.#drivers = new Drivers(this.access, new ConfigAccess(port), drivers, this.#freeMemory)
  }

  /** The driver of the remapping unit, while it is in use. */
  get remapping(): RemappingDriver | undefined {
    return this.#remapping
  }

  /** Has the remapping unit of the board translate. Throws `alreadyDone`, `notFound` if there is none, `unsupported`. */
  *startRemapping(): Software<RemappingDriver> {
    if (this.#remapping !== undefined)
      throw new NorthbridgeError('alreadyDone', 'the guest’s remapping unit is in use')
    this.#remapping = yield* RemappingDriver.start(this.access, this.#apic.id)
    return this.#remapping
  }

  /** Lets the remapping unit be. */
  *stopRemapping(): Software {
    yield* this.#remapping?.stop() ?? []
    this.#remapping = undefined
  }

  /** Functions that the kernel found. */
  get devices(): readonly GuestDevice[] {
    return this.#pci.devices
  }

  /** The driver of the function in a slot, once it was opened. */
  driver(slot: number): GuestDriver | undefined {
    return this.#drivers.of(slot)
  }

  /** Its devices with an address: one may stand in for another. */
  team(mac: Uint8Array): FailoverTeam {
    const drivers = this.#drivers.all.filter(driver => isNetworkDriver(driver))
    return new FailoverTeam(drivers.filter(driver => driver.mac.every((byte, i) => byte === mac[i])))
  }

  /** Starts the driver of the function in a slot. Throws `notFound`, `alreadyDone`, `outOfMemory`. */
  *open(slot: number, options: DriverOptions = {}): Software<GuestDriver> {
    const device = this.devices.find(candidate => candidate.slot === slot)
    if (device === undefined) {
      throw new NorthbridgeError('notFound', `the guest found no function in slot ${slot}`)
    }
    return yield* this.#drivers.start(device, options)
  }

  /** A program opens the function in a slot, or closes it: meanwhile the kernel does not let go of it. Throws `notFound`. */
  hold(slot: number, open: boolean): void {
    if (!this.devices.some(device => device.slot === slot))
      throw new NorthbridgeError('notFound', `the guest found no function in slot ${slot}`)
    if (open) this.#held.add(slot)
    else this.#held.delete(slot)
  }

  /** Stops the driver of the function in a slot, if it was started. */
  *close(slot: number): Software {
    yield* this.#drivers.stop(slot)
  }

  /** The first code; the idle loop follows. */
  *start(): Software {
    yield* this.#apic.enable()
    if (this.#vcpu === 0) {
      for (let slot = 1; slot < SLOTS; slot++) yield* this.#pci.start(slot, this.#apic.id)
    }
    yield* this.#port.execute({ op: 'sti' })
  }

  /** The handler of every vector. `interruptFlag` is RFLAGS.IF of the code that was interrupted. */
  *interrupt(vector: number, interruptFlag: boolean): Software {
    yield* this.#count(vector)
    if (vector === SLOT_EVENT_VECTOR) yield* this.#slotEvent()
    else if (vector === REMAPPING_FAULT_VECTOR && this.#remapping !== undefined)
      yield* this.#remapping.interrupt()
    else if (vector === ERROR_EVENT_VECTOR) yield* this.#errorEvent()
    else yield* this.#drivers.interrupt(vector)
    if (vector >= FIRST_INTERRUPT_VECTOR) yield* this.#apic.endOfInterrupt()
    yield* this.#port.execute(interruptFlag ? IRET_ENABLED : IRET_DISABLED)
  }

  /** A program computes: it counts its turns where everybody can see them. */
  *compute(): Software {
    const address = TURN_COUNTS_BASE + this.#vcpu * 8
    yield* this.access.write32(address, (yield* this.access.read32(address)) + 1)
  }

  *#count(vector: number): Software {
    const address = interruptCountAddress(this.#vcpu, vector)
    const { access } = this
    let count = access.peek32(address)
    if (count < 0) count = yield* access.read32(address)
    if (!access.poke32(address, count + 1)) yield* access.write32(address, count + 1)
  }

  /** Stops and ejects what is to be removed; follows what has changed. */
  *#slotEvent(): Software {
    let ejecting = 0
    for (const slot of slotsOf(yield* this.#in(SLOT_PORT.removing))) {
      if (this.#held.has(slot)) {
        yield* this.#out(SLOT_PORT.status, slot | (EJECTION_STATUS.inUse << 8))
      } else {
        yield* this.#leave(slot)
        ejecting |= 1 << slot
      }
    }
    if (ejecting !== 0) yield* this.#out(SLOT_PORT.eject, ejecting >>> 0)
    for (const slot of slotsOf(yield* this.#in(SLOT_PORT.changed))) {
      this.#held.delete(slot)
      yield* this.#leave(slot)
      yield* this.#pci.start(slot, this.#apic.id)
      const device = this.devices.find(candidate => candidate.slot === slot)
      if (device !== undefined && this.#drivers.startsItself(device)) yield* this.#restart(device, {})
    }
  }

  /** A program uses memory below the page behind so many pages: a balloon gives back what is needed of that. */
  *useMemory(pages: number): Software {
    this.#freeMemory.use(pages)
    for (const driver of this.#drivers.all) {
      if (driver instanceof VirtioBalloonDriver) yield* driver.makeRoom(pages)
    }
  }

  /** Programs have ended: what lies behind so many pages is the kernel's again, with what they left there. */
  releaseMemory(pages: number): void {
    this.#freeMemory.release(pages)
  }

  /**
   * A function that had an error and was reset is started anew, and its driver with what it was started with. What it
   * had under way is lost. Errors that it survived are for its driver to notice.
   */
  *#errorEvent(): Software {
    yield* this.#in(ERROR_PORT.reported)
    for (const slot of slotsOf(yield* this.#in(ERROR_PORT.reset))) {
      const options = this.#drivers.optionsOf(slot)
      yield* this.#stop(slot)
      yield* this.#pci.start(slot, this.#apic.id)
      const device = this.devices.find(candidate => candidate.slot === slot)
      if (options !== undefined && device !== undefined) yield* this.#restart(device, options)
    }
  }

  /** A driver that does not come up again leaves its function without one. */
  *#restart(device: GuestDevice, options: DriverOptions): Software {
    try {
      yield* this.#drivers.start(device, options)
    } catch (error) {
      if (!(error instanceof NorthbridgeError)) throw error
    }
  }

  *#in(port: number): Software<number> {
    return (yield* this.#port.execute({ op: 'in', port, width: 4 })).low
  }

  *#out(port: number, value: number): Software {
    yield* this.#port.execute({ op: 'out', port, width: 4, value })
  }

  /** What was in a slot leaves it: its I/O addresses, too. */
  *#leave(slot: number): Software {
    yield* this.#stop(slot)
    yield* this.#remapping?.release(slot) ?? []
  }

  *#stop(slot: number): Software {
    yield* this.#drivers.stop(slot)
    yield* this.#pci.stop(slot)
  }

  save(): Saved {
    return {
      version: 3,
      vcpu: this.#vcpu,
      apic: this.#apic.save(),
      pci: this.#pci.save(),
      drivers: this.#drivers.save(),
      held: [...this.#held].sort((a, b) => a - b),
      freeMemory: this.#freeMemory.save(),
      remapping: this.#remapping?.save() ?? null,
    }
  }

  load(saved: Saved): void {
    const state = opened<{
      apic: Saved
      pci: Saved
      drivers: Saved
      held: readonly number[]
      freeMemory: Saved
      remapping: Saved
    }>(saved, 'a guest kernel', 3)
    this.#freeMemory.load(state.freeMemory)
    if (state.remapping !== null) this.#remapping = RemappingDriver.restore(this.access, state.remapping)
    this.#apic.load(state.apic)
    this.#pci.load(state.pci)
    this.#drivers.load(state.drivers, this.devices)
    for (const slot of state.held) this.#held.add(slot)
  }
}

const slotsOf = (bits: number): number[] =>
  Array.from({ length: SLOTS }, (_, slot) => slot).filter(slot => (bits >>> slot) & 1)

/** What a virtual machine runs: a kernel for each virtual processor, with the drivers it knows. */
export const guestKernelWith = (drivers: readonly DriverEntry[]) => () => (port: GuestPort, vcpu: number) =>
  new GuestKernel(port, vcpu, drivers)
