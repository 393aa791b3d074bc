/**
 * The host kernel's NVMe driver, as far as block devices need it: the controller is brought up as NVM Express 1.4,
 * §7.6.1 "Initialization" says, with one I/O queue pair, and blocks are moved to and from buffers of the DMA API.
 */
import { NorthbridgeError, type Saved } from '../../core/index.ts'
import {
  ACQ,
  ADMIN,
  AQA,
  ASQ,
  CAP,
  CC,
  CNS,
  CONTROLLER,
  CQ_ENTRY,
  CSTS,
  encodeCommand,
  FEATURE,
  IDENTIFY_SIZE,
  NAMESPACE,
  NVM,
  NVME_STATUS,
  nvmeStatusName,
  QUEUE_FLAG,
  RESOURCE,
  SQ_ENTRY,
  SQE,
  VIRTUALIZATION,
} from '../../devices/formats/nvme/index.ts'
import type { Software } from '../../engine/index.ts'
import { until } from '../../engine/index.ts'
import type { DeviceAccess } from '../device-access.ts'
import type { DmaBuffer } from '../types.ts'
import { NEVER_COMPLETED, NvmeQueue } from './nvme-queue.ts'

const REGISTERS = 0
const PAGE = 4096
const TWO_32 = 2 ** 32
const ADMIN_ENTRIES = 32
const IO_QUEUE = 1
const ENABLE = CC.f.EN.mask | (SQ_ENTRY.log2 << CC.f.IOSQES.shift) | (CQ_ENTRY.log2 << CC.f.IOCQES.shift)

export interface NvmeDriverOptions {
  /** Entries of the I/O queues. Default 64. */
  readonly entries?: number
}

/** A namespace as the controller told of it. */
export interface NvmeNamespace {
  readonly id: number
  readonly blocks: number
  readonly blockSize: number
}

export class NvmeDriver {
  readonly namespaces: readonly NvmeNamespace[]
  /** Bytes of the largest transfer. */
  readonly largestTransfer: number
  /** Messages that the controller has sent. */
  interrupts = 0
  readonly #device: DeviceAccess
  readonly #admin: NvmeQueue
  readonly #io: NvmeQueue
  /** PRP entries of the transfer under way. */
  readonly #list: DmaBuffer

  private constructor(
    device: DeviceAccess,
    admin: NvmeQueue,
    io: NvmeQueue,
    list: DmaBuffer,
    largestTransfer: number,
    namespaces: readonly NvmeNamespace[],
  ) {
    this.#device = device
    this.#admin = admin
    this.#io = io
    this.#list = list
    this.largestTransfer = largestTransfer
    this.namespaces = namespaces
    device.onInterrupt(() => {
      this.interrupts++
    })
  }

  /** Brings a controller up. Throws `unsupported` if it reports a fatal error or refuses its queues; `outOfMemory`. */
  static *start(device: DeviceAccess, { entries = 64 }: NvmeDriverOptions = {}): Software<NvmeDriver> {
    const read = (offset: number): number => device.readRegister(REGISTERS, offset)
    device.writeRegister(REGISTERS, CC.offset, 0)
    yield* until(() => (read(CSTS.offset) & CSTS.f.RDY.mask) === 0)
    const stride = read(CAP.offset + 4) & 15
    const most = (read(CAP.offset) & CAP.f.MQES.mask) + 1
    const admin = yield* NvmeQueue.create(device, 0, ADMIN_ENTRIES, stride)
    device.writeRegister(REGISTERS, AQA.offset, ((ADMIN_ENTRIES - 1) << 16) | (ADMIN_ENTRIES - 1))
    writeAddress(device, ASQ.offset, admin.submission.address)
    writeAddress(device, ACQ.offset, admin.completion.address)
    device.writeRegister(REGISTERS, CC.offset, ENABLE)
    const { RDY, CFS } = CSTS.f
    yield* until(() => (read(CSTS.offset) & (RDY.mask | CFS.mask)) !== 0)
    if ((read(CSTS.offset) & CFS.mask) !== 0) throw refused(device, 'reports a fatal error')
    const page = yield* device.allocate(1)
    const identity = yield* identify(device, admin, page, CNS.controller, 0)
    const exponent = identity[CONTROLLER.maximumDataTransferSize]!
    // MDTS 0: no limit. What one page of PRP entries can describe is enough.
    const largest = Math.min(exponent === 0 ? 2 ** 21 : PAGE * 2 ** exponent, 2 ** 21)
    const io = yield* createQueues(device, admin, Math.min(entries, most), stride)
    const namespaces = yield* listNamespaces(device, admin, page)
    return new NvmeDriver(device, admin, io, page, largest, namespaces)
  }

  /** Whether the controller still answers; a function that was reset, pulled or unbound needs a new driver. */
  get alive(): boolean {
    return this.#io.alive
  }

  /** Memory that blocks can be moved to and from. Throws `outOfMemory`. */
  *allocate(bytes: number): Software<DmaBuffer> {
    return yield* this.#device.allocate(Math.ceil(bytes / PAGE))
  }

  /** Who unbinds a driver takes all its memory back. */
  *free(buffer: DmaBuffer): Software {
    if (this.#device.bound) yield* this.#device.free(buffer)
  }

  /** Moves blocks between a namespace and a buffer; returns the status of the command. */
  *transfer(
    write: boolean,
    namespace: NvmeNamespace,
    block: number,
    count: number,
    buffer: DmaBuffer,
  ): Software<number> {
    if (!this.alive) return NEVER_COMPLETED
    const { command } = this.#io
    const { address } = buffer
    const length = count * namespace.blockSize
    const second = length <= PAGE ? 0 : length <= 2 * PAGE ? address + PAGE : this.#writeList(address, length)
    const opcode = write ? NVM.write : NVM.read
    encodeCommand(command, 0, opcode, 0, namespace.id, low(address), high(address), low(second), high(second))
    command[SQE.cdw10] = low(block)
    command[SQE.cdw11] = high(block)
    command[SQE.cdw12] = count - 1
    return yield* this.#io.execute()
  }

  /** Buffers are contiguous and begin at a page: entries from the second page on. */
  #writeList(address: number, length: number): number {
    for (let page = 1; page * PAGE < length; page++) {
      const entry = address + page * PAGE
      this.#device.writeDword(this.#list, (page - 1) * 8, low(entry))
      this.#device.writeDword(this.#list, (page - 1) * 8 + 4, high(entry))
    }
    return this.#list.address
  }

  *writeZeroes(namespace: NvmeNamespace, block: number, count: number): Software<number> {
    const { command } = this.#io
    encodeCommand(command, 0, NVM.writeZeroes, 0, namespace.id, 0, 0, 0, 0)
    command[SQE.cdw10] = low(block)
    command[SQE.cdw11] = high(block)
    command[SQE.cdw12] = count - 1
    return yield* this.#io.execute()
  }

  *flush(namespace: NvmeNamespace): Software<number> {
    encodeCommand(this.#io.command, 0, NVM.flush, 0, namespace.id, 0, 0, 0, 0)
    return yield* this.#io.execute()
  }

  /** Copies out of or into a buffer. */
  read(buffer: DmaBuffer, offset: number, target: Uint8Array, start: number, length: number): void {
    this.#device.read(buffer, offset, target, start, length)
  }

  write(buffer: DmaBuffer, offset: number, source: Uint8Array, start: number, length: number): void {
    this.#device.write(buffer, offset, source, start, length)
  }

  /**
   * Gives the controller of a virtual function queue pairs (the admin one included) and vectors, and brings it online:
   * §5.22. Throws `unsupported` with the status that the controller refuses with.
   */
  *bringOnline(controller: number, queues: number, vectors: number): Software {
    yield* this.#manage(controller, VIRTUALIZATION.secondaryOffline, 0, 0)
    yield* this.#manage(controller, VIRTUALIZATION.secondaryAssign, RESOURCE.queues, queues)
    yield* this.#manage(controller, VIRTUALIZATION.secondaryAssign, RESOURCE.interrupts, vectors)
    yield* this.#manage(controller, VIRTUALIZATION.secondaryOnline, 0, 0)
  }

  *#manage(controller: number, action: number, resource: number, count: number): Software {
    const { command } = this.#admin
    encodeCommand(command, 0, ADMIN.virtualizationManagement, 0, 0, 0, 0, 0, 0)
    command[SQE.cdw10] = ((controller << 16) | (resource << 8) | action) >>> 0
    command[SQE.cdw11] = count
    const status = yield* this.#admin.execute()
    if (status !== NVME_STATUS.success) {
      throw refused(this.#device, `ends Virtualization Management with ${nvmeStatusName(status)}`)
    }
  }

  save(): Saved {
    return {
      function: this.#device.function.address,
      admin: this.#admin.save(),
      io: this.#io.save(),
      interrupts: this.interrupts,
    }
  }

  /** Shuts the controller down and gives its memory back. */
  *stop(): Software {
    if (!this.#device.bound) return
    this.#device.writeRegister(REGISTERS, CC.offset, 0)
    yield* this.#admin.free()
    yield* this.#io.free()
    yield* this.#device.free(this.#list)
  }
}

const low = (value: number): number => value % TWO_32
const high = (value: number): number => Math.floor(value / TWO_32)

const refused = (device: DeviceAccess, what: string): NorthbridgeError =>
  new NorthbridgeError('unsupported', `the controller of ${device.function.address} ${what}`, {
    function: device.function.address,
  })

function writeAddress(device: DeviceAccess, offset: number, address: number): void {
  device.writeRegister(REGISTERS, offset, low(address))
  device.writeRegister(REGISTERS, offset + 4, high(address))
}

function* identify(
  device: DeviceAccess,
  admin: NvmeQueue,
  page: DmaBuffer,
  cns: number,
  nsid: number,
): Software<Uint8Array> {
  encodeCommand(admin.command, 0, ADMIN.identify, 0, nsid, low(page.address), high(page.address), 0, 0)
  admin.command[SQE.cdw10] = cns
  const status = yield* admin.execute()
  if (status !== NVME_STATUS.success) throw refused(device, `ends Identify with ${nvmeStatusName(status)}`)
  const data = new Uint8Array(IDENTIFY_SIZE)
  device.read(page, 0, data)
  return data
}

/** "Number of Queues", then the completion queue, then the submission queue on it. */
function* createQueues(
  device: DeviceAccess,
  admin: NvmeQueue,
  entries: number,
  stride: number,
): Software<NvmeQueue> {
  const io = yield* NvmeQueue.create(device, IO_QUEUE, entries, stride)
  const { command } = admin
  const vector = device.interrupts > 1 ? 1 : 0
  const interrupts = device.interrupts > 0 ? QUEUE_FLAG.interrupts : 0
  const steps: readonly (readonly [opcode: number, address: number, cdw10: number, cdw11: number])[] = [
    [ADMIN.setFeatures, 0, FEATURE.numberOfQueues, 0],
    [
      ADMIN.createCompletionQueue,
      io.completion.address,
      ((entries - 1) << 16) | IO_QUEUE,
      (vector << 16) | interrupts | QUEUE_FLAG.contiguous,
    ],
    [
      ADMIN.createSubmissionQueue,
      io.submission.address,
      ((entries - 1) << 16) | IO_QUEUE,
      (IO_QUEUE << 16) | QUEUE_FLAG.contiguous,
    ],
  ]
  for (const [opcode, address, cdw10, cdw11] of steps) {
    encodeCommand(command, 0, opcode, 0, 0, low(address), high(address), 0, 0)
    command[SQE.cdw10] = cdw10 >>> 0
    command[SQE.cdw11] = cdw11 >>> 0
    const status = yield* admin.execute()
    if (status !== NVME_STATUS.success) throw refused(device, `refuses a queue: ${nvmeStatusName(status)}`)
  }
  return io
}

function* listNamespaces(device: DeviceAccess, admin: NvmeQueue, page: DmaBuffer): Software<NvmeNamespace[]> {
  const list = new DataView((yield* identify(device, admin, page, CNS.activeNamespaces, 0)).buffer)
  const namespaces: NvmeNamespace[] = []
  for (let at = 0; at < IDENTIFY_SIZE; at += 4) {
    const id = list.getUint32(at, true)
    if (id === 0) break
    const data = new DataView((yield* identify(device, admin, page, CNS.namespace, id)).buffer)
    const format = data.getUint8(NAMESPACE.format) & 15
    namespaces.push({
      id,
      blocks: data.getUint32(NAMESPACE.size + 4, true) * TWO_32 + data.getUint32(NAMESPACE.size, true),
      blockSize: 2 ** data.getUint8(NAMESPACE.formatTable + format * 4 + 2),
    })
  }
  return namespaces
}
