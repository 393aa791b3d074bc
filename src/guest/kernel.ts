/**
 * A tiny guest kernel, one instance per virtual processor: it brings up its local APIC, runs every function on the
 * virtual bus (on virtual processor 0), counts interrupts in guest memory, and otherwise sleeps.
 */
import { NorthbridgeError, opened, type Saved } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import {
  INTERRUPT_COUNTS_BASE,
  INTERRUPT_COUNTS_SIZE,
  SLOT_EVENT_VECTOR,
  SLOT_PORT,
  SLOTS,
} from '../hypervisor/formats/virtual-board.ts'
import type { Operation } from '../vmx/formats/operations.ts'
import { ConfigAccess } from './config-access.ts'
import type { DriverEntry, DriverOptions, GuestDriver } from './driver.ts'
import { Drivers } from './drivers.ts'
import { GuestAccess } from './guest-access.ts'
import type { GuestPort } from './guest-port.ts'
import { LocalApicDriver } from './local-apic.ts'
import { type GuestDevice, PciDriver } from './pci-driver.ts'

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
  /** Loads and stores of its code. */
  readonly access: GuestAccess

  constructor(port: GuestPort, vcpu: number, drivers: readonly DriverEntry[] = []) {
    this.#port = port
    this.#vcpu = vcpu
    this.#apic = new LocalApicDriver(port)
    this.#pci = new PciDriver(port)
    this.access = new GuestAccess(port)
    this.#drivers = new Drivers(this.access, new ConfigAccess(port), drivers)
  }

  /** Functions that the kernel found. */
  get devices(): readonly GuestDevice[] {
    return this.#pci.devices
  }

  /** The driver of the function in a slot, once it was opened. */
  driver(slot: number): GuestDriver | undefined {
    return this.#drivers.of(slot)
  }

  /** Starts the driver of the function in a slot. Throws `notFound`, `alreadyDone`, `outOfMemory`. */
  *open(slot: number, options: DriverOptions = {}): Software<GuestDriver> {
    const device = this.devices.find(candidate => candidate.slot === slot)
    if (device === undefined) {
      throw new NorthbridgeError('notFound', `the guest found no function in slot ${slot}`)
    }
    return yield* this.#drivers.start(device, options)
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
    else yield* this.#drivers.interrupt(vector)
    if (vector >= FIRST_INTERRUPT_VECTOR) yield* this.#apic.endOfInterrupt()
    yield* this.#port.execute(interruptFlag ? IRET_ENABLED : IRET_DISABLED)
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
    const removing = (yield* this.#port.execute({ op: 'in', port: SLOT_PORT.removing, width: 4 })).low
    for (const slot of slotsOf(removing)) yield* this.#stop(slot)
    if (removing !== 0) {
      yield* this.#port.execute({ op: 'out', port: SLOT_PORT.eject, width: 4, value: removing })
    }
    const changed = (yield* this.#port.execute({ op: 'in', port: SLOT_PORT.changed, width: 4 })).low
    for (const slot of slotsOf(changed)) {
      yield* this.#stop(slot)
      yield* this.#pci.start(slot, this.#apic.id)
    }
  }

  *#stop(slot: number): Software {
    yield* this.#drivers.stop(slot)
    yield* this.#pci.stop(slot)
  }

  save(): Saved {
    return {
      version: 2,
      vcpu: this.#vcpu,
      apic: this.#apic.save(),
      pci: this.#pci.save(),
      drivers: this.#drivers.save(),
    }
  }

  load(saved: Saved): void {
    const state = opened<{ apic: Saved; pci: Saved; drivers: Saved }>(saved, 'a guest kernel', 2)
    this.#apic.load(state.apic)
    this.#pci.load(state.pci)
    this.#drivers.load(state.drivers, this.devices)
  }
}

const slotsOf = (bits: number): number[] =>
  Array.from({ length: SLOTS }, (_, slot) => slot).filter(slot => (bits >>> slot) & 1)

/** What a virtual machine runs: a kernel for each virtual processor, with the drivers it knows. */
export const guestKernelWith = (drivers: readonly DriverEntry[]) => () => (port: GuestPort, vcpu: number) =>
  new GuestKernel(port, vcpu, drivers)
