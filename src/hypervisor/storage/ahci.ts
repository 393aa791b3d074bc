/**
 * An AHCI controller with one disk, emulated whole: every access to its registers exits. Serial ATA AHCI 1.3.1, one
 * port, no native command queuing; a command is done when PxCI is written.
 */
import { opened, type Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import type { DevicePort, EmulatedDevice } from '../emulated-device.ts'
import {
  ABAR,
  ABAR_SIZE,
  AHCI_IDENTITY,
  AHCI_VERSION,
  CAPABILITIES,
  COMMAND_SLOTS,
  CONTROL,
  DISK_SIGNATURE,
  HBA,
  LINK_UP,
  PORT,
  PORT_COMMAND,
  PORT_INTERRUPT,
  PORT_REGISTER,
} from '../formats/ahci.ts'
import { AtaDisk, type AtaOutcome } from './ata-disk.ts'
import type { CopyingBackend, SavedDiskCounters } from './backend.ts'

const { start, receiveFis, currentSlot, fisRunning, listRunning } = PORT_COMMAND
const TWO_32 = 2 ** 32

type SavedController = {
  readonly version: 1
  readonly control: number
  readonly status: number
  readonly port: Uint32Array
  readonly counters: readonly [reads: number, writes: number, interrupts: number]
  readonly disk: SavedDiskCounters
}

export class AhciController implements EmulatedDevice {
  readonly kind = 'ahci'
  readonly identity = {
    ...AHCI_IDENTITY,
    subsystemVendorId: 0x1af4,
    subsystemId: 0x1100,
    revision: 2,
  }
  readonly bars = [{ index: ABAR, size: ABAR_SIZE, is64: false, prefetchable: false }]
  readonly messages = 'msi'
  readonly disk: AtaDisk
  /** Register accesses since it was plugged in: each was an exit. */
  reads = 0
  writes = 0
  interrupts = 0
  readonly #port = new Uint32Array(PORT_REGISTER.size / 4)
  #control: number = CONTROL.ahci
  #status = 0
  #machine: DevicePort | undefined

  constructor(backend: CopyingBackend) {
    this.disk = new AtaDisk(backend)
    this.#reset()
  }

  connect(port: DevicePort): void {
    this.#machine = port
  }

  disconnect(): void {
    this.#machine = undefined
  }

  #reset(): void {
    this.#control = CONTROL.ahci
    this.#status = 0
    this.#port.fill(0)
    this.#set(PORT_REGISTER.taskFile, 0x50)
    this.#set(PORT_REGISTER.signature, DISK_SIGNATURE)
    this.#set(PORT_REGISTER.status, LINK_UP)
  }

  #get(register: number): number {
    return this.#port[register >>> 2]!
  }

  #set(register: number, value: number): void {
    this.#port[register >>> 2] = value
  }

  readRegister(_bar: number, offset: number): number {
    this.reads++
    switch (offset) {
      case HBA.capabilities:
        return CAPABILITIES
      case HBA.control:
        return this.#control
      case HBA.interrupts:
        return this.#status
      case HBA.ports:
        return 1
      case HBA.version:
        return AHCI_VERSION
    }
    const register = offset - PORT
    return register >= 0 && register < PORT_REGISTER.size ? this.#get(register) : 0
  }

  *writeRegister(_bar: number, offset: number, value: number, lanes: number): Software {
    this.writes++
    const bits = (value & lanes) >>> 0
    switch (offset) {
      case HBA.control:
        if ((bits & CONTROL.reset) !== 0) this.#reset()
        else this.#control = ((bits & CONTROL.interrupts) | CONTROL.ahci) >>> 0
        return
      case HBA.interrupts:
        this.#status &= ~bits
        return
    }
    const register = offset - PORT
    if (register >= 0 && register < PORT_REGISTER.size) yield* this.#writePort(register, bits, lanes)
  }

  *#writePort(register: number, bits: number, lanes: number): Software {
    switch (register) {
      case PORT_REGISTER.interruptStatus:
      case PORT_REGISTER.error:
        // RW1C
        return this.#set(register, this.#get(register) & ~bits)
      case PORT_REGISTER.command:
        return this.#writeCommand(bits)
      case PORT_REGISTER.issue:
        // RW1S, while the port is started.
        if ((this.#get(PORT_REGISTER.command) & start) === 0) return
        this.#set(register, (this.#get(register) | bits) >>> 0)
        return yield* this.#run()
      case PORT_REGISTER.commandList:
        return this.#store(register, bits, lanes & ~0x3ff)
      case PORT_REGISTER.receivedFis:
        return this.#store(register, bits, lanes & ~0xff)
      case PORT_REGISTER.commandListUpper:
      case PORT_REGISTER.receivedFisUpper:
      case PORT_REGISTER.interruptEnable:
      case PORT_REGISTER.control:
        return this.#store(register, bits, lanes)
    }
  }

  #store(register: number, bits: number, lanes: number): void {
    this.#set(register, (this.#get(register) & ~lanes) | (bits & lanes))
  }

  /** "PxCMD": the running bits follow the orders at once; clearing ST clears PxCI and CCS. */
  #writeCommand(bits: number): void {
    let command = bits & (start | receiveFis | 0xe)
    if ((command & start) !== 0) command |= listRunning
    else this.#set(PORT_REGISTER.issue, 0)
    if ((command & receiveFis) !== 0) command |= fisRunning
    this.#set(PORT_REGISTER.command, command)
  }

  /** Serves issued slots, lowest first, until one ends with an error: then the port waits to be started again. */
  *#run(): Software {
    for (let slot = 0; slot < COMMAND_SLOTS; slot++) {
      if (((this.#get(PORT_REGISTER.issue) >>> slot) & 1) === 0) continue
      this.#store(PORT_REGISTER.command, slot << currentSlot, 0x1f << currentSlot)
      const outcome = yield* this.disk.execute(this.#machine!, this.#list, this.#received, slot)
      this.#set(PORT_REGISTER.taskFile, outcome.taskFile)
      const failed = (outcome.interrupts & (PORT_INTERRUPT.taskFileError | PORT_INTERRUPT.hostBusFatal)) !== 0
      if (!failed) this.#set(PORT_REGISTER.issue, this.#get(PORT_REGISTER.issue) & ~(1 << slot))
      this.#raise(outcome)
      if (failed) return
    }
  }

  get #list(): number {
    return this.#get(PORT_REGISTER.commandListUpper) * TWO_32 + this.#get(PORT_REGISTER.commandList)
  }

  /** Where received FISes go; -1 while none are wanted. */
  get #received(): number {
    if ((this.#get(PORT_REGISTER.command) & receiveFis) === 0) return -1
    return this.#get(PORT_REGISTER.receivedFisUpper) * TWO_32 + this.#get(PORT_REGISTER.receivedFis)
  }

  #raise({ interrupts }: AtaOutcome): void {
    const status = (this.#get(PORT_REGISTER.interruptStatus) | interrupts) >>> 0
    this.#set(PORT_REGISTER.interruptStatus, status)
    if ((status & this.#get(PORT_REGISTER.interruptEnable)) === 0) return
    this.#status = 1
    if ((this.#control & CONTROL.interrupts) === 0) return
    this.interrupts++
    this.#machine!.signal(0)
  }

  save(): SavedController {
    return {
      version: 1,
      control: this.#control,
      status: this.#status,
      port: this.#port.slice(),
      counters: [this.reads, this.writes, this.interrupts],
      disk: this.disk.counters.save(),
    }
  }

  load(saved: Saved): void {
    const state = opened<SavedController>(saved, 'an AHCI controller', 1)
    this.#control = state.control
    this.#status = state.status
    this.#port.set(state.port)
    ;[this.reads, this.writes, this.interrupts] = state.counters
    this.disk.counters.load(state.disk)
  }
}
