/** The disk behind the emulated controller: ATA commands from a command table, data by physical regions. */
import type { Software } from '../../engine/index.ts'
import type { DevicePort } from '../emulated-device.ts'
import {
  ATA,
  ATA_ERROR,
  ATA_IDENTITY,
  ATA_STATUS,
  COMMAND_TABLE,
  FIS,
  HEADER,
  PORT_INTERRUPT,
  RECEIVED,
  REGION,
} from '../formats/ahci.ts'
import { SECTOR_SIZE } from '../formats/virtio.ts'
import { type CopyingBackend, DiskCounters } from './backend.ts'

/** How a command ended: PxTFD, and the bits that PxIS gets. */
export interface AtaOutcome {
  readonly taskFile: number
  readonly interrupts: number
}

const BUFFER = 64 * 1024
const TWO_32 = 2 ** 32
const READY = ATA_STATUS.ready | 0x10
const DONE: AtaOutcome = { taskFile: READY, interrupts: PORT_INTERRUPT.deviceToHost }
/** The controller could not reach memory: no status of the disk says that. */
const UNREACHABLE: AtaOutcome = { taskFile: READY, interrupts: PORT_INTERRUPT.hostBusFatal }
const failure = (error: number): AtaOutcome => ({
  taskFile: (error << 8) | ATA_STATUS.ready | ATA_STATUS.error,
  interrupts: PORT_INTERRUPT.taskFileError,
})
const ABORTED = failure(ATA_ERROR.aborted)
const NOT_FOUND = failure(ATA_ERROR.notFound)

export class AtaDisk {
  readonly counters = new DiskCounters()
  readonly #backend: CopyingBackend
  readonly #buffer = new Uint8Array(BUFFER)
  readonly #header = new Structure(HEADER.size)
  readonly #fis = new Structure(FIS.size)
  readonly #region = new Structure(REGION.size)
  readonly #received = new Uint8Array(FIS.size)
  /** The data of the command under way: its table, and the regions in it. */
  #regions = 0
  #entries = 0

  constructor(backend: CopyingBackend) {
    this.#backend = backend
  }

  /** @param list of command headers. @param received where FISes go, -1: nowhere. */
  *execute(port: DevicePort, list: number, received: number, slot: number): Software<AtaOutcome> {
    this.counters.commands++
    const outcome = yield* this.#command(port, list + slot * HEADER.size)
    if (outcome !== DONE) this.counters.errors++
    if (received >= 0 && outcome !== UNREACHABLE) {
      this.#received[0] = FIS.deviceToHost
      this.#received[1] = 0x40
      this.#received[2] = outcome.taskFile
      this.#received[3] = outcome.taskFile >>> 8
      if (!port.write(received + RECEIVED.deviceToHost, this.#received, 0, FIS.size)) return UNREACHABLE
    }
    return outcome
  }

  *#command(port: DevicePort, header: number): Software<AtaOutcome> {
    if (!this.#header.fetch(port, header)) return UNREACHABLE
    const { view } = this.#header
    const table = view.getUint32(HEADER.table + 4, true) * TWO_32 + view.getUint32(HEADER.table, true)
    if (!this.#fis.fetch(port, table + COMMAND_TABLE.fis)) return UNREACHABLE
    const fis = this.#fis.view
    // A register FIS with C set is a command; anything else is not for this disk.
    if (fis.getUint8(0) !== FIS.hostToDevice || (fis.getUint8(1) & FIS.command) === 0) return ABORTED
    this.#regions = table + COMMAND_TABLE.regions
    this.#entries = view.getUint32(0, true) >>> HEADER.entries
    // LBA 23:0 in bytes 4 to 6, 47:24 in bytes 8 to 10.
    const sector = (fis.getUint32(8, true) & 0xff_ffff) * 0x100_0000 + (fis.getUint32(4, true) & 0xff_ffff)
    // "Count" 0 stands for 65,536.
    const count = fis.getUint16(12, true) || 0x1_0000
    const moved = yield* this.#perform(port, fis.getUint8(2), sector, count)
    if (typeof moved !== 'number') return moved
    view.setUint32(HEADER.transferred, moved, true)
    const { bytes } = this.#header
    return port.write(header + HEADER.transferred, bytes, HEADER.transferred, 4) ? DONE : UNREACHABLE
  }

  /** Returns the bytes that were moved, or why not. */
  *#perform(port: DevicePort, command: number, sector: number, count: number): Software<number | AtaOutcome> {
    switch (command) {
      case ATA.identify:
        this.#identify()
        return this.#move(port, true, 0, SECTOR_SIZE) ? SECTOR_SIZE : UNREACHABLE
      case ATA.flushCacheExt:
        return (yield* this.#backend.flush()) ? 0 : ABORTED
      case ATA.readDmaExt:
      case ATA.writeDmaExt:
        if (sector + count > this.#backend.sectors) return NOT_FOUND
        return yield* this.#transfer(port, command === ATA.writeDmaExt, sector, count * SECTOR_SIZE)
      default:
        return ABORTED
    }
  }

  *#transfer(
    port: DevicePort,
    write: boolean,
    sector: number,
    length: number,
  ): Software<number | AtaOutcome> {
    for (let done = 0; done < length; done += BUFFER) {
      const part = Math.min(BUFFER, length - done)
      const at = sector + done / SECTOR_SIZE
      if (!write && !(yield* this.#backend.read(at, this.#buffer, 0, part))) return ABORTED
      if (!this.#move(port, !write, done, part)) return UNREACHABLE
      this.counters.copied(part)
      if (write && !(yield* this.#backend.write(at, this.#buffer, 0, part))) return ABORTED
    }
    return length
  }

  /** Moves bytes `from` to `from + length` of the data that the regions describe. False: too few, or no memory. */
  #move(port: DevicePort, toMemory: boolean, from: number, length: number): boolean {
    const region = this.#region.view
    let skip = from
    let done = 0
    for (let i = 0; i < this.#entries && done < length; i++) {
      if (!this.#region.fetch(port, this.#regions + i * REGION.size)) return false
      const size = (region.getUint32(REGION.count, true) & REGION.countMask) + 1
      if (skip >= size) {
        skip -= size
        continue
      }
      const address = region.getUint32(4, true) * TWO_32 + region.getUint32(0, true) + skip
      const part = Math.min(size - skip, length - done)
      const moved = toMemory
        ? port.write(address, this.#buffer, done, part)
        : port.read(address, this.#buffer, done, part)
      if (!moved) return false
      done += part
      skip = 0
    }
    return done === length
  }

  /** IDENTIFY DEVICE: DMA and LBA, 48-bit addresses, flush. */
  #identify(): void {
    this.#buffer.fill(0, 0, SECTOR_SIZE)
    const view = new DataView(this.#buffer.buffer)
    const model = 'NORTHBRIDGE EMULATED DISK'.padEnd(40)
    // Two characters a word, the first in the high byte.
    for (let i = 0; i < 40; i++) view.setUint8(ATA_IDENTITY.model * 2 + (i ^ 1), model.charCodeAt(i))
    view.setUint16(ATA_IDENTITY.capabilities * 2, 0x0300, true)
    view.setUint16(ATA_IDENTITY.commandSets * 2, 0x6400, true)
    view.setUint32(ATA_IDENTITY.sectors48 * 2, this.#backend.sectors % TWO_32, true)
    view.setUint32(ATA_IDENTITY.sectors48 * 2 + 4, Math.floor(this.#backend.sectors / TWO_32), true)
  }
}

/** A copy of a structure in guest memory, used again for the next. */
class Structure {
  readonly bytes: Uint8Array
  readonly view: DataView

  constructor(size: number) {
    this.bytes = new Uint8Array(size)
    this.view = new DataView(this.bytes.buffer)
  }

  /** False: no memory there. */
  fetch(port: DevicePort, address: number): boolean {
    return port.read(address, this.bytes, 0, this.bytes.length)
  }
}
