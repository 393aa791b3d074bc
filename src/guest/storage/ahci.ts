/** The guest's driver of an AHCI controller with a disk on port 0: Serial ATA AHCI 1.3.1, §10.1 "Platform Communication". */
import { NorthbridgeError, type Saved } from '../../core/index.ts'
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
import type { BlockDriver } from './block-driver.ts'

const BUFFER_SIZE = 64 * 1024
/** Command list, received FISes and the table of slot 0 share two pages. */
const MEMORY = 0x2000
const RECEIVED_AT = 0x400
const TABLE_AT = 0x1000
const TWO_32 = 2 ** 32
const SLOT = 1
/** Dwords of a register FIS. */
const FIS_DWORDS = FIS.size / 4
const ENABLED = PORT_INTERRUPT.deviceToHost | PORT_INTERRUPT.taskFileError | PORT_INTERRUPT.hostBusFatal
const FAILED = PORT_INTERRUPT.taskFileError | PORT_INTERRUPT.hostBusFatal

export class AhciDriver implements BlockDriver {
  readonly name = 'ahci'
  readonly mostSectors = BUFFER_SIZE / SECTOR_SIZE
  readonly buffer: number
  #sectors = 0
  readonly #context: DriverContext
  readonly #registers: number
  readonly #memory: number
  /** What the handler found in PxIS since the command was issued. */
  #seen = 0
  #interrupts = 0

  private constructor(context: DriverContext, registers: number, memory: number, buffer: number) {
    this.#context = context
    this.#registers = registers
    this.#memory = memory
    this.buffer = buffer
  }

  /** Throws `unsupported` without registers or without a disk. */
  static *start(context: DriverContext): Software<AhciDriver> {
    const { access, allocate, device } = context
    const registers = device.bars.find(({ index }) => index === ABAR)?.base
    if (registers === undefined) throw unsupported('its registers have no address')
    const memory = yield* allocate(MEMORY)
    const driver = new AhciDriver(context, registers, memory, yield* allocate(BUFFER_SIZE))
    yield* access.write32(registers + HBA.control, CONTROL.reset)
    if (((yield* driver.#read(PORT_REGISTER.status)) & 0xf) !== (LINK_UP & 0xf))
      throw unsupported('no disk answers')
    yield* driver.#write(PORT_REGISTER.commandList, memory % TWO_32)
    yield* driver.#write(PORT_REGISTER.commandListUpper, Math.floor(memory / TWO_32))
    yield* driver.#write(PORT_REGISTER.receivedFis, (memory + RECEIVED_AT) % TWO_32)
    yield* driver.#write(PORT_REGISTER.receivedFisUpper, Math.floor((memory + RECEIVED_AT) / TWO_32))
    yield* driver.#write(PORT_REGISTER.interruptEnable, ENABLED)
    yield* driver.#startPort()
    yield* access.write32(registers + HBA.control, (CONTROL.ahci | CONTROL.interrupts) >>> 0)
    if (!(yield* driver.#execute(ATA.identify, false, 0, 0, driver.buffer, SECTOR_SIZE))) {
      throw unsupported('the disk does not identify itself')
    }
    const words = driver.buffer + ATA_IDENTITY.sectors48 * 2
    driver.#sectors = (yield* access.read32(words + 4)) * TWO_32 + (yield* access.read32(words))
    return driver
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

  *transfer(write: boolean, sector: number, count: number, address = this.buffer): Software<boolean> {
    const command = write ? ATA.writeDmaExt : ATA.readDmaExt
    return yield* this.#execute(command, write, sector, count, address, count * SECTOR_SIZE)
  }

  *flush(): Software<boolean> {
    return yield* this.#execute(ATA.flushCacheExt, false, 0, 0, 0, 0)
  }

  /** Slot 0: header, FIS, one region; then PxCI, and the handler tells how it ended. */
  *#execute(
    command: number,
    write: boolean,
    sector: number,
    count: number,
    address: number,
    length: number,
  ): Software<boolean> {
    const { access } = this.#context
    const table = this.#memory + TABLE_AT
    const regions = length > 0 ? 1 : 0
    const flags = FIS_DWORDS | (write ? HEADER.write : 0) | (regions << HEADER.entries)
    yield* access.write64(this.#memory, flags, 0)
    yield* access.write64(this.#memory + HEADER.table, table % TWO_32, Math.floor(table / TWO_32))
    const low = sector % 0x100_0000
    const high = Math.floor(sector / 0x100_0000)
    yield* access.write64(table, FIS.hostToDevice | (FIS.command << 8) | (command << 16), low | (0x40 << 24))
    yield* access.write64(table + 8, high, count & 0xffff)
    if (regions > 0) {
      const region = table + COMMAND_TABLE.regions
      yield* access.write64(region, address % TWO_32, Math.floor(address / TWO_32))
      yield* access.write64(region + 8, 0, length - 1)
    }
    this.#seen = 0
    yield* this.#write(PORT_REGISTER.issue, SLOT)
    const issued = yield* this.#read(PORT_REGISTER.issue)
    if ((issued & SLOT) === 0 && (this.#seen & FAILED) === 0) return true
    // "Software Error Recovery": the port is stopped, its status cleared, and started again.
    yield* this.#write(PORT_REGISTER.command, PORT_COMMAND.receiveFis)
    yield* this.#write(PORT_REGISTER.interruptStatus, 0xffff_ffff)
    yield* this.#startPort()
    return false
  }

  /** What is pending is read and cleared, port first: four register accesses, four exits. */
  *interrupt(_index: number): Software {
    const { access } = this.#context
    const pending = yield* access.read32(this.#registers + HBA.interrupts)
    if (pending === 0) return
    this.#interrupts++
    const status = yield* this.#read(PORT_REGISTER.interruptStatus)
    this.#seen |= status
    yield* this.#write(PORT_REGISTER.interruptStatus, status)
    yield* access.write32(this.#registers + HBA.interrupts, pending)
  }

  get interrupts(): number {
    return this.#interrupts
  }

  *stop(): Software {
    yield* this.#write(PORT_REGISTER.command, 0)
  }

  save(): Saved {
    return { version: 1, memory: this.#memory, sectors: this.#sectors, interrupts: this.#interrupts }
  }
}

const unsupported = (why: string): NorthbridgeError =>
  new NorthbridgeError('unsupported', `the guest cannot use the AHCI controller: ${why}`)

export const ahci: DriverEntry = {
  name: 'ahci',
  ids: [[AHCI_IDENTITY.vendorId, AHCI_IDENTITY.deviceId]],
  start: AhciDriver.start,
}
