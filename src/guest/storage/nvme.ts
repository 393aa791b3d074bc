/** The guest's NVMe driver, for an assigned controller: NVM Express 1.4, §7.6.1 "Initialization". */
import { NorthbridgeError, opened, type Saved } from '../../core/index.ts'
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
import type { BlockCommand } from './block-driver.ts'
import { NvmeQueue, type SavedQueue } from './nvme-queue.ts'
import { BUFFER_SIZE, QueuedDriver, type SavedQueuedDriver } from './queued-driver.ts'

const PAGE = 4096
const TWO_32 = 2 ** 32
const SECTOR = 512
const ADMIN_ENTRIES = 16
const IO_ENTRIES = 64
const IO_QUEUE = 1
const REGISTERS = 0
const MOST_COMMANDS = 64
/** Bytes of a command's PRP list: the pages of the longest transfer but the first. Lists do not cross pages. */
const LIST_SIZE = 128
const ENABLE = CC.f.EN.mask | (SQ_ENTRY.log2 << CC.f.IOSQES.shift) | (CQ_ENTRY.log2 << CC.f.IOCQES.shift)

type SavedDriver = SavedQueuedDriver & {
  readonly registers: number
  readonly namespace: number
  readonly queue: SavedQueue
  readonly sectors: number
  readonly lists: number
}

/** What is known once the controller is up. */
interface Place {
  readonly registers: number
  /** The first that is attached. */
  readonly namespace: number
  readonly sectors: number
  readonly buffer: number
  /** PRP lists, by tag. */
  readonly lists: number
}

export class NvmeGuestDriver extends QueuedDriver {
  readonly name = 'nvme'
  readonly #context: DriverContext
  readonly #place: Place
  readonly #io: NvmeQueue

  private constructor(context: DriverContext, place: Place, io: NvmeQueue) {
    // A full submission queue has one entry that is empty.
    super(Math.min(io.entries - 1, MOST_COMMANDS), place.buffer)
    this.#context = context
    this.#place = place
    this.#io = io
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
    const lists = yield* allocate(MOST_COMMANDS * LIST_SIZE)
    const io = yield* queue(IO_QUEUE, ringEntries)
    yield* command(admin, ADMIN.setFeatures, 0, 0, FEATURE.numberOfQueues, 0)
    yield* createQueues(admin, io, device.vectors)
    // Nothing else needs the memory of the lists yet.
    yield* command(admin, ADMIN.identify, 0, lists, CNS.activeNamespaces, 0)
    const namespace = yield* access.read32(lists)
    if (namespace === 0) throw unsupported('no namespace is attached to it')
    yield* command(admin, ADMIN.identify, namespace, lists, CNS.namespace, 0)
    const sectors =
      (yield* access.read32(lists + NAMESPACE.size + 4)) * TWO_32 +
      (yield* access.read32(lists + NAMESPACE.size))
    const format = (yield* access.read8(lists + NAMESPACE.format)) & 15
    const shift = yield* access.read8(lists + NAMESPACE.formatTable + format * 4 + 2)
    if (2 ** shift !== SECTOR) throw unsupported('its blocks are not sectors of 512 bytes')
    const place = { registers, namespace, sectors, lists, buffer: yield* allocate(BUFFER_SIZE) }
    return new NvmeGuestDriver(context, place, io)
  }

  get sectors(): number {
    return this.#place.sectors
  }

  protected *describe(tag: number, { kind, sector, count, address }: BlockCommand): Software {
    const { command: words } = this.#io
    if (kind === 'flush') encodeCommand(words, 0, NVM.flush, 0, this.#place.namespace, 0, 0, 0, 0)
    else {
      const second = yield* this.#secondPointer(tag, address, count * SECTOR)
      encodeCommand(
        words,
        0,
        kind === 'write' ? NVM.write : NVM.read,
        0,
        this.#place.namespace,
        address % TWO_32,
        Math.floor(address / TWO_32),
        second % TWO_32,
        Math.floor(second / TWO_32),
      )
      words[SQE.cdw10] = sector % TWO_32
      words[SQE.cdw11] = Math.floor(sector / TWO_32)
      words[SQE.cdw12] = count - 1
    }
    yield* this.#io.submit(tag)
  }

  /** "PRP Entry 2": nothing, the second page, or a list of the pages from the second on. */
  *#secondPointer(tag: number, address: number, length: number): Software<number> {
    const first = Math.min(length, PAGE - (address % PAGE))
    const rest = length - first
    if (rest === 0) return 0
    if (rest <= PAGE) return address + first
    const list = this.#place.lists + tag * LIST_SIZE
    for (let page = 0; page * PAGE < rest; page++) {
      const entry = address + first + page * PAGE
      yield* this.#context.access.write64(list + page * 8, entry % TWO_32, Math.floor(entry / TWO_32))
    }
    return list
  }

  *commit(): Software {
    this.doorbells++
    yield* this.#io.ring()
  }

  *reap(): Software {
    let taken = 0
    for (;;) {
      const completion = yield* this.#io.take()
      if (completion === undefined) break
      this.tags.end(completion.id, completion.status === NVME_STATUS.success)
      taken++
    }
    if (taken === 0) return
    this.doorbells++
    yield* this.#io.release()
  }

  // biome-ignore lint/correctness/useYield: software that never waits is still software
  *interrupt(index: number): Software {
    if (index === ioVector(this.#context.device.vectors)) this.interrupts++
  }

  *stop(): Software {
    yield* this.#context.access.write32(this.#place.registers + CC.offset, 0)
  }

  override save(): SavedDriver {
    const { registers, namespace, sectors, lists } = this.#place
    return { ...super.save(), registers, namespace, sectors, lists, queue: this.#io.save() }
  }

  static restore(context: DriverContext, saved: Saved): NvmeGuestDriver {
    const state = opened<SavedDriver>(saved, 'the nvme driver of a guest', 1)
    const { registers, namespace, sectors, lists, buffer, queue } = state
    const io = NvmeQueue.restore(context.access, registers, queue)
    const driver = new NvmeGuestDriver(context, { registers, namespace, sectors, lists, buffer }, io)
    driver.load(state)
    return driver
  }
}

const unsupported = (why: string): NorthbridgeError =>
  new NorthbridgeError('unsupported', `the guest cannot use the NVMe controller: ${why}`)

/** The vector of the I/O queue: its own, if the function has another than that of the admin queue. */
const ioVector = (vectors: number): number => (vectors > 1 ? 1 : 0)

function* createQueues(admin: NvmeQueue, io: NvmeQueue, vectors: number): Software {
  const sizes = ((io.entries - 1) << 16) | io.id
  const interrupts = vectors > 0 ? (ioVector(vectors) << 16) | QUEUE_FLAG.interrupts : 0
  const completion = interrupts | QUEUE_FLAG.contiguous
  yield* command(admin, ADMIN.createCompletionQueue, 0, io.completion, sizes, completion)
  const submission = (io.id << 16) | QUEUE_FLAG.contiguous
  yield* command(admin, ADMIN.createSubmissionQueue, 0, io.submission, sizes, submission)
}

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

export const nvme: DriverEntry = {
  name: 'nvme',
  // "Mass storage, Non-Volatile Memory controller, NVM Express I/O controller"
  classCode: 0x01_08_02,
  start: NvmeGuestDriver.start,
  restore: NvmeGuestDriver.restore,
}
