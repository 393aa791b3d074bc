/** The guest's driver of an AHCI controller with a disk on port 0: Serial ATA AHCI 1.3.1, §10.1 "Platform Communication". */
import { NorthbridgeError, opened, type Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import {
  ABAR,
  AHCI_IDENTITY,
  ATA,
  ATA_IDENTITY,
  COMMAND_TABLE,
  CONTROL,
  FIS,
  HBA,
  HEADER,
  LINK_UP,
  PORT,
  PORT_COMMAND,
  PORT_INTERRUPT,
  PORT_REGISTER,
} from '../../hypervisor/formats/ahci.ts'
import { SECTOR_SIZE } from '../../hypervisor/formats/virtio.ts'
import type { DriverContext, DriverEntry } from '../driver.ts'
import type { BlockCommand } from './block-driver.ts'
import { BUFFER_SIZE, QueuedDriver, type SavedQueuedDriver } from './queued-driver.ts'

/** Command list, received FISes, then the command tables by slot. */
const MEMORY = 0x4000
const RECEIVED_AT = 0x400
const TABLES_AT = 0x1000
const TABLE_SIZE = 0x100
const TWO_32 = 2 ** 32
const TWO_24 = 2 ** 24
/** Dwords of a register FIS. */
const FIS_DWORDS = FIS.size / 4
/** Device field of commands with 48-bit addresses. */
const LBA = 0x40
const ENABLED = PORT_INTERRUPT.deviceToHost | PORT_INTERRUPT.taskFileError | PORT_INTERRUPT.hostBusFatal
const FAILED = PORT_INTERRUPT.taskFileError | PORT_INTERRUPT.hostBusFatal
const COMMANDS = { read: ATA.readDmaExt, write: ATA.writeDmaExt, flush: ATA.flushCacheExt } as const

type SavedDriver = SavedQueuedDriver & {
  readonly registers: number
  readonly memory: number
  readonly sectors: number
  readonly prepared: number
  readonly seen: number
}

/** What is known once the controller answers. */
interface Place {
  readonly registers: number
  readonly memory: number
  readonly buffer: number
  /** Command slots: a command's tag is the number of its slot. */
  readonly slots: number
}

export class AhciDriver extends QueuedDriver {
  readonly name = 'ahci'
  #sectors = 0
  readonly #context: DriverContext
  readonly #registers: number
  readonly #memory: number
  /** Slots that the controller has not been told of. */
  #prepared = 0
  /** What the handler found in PxIS since it was last looked at. */
  #seen = 0

  private constructor(context: DriverContext, { registers, memory, buffer, slots }: Place) {
    super(slots, buffer)
    this.#context = context
    this.#registers = registers
    this.#memory = memory
  }

  /** Throws `unsupported` without registers or without a disk. */
  static *start(context: DriverContext): Software<AhciDriver> {
    const { access, allocate, device } = context
    const registers = device.bars.find(({ index }) => index === ABAR)?.base
    if (registers === undefined) throw unsupported('its registers have no address')
    const memory = yield* allocate(MEMORY)
    const buffer = yield* allocate(BUFFER_SIZE)
    yield* access.write32(registers + HBA.control, CONTROL.reset)
    const slots = (((yield* access.read32(registers + HBA.capabilities)) >>> 8) & 0x1f) + 1
    const driver = new AhciDriver(context, { registers, memory, buffer, slots })
    if (((yield* driver.#read(PORT_REGISTER.status)) & 0xf) !== (LINK_UP & 0xf))
      throw unsupported('no disk answers')
    yield* driver.#write(PORT_REGISTER.commandList, memory % TWO_32)
    yield* driver.#write(PORT_REGISTER.commandListUpper, Math.floor(memory / TWO_32))
    yield* driver.#write(PORT_REGISTER.receivedFis, (memory + RECEIVED_AT) % TWO_32)
    yield* driver.#write(PORT_REGISTER.receivedFisUpper, Math.floor((memory + RECEIVED_AT) / TWO_32))
    yield* driver.#write(PORT_REGISTER.interruptEnable, ENABLED)
    yield* driver.#startPort()
    yield* access.write32(registers + HBA.control, (CONTROL.ahci | CONTROL.interrupts) >>> 0)
    yield* driver.#identify()
    return driver
  }

  *#identify(): Software {
    const { access } = this.#context
    yield* this.#compose(0, ATA.identify, false, 0, 0, this.buffer, SECTOR_SIZE)
    yield* this.#write(PORT_REGISTER.issue, 1)
    const issued = yield* this.#read(PORT_REGISTER.issue)
    if (issued !== 0 || this.#takeSeen() & FAILED) throw unsupported('the disk does not identify itself')
    const words = this.buffer + ATA_IDENTITY.sectors48 * 2
    this.#sectors = (yield* access.read32(words + 4)) * TWO_32 + (yield* access.read32(words))
  }

  get sectors(): number {
    return this.#sectors
  }

  *#read(register: number): Software<number> {
    return yield* this.#context.access.read32(this.#registers + PORT + register)
  }

  *#write(register: number, value: number): Software {
    yield* this.#context.access.write32(this.#registers + PORT + register, value)
  }

  *#startPort(): Software {
    yield* this.#write(PORT_REGISTER.command, PORT_COMMAND.receiveFis)
    yield* this.#write(PORT_REGISTER.command, PORT_COMMAND.receiveFis | PORT_COMMAND.start)
  }

  protected *describe(tag: number, { kind, sector, count, address }: BlockCommand): Software {
    yield* this.#compose(tag, COMMANDS[kind], kind === 'write', sector, count, address, count * SECTOR_SIZE)
    this.#prepared |= 1 << tag
  }

  /** A command in a slot: header, FIS, and one region if there is data. */
  *#compose(
    slot: number,
    command: number,
    write: boolean,
    sector: number,
    count: number,
    address: number,
    length: number,
  ): Software {
    const { access } = this.#context
    const header = this.#memory + slot * HEADER.size
    const table = this.#memory + TABLES_AT + slot * TABLE_SIZE
    const regions = length > 0 ? 1 : 0
    const flags = FIS_DWORDS | (write ? HEADER.write : 0) | (regions << HEADER.entries)
    yield* access.write64(header, flags, 0)
    yield* access.write64(header + HEADER.table, table % TWO_32, Math.floor(table / TWO_32))
    const low = (sector % TWO_24) | (LBA << 24)
    yield* access.write64(table, FIS.hostToDevice | (FIS.command << 8) | (command << 16), low)
    yield* access.write64(table + 8, Math.floor(sector / TWO_24), count & 0xffff)
    if (regions === 0) return
    const region = table + COMMAND_TABLE.regions
    yield* access.write64(region, address % TWO_32, Math.floor(address / TWO_32))
    yield* access.write64(region + 8, 0, length - 1)
  }

  *commit(): Software {
    const slots = this.#prepared >>> 0
    this.#prepared = 0
    yield* this.#issue(slots)
  }

  *#issue(slots: number): Software {
    this.doorbells++
    yield* this.#write(PORT_REGISTER.issue, slots)
  }

  /** Slots that PxCI does not show any more are done. */
  *reap(): Software {
    const issued = yield* this.#read(PORT_REGISTER.issue)
    const failed = (this.#takeSeen() & FAILED) !== 0
    for (let slot = 0; slot < this.depth; slot++) {
      if (((issued | this.#prepared) >>> slot) & 1) continue
      this.tags.end(slot, true)
    }
    if (failed) yield* this.#recover(issued)
  }

  /**
   * "Software Error Recovery", "Non-Queued Error Recovery": the slot that PxCMD names has failed; the port is stopped,
   * its status cleared, and started again, and what it had not come to is issued once more.
   */
  *#recover(issued: number): Software {
    const current = ((yield* this.#read(PORT_REGISTER.command)) >>> PORT_COMMAND.currentSlot) & 0x1f
    yield* this.#write(PORT_REGISTER.command, PORT_COMMAND.receiveFis)
    yield* this.#write(PORT_REGISTER.interruptStatus, 0xffff_ffff)
    yield* this.#startPort()
    this.tags.end(current, false)
    const rest = (issued & ~(1 << current)) >>> 0
    if (rest !== 0) yield* this.#issue(rest)
  }

  #takeSeen(): number {
    const seen = this.#seen
    this.#seen = 0
    return seen
  }

  /** What is pending is read and cleared, port first: four register accesses, four exits. */
  *interrupt(_index: number): Software {
    const { access } = this.#context
    const pending = yield* access.read32(this.#registers + HBA.interrupts)
    if (pending === 0) return
    this.interrupts++
    const status = yield* this.#read(PORT_REGISTER.interruptStatus)
    this.#seen |= status
    yield* this.#write(PORT_REGISTER.interruptStatus, status)
    yield* access.write32(this.#registers + HBA.interrupts, pending)
  }

  *stop(): Software {
    yield* this.#write(PORT_REGISTER.command, 0)
  }

  override save(): SavedDriver {
    return {
      ...super.save(),
      registers: this.#registers,
      memory: this.#memory,
      sectors: this.#sectors,
      prepared: this.#prepared >>> 0,
      seen: this.#seen >>> 0,
    }
  }

  static restore(context: DriverContext, saved: Saved): AhciDriver {
    const state = opened<SavedDriver>(saved, 'the ahci driver of a guest', 1)
    const { registers, memory, buffer, depth } = state
    const driver = new AhciDriver(context, { registers, memory, buffer, slots: depth })
    driver.#sectors = state.sectors
    driver.#prepared = state.prepared
    driver.#seen = state.seen
    driver.load(state)
    return driver
  }
}

const unsupported = (why: string): NorthbridgeError =>
  new NorthbridgeError('unsupported', `the guest cannot use the AHCI controller: ${why}`)

export const ahci: DriverEntry = {
  name: 'ahci',
  classCode: AHCI_IDENTITY.classCode,
  start: AhciDriver.start,
  restore: AhciDriver.restore,
}
