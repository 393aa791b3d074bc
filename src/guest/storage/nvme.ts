/** The guest's NVMe driver, for an assigned controller: NVM Express 1.4, §7.6.1 "Initialization". */
import { NorthbridgeError, type Saved } from '../../core/index.ts'
import {
  ACQ,
  ADMIN,
  AQA,
  ASQ,
  CAP,
  CC,
  CNS,
  CQ_ENTRY,
  CSTS,
  encodeCommand,
  FEATURE,
  NAMESPACE,
  NVM,
  NVME_STATUS,
  QUEUE_FLAG,
  SQ_ENTRY,
  SQE,
} from '../../devices/formats/nvme/index.ts'
import type { Software } from '../../engine/index.ts'
import type { DriverContext, DriverEntry, DriverOptions } from '../driver.ts'
import type { BlockDriver } from './block-driver.ts'
import { NvmeQueue } from './nvme-queue.ts'

const PAGE = 4096
const TWO_32 = 2 ** 32
const BUFFER_SIZE = 64 * 1024
const SECTOR = 512
const ADMIN_ENTRIES = 16
const IO_ENTRIES = 64
const IO_QUEUE = 1
const NAMESPACE_ID = 1
const REGISTERS = 0
const ENABLE = CC.f.EN.mask | (SQ_ENTRY.log2 << CC.f.IOSQES.shift) | (CQ_ENTRY.log2 << CC.f.IOCQES.shift)

export class NvmeGuestDriver implements BlockDriver {
  readonly name = 'nvme'
  readonly sectors: number
  readonly mostSectors = BUFFER_SIZE / SECTOR
  readonly buffer: number
  readonly #context: DriverContext
  readonly #registers: number
  readonly #io: NvmeQueue
  readonly #list: number
  #interrupts = 0

  private constructor(
    context: DriverContext,
    registers: number,
    io: NvmeQueue,
    sectors: number,
    buffer: number,
    list: number,
  ) {
    this.#context = context
    this.#registers = registers
    this.#io = io
    this.sectors = sectors
    this.buffer = buffer
    this.#list = list
  }

  /** Throws `unsupported` for a controller that is offline or refuses what the driver needs. */
  static *start(
    context: DriverContext,
    { ringEntries = IO_ENTRIES }: DriverOptions,
  ): Software<NvmeGuestDriver> {
    const { access, allocate, device } = context
    const registers = device.bars.find(({ index }) => index === REGISTERS)?.base
    if (registers === undefined) throw unsupported('its registers have no address')
    yield* access.write32(registers + CC.offset, 0)
    const stride = (yield* access.read32(registers + CAP.offset + 4)) & 15
    const queue = function* (id: number, entries: number): Software<NvmeQueue> {
      const submission = yield* allocate(entries * SQ_ENTRY.size)
      const completion = yield* allocate(entries * CQ_ENTRY.size)
      return new NvmeQueue(access, registers, id, entries, stride, submission, completion)
    }
    const admin = yield* queue(0, ADMIN_ENTRIES)
    yield* access.write32(registers + AQA.offset, ((ADMIN_ENTRIES - 1) << 16) | (ADMIN_ENTRIES - 1))
    yield* access.write64(registers + ASQ.offset, admin.submission, 0)
    yield* access.write64(registers + ACQ.offset, admin.completion, 0)
    yield* access.write32(registers + CC.offset, ENABLE)
    const status = yield* access.read32(registers + CSTS.offset)
    if ((status & CSTS.f.CFS.mask) !== 0) throw unsupported('it reports a fatal error')
    if ((status & CSTS.f.RDY.mask) === 0) throw unsupported('it does not become ready')
    const page = yield* allocate(PAGE)
    const io = yield* queue(IO_QUEUE, ringEntries)
    const vector = device.vectors > 1 ? 1 : 0
    const sizes = ((ringEntries - 1) << 16) | IO_QUEUE
    const interrupts = device.vectors > 0 ? QUEUE_FLAG.interrupts : 0
    yield* command(admin, ADMIN.setFeatures, 0, 0, FEATURE.numberOfQueues, 0)
    yield* command(
      admin,
      ADMIN.createCompletionQueue,
      0,
      io.completion,
      sizes,
      (vector << 16) | interrupts | QUEUE_FLAG.contiguous,
    )
    const attributes = (IO_QUEUE << 16) | QUEUE_FLAG.contiguous
    yield* command(admin, ADMIN.createSubmissionQueue, 0, io.submission, sizes, attributes)
    yield* command(admin, ADMIN.identify, NAMESPACE_ID, page, CNS.namespace, 0)
    const blocks =
      (yield* access.read32(page + NAMESPACE.size + 4)) * TWO_32 +
      (yield* access.read32(page + NAMESPACE.size))
    const format = (yield* access.read8(page + NAMESPACE.format)) & 15
    const shift = yield* access.read8(page + NAMESPACE.formatTable + format * 4 + 2)
    if (2 ** shift !== SECTOR) throw unsupported('its blocks are not sectors of 512 bytes')
    return new NvmeGuestDriver(context, registers, io, blocks, yield* allocate(BUFFER_SIZE), page)
  }

  *transfer(write: boolean, sector: number, count: number, address = this.buffer): Software<boolean> {
    const length = count * SECTOR
    const first = Math.min(length, PAGE - (address % PAGE))
    const rest = length - first
    const second =
      rest === 0 ? 0 : rest <= PAGE ? address + first : yield* this.#writeList(address + first, rest)
    const { command: words } = this.#io
    encodeCommand(
      words,
      0,
      write ? NVM.write : NVM.read,
      0,
      NAMESPACE_ID,
      address % TWO_32,
      Math.floor(address / TWO_32),
      second % TWO_32,
      Math.floor(second / TWO_32),
    )
    words[SQE.cdw10] = sector % TWO_32
    words[SQE.cdw11] = Math.floor(sector / TWO_32)
    words[SQE.cdw12] = count - 1
    return (yield* this.#io.execute()) === NVME_STATUS.success
  }

  *#writeList(address: number, length: number): Software<number> {
    for (let page = 0; page * PAGE < length; page++) {
      const entry = address + page * PAGE
      yield* this.#context.access.write64(this.#list + page * 8, entry % TWO_32, Math.floor(entry / TWO_32))
    }
    return this.#list
  }

  *flush(): Software<boolean> {
    encodeCommand(this.#io.command, 0, NVM.flush, 0, NAMESPACE_ID, 0, 0, 0, 0)
    return (yield* this.#io.execute()) === NVME_STATUS.success
  }

  // biome-ignore lint/correctness/useYield: software that never waits is still software
  *interrupt(index: number): Software {
    if (index > 0) this.#interrupts++
  }

  /** Messages that came for the I/O queue. */
  get interrupts(): number {
    return this.#interrupts
  }

  *stop(): Software {
    yield* this.#context.access.write32(this.#registers + CC.offset, 0)
  }

  save(): Saved {
    return { version: 1, queue: this.#io.save(), sectors: this.sectors, interrupts: this.#interrupts }
  }
}

const unsupported = (why: string): NorthbridgeError =>
  new NorthbridgeError('unsupported', `the guest cannot use the NVMe controller: ${why}`)

function* command(
  admin: NvmeQueue,
  opcode: number,
  nsid: number,
  address: number,
  cdw10: number,
  cdw11: number,
): Software {
  encodeCommand(admin.command, 0, opcode, 0, nsid, address % TWO_32, Math.floor(address / TWO_32), 0, 0)
  admin.command[SQE.cdw10] = cdw10 >>> 0
  admin.command[SQE.cdw11] = cdw11 >>> 0
  const status = yield* admin.execute()
  if (status !== NVME_STATUS.success) throw unsupported(`command ${opcode} ends with status ${status}`)
}

/** Controllers that are told by their ids; real drivers go by the class code. */
export const nvme: DriverEntry = {
  name: 'nvme',
  ids: [
    [0x1b36, 0x0010],
    [0x144d, 0xa824],
    [0x144d, 0xa826],
  ],
  start: NvmeGuestDriver.start,
}
