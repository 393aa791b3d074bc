/**
 * The host kernel's NVMe driver, as far as block devices need it: a controller with one I/O queue pair, and blocks that
 * are moved to and from buffers of the DMA API.
 */
import { assert, NorthbridgeError, opened, PAGE_SIZE, type Saved } from '../../core/index.ts'
import {
  ADMIN,
  CAP,
  CNS,
  CONTROLLER,
  encodeCommand,
  NVM,
  NVME_STATUS,
  nvmeStatusName,
  RESOURCE,
  SQE,
  VIRTUALIZATION,
} from '../../devices/formats/nvme/index.ts'
import type { Software } from '../../engine/index.ts'
import type { DeviceAccess } from '../device-access.ts'
import type { HostRun, LentMemory } from '../kernel-dma.ts'
import type { DmaBuffer } from '../types.ts'
import { NamespaceCommands } from './nvme-namespaces.ts'
import { NEVER_COMPLETED, NvmeQueue, type SavedNvmeQueue } from './nvme-queue.ts'
import {
  createQueue,
  deleteQueue,
  disable,
  enable,
  identify,
  listNamespaces,
  type NvmeNamespace,
  REGISTERS,
  refused,
  requestQueues,
} from './nvme-setup.ts'
import { high, low } from './words.ts'

const ADMIN_ENTRIES = 32
const IO_QUEUE = 1
/** What one page of PRP entries can describe. */
const MOST_BYTES = 2 ** 21

export interface NvmeDriverOptions {
  /** Entries of the I/O queues. Default 64. */
  readonly entries?: number
}

type SavedNvmeDriver = {
  readonly version: 1
  readonly admin: SavedNvmeQueue
  readonly io: SavedNvmeQueue
  /** Queue pairs that may be made, and those that were made for disks of their own. */
  readonly granted: number
  readonly queues: readonly SavedNvmeQueue[]
  /** Address of its buffer for PRP entries. */
  readonly list: number
  readonly largestTransfer: number
  readonly namespaces: readonly { readonly [Key in keyof NvmeNamespace]: number }[]
  readonly interrupts: number
}

export class NvmeDriver {
  #namespaces: readonly NvmeNamespace[]
  /** Bytes of the largest transfer. */
  readonly largestTransfer: number
  /** Messages that the controller has sent. */
  interrupts = 0
  readonly #device: DeviceAccess
  readonly #admin: NvmeQueue
  readonly #io: NvmeQueue
  /** PRP entries of the transfer under way. */
  readonly #list: DmaBuffer
  /** Queue pairs for input and output that the controller has granted. */
  #granted: number
  /** Those of disks of their own. */
  #queues: readonly NvmeQueue[] = []

  private constructor(
    device: DeviceAccess,
    admin: NvmeQueue,
    io: NvmeQueue,
    list: DmaBuffer,
    granted: number,
    largestTransfer: number,
    namespaces: readonly NvmeNamespace[],
  ) {
    this.#device = device
    this.#admin = admin
    this.#io = io
    this.#list = list
    this.#granted = granted
    this.largestTransfer = largestTransfer
    this.#namespaces = namespaces
    device.serve({
      interrupt: () => {
        this.interrupts++
      },
    })
  }

  /** Brings a controller up. Throws `unsupported` if it reports a fatal error or refuses its queues; `outOfMemory`. */
  static *start(device: DeviceAccess, { entries = 64 }: NvmeDriverOptions = {}): Software<NvmeDriver> {
    yield* disable(device)
    const read = (offset: number): number => device.readRegister(REGISTERS, offset)
    const stride = read(CAP.offset + 4) & 15
    const most = (read(CAP.offset) & CAP.f.MQES.mask) + 1
    const admin = yield* NvmeQueue.create(device, 0, ADMIN_ENTRIES, stride)
    yield* enable(device, admin)
    const page = yield* device.allocate(1)
    const identity = yield* identify(device, admin, page, CNS.controller, 0)
    const exponent = identity[CONTROLLER.maximumDataTransferSize]!
    // MDTS 0: no limit.
    const largest = Math.min(exponent === 0 ? MOST_BYTES : PAGE_SIZE * 2 ** exponent, MOST_BYTES)
    const io = yield* NvmeQueue.create(device, IO_QUEUE, Math.min(entries, most), stride)
    const granted = yield* requestQueues(device, admin)
    yield* createQueue(device, admin, io)
    const namespaces = yield* listNamespaces(device, admin, page)
    return new NvmeDriver(device, admin, io, page, granted, largest, namespaces)
  }

  /** The driver as it was when it was saved, of a function that is in the state of that moment. */
  static restore(device: DeviceAccess, saved: Saved): NvmeDriver {
    const state = opened<SavedNvmeDriver>(saved, 'an NVMe driver', 1)
    const admin = NvmeQueue.restore(device, state.admin)
    const io = NvmeQueue.restore(device, state.io)
    const namespaces = state.namespaces.map(namespace => ({ ...namespace }))
    const list = device.buffer(state.list)
    const { granted, largestTransfer, queues } = state
    const driver = new NvmeDriver(device, admin, io, list, granted, largestTransfer, namespaces)
    driver.#queues = queues.map(queue => NvmeQueue.restore(device, queue))
    driver.interrupts = state.interrupts
    return driver
  }

  /** Those that are attached to the controller. */
  get namespaces(): readonly NvmeNamespace[] {
    return this.#namespaces
  }

  /** Whether the function is still its own; once it is not, a new driver is needed. */
  get bound(): boolean {
    return this.#device.bound
  }

  /** Whether the controller answers with the queues that this driver has given it. */
  get alive(): boolean {
    return this.#io.alive
  }

  /**
   * Whether the controller can be used. One that was reset behind the driver's back is brought up again with the same
   * queues, as Linux does after a reset or an error of the link.
   */
  *ready(): Software<boolean> {
    if (this.alive) return true
    if (!this.bound) return false
    try {
      yield* disable(this.#device)
      this.#admin.rewind()
      yield* enable(this.#device, this.#admin)
      this.#granted = yield* requestQueues(this.#device, this.#admin)
      for (const queue of [this.#io, ...this.#queues]) {
        queue.rewind()
        yield* createQueue(this.#device, this.#admin, queue)
      }
    } catch (error) {
      if (!(error instanceof NorthbridgeError)) throw error
      return false
    }
    return this.alive
  }

  /** A queue pair, with a vector, for a disk of its own. Throws `outOfResources` if the controller has no more, `outOfMemory`. */
  *openQueue(): Software<NvmeQueue> {
    if (!(yield* this.ready())) throw refused(this.#device, 'does not answer')
    const taken = this.#queues.map(({ id }) => id)
    let id = IO_QUEUE + 1
    while (taken.includes(id)) id++
    if (id > this.#granted) {
      throw new NorthbridgeError(
        'outOfResources',
        `the controller of ${this.#device.function.address} has no more than ${this.#granted} queue pairs`,
      )
    }
    const queue = yield* NvmeQueue.create(this.#device, id, this.#io.entries, this.#io.stride)
    yield* createQueue(this.#device, this.#admin, queue)
    this.#queues = [...this.#queues, queue].sort((a, b) => a.id - b.id)
    return queue
  }

  /** One that {@link openQueue} gave before the driver was saved. */
  queue(id: number): NvmeQueue {
    const found = this.#queues.find(queue => queue.id === id)
    assert(found !== undefined, 'a driver has the queues that it had')
    return found
  }

  *closeQueue(queue: NvmeQueue): Software {
    if (!this.bound) return
    this.#queues = this.#queues.filter(one => one !== queue)
    if (this.alive) yield* deleteQueue(this.#device, this.#admin, queue)
    yield* queue.free()
  }

  /** Lets the controller reach memory that is not the host's own. Throws `outOfMemory`, `outOfResources`. */
  *lend(memory: readonly HostRun[]): Software<readonly LentMemory[]> {
    return yield* this.#device.lend(memory)
  }

  *takeBack(lent: readonly LentMemory[]): Software {
    if (this.bound) yield* this.#device.takeBack(lent)
  }

  /** Memory that blocks can be moved to and from. Throws `outOfMemory`. */
  *allocate(bytes: number): Software<DmaBuffer> {
    return yield* this.#device.allocate(Math.ceil(bytes / PAGE_SIZE))
  }

  /** Who unbinds a driver takes all its memory back. */
  *free(buffer: DmaBuffer): Software {
    if (this.bound) yield* this.#device.free(buffer)
  }

  /** Memory that {@link allocate} gave before the driver was saved. */
  buffer(address: number): DmaBuffer {
    return this.#device.buffer(address)
  }

  /** Moves blocks between a namespace and a buffer; returns the status of the command. */
  *transfer(
    write: boolean,
    namespace: NvmeNamespace,
    block: number,
    count: number,
    buffer: DmaBuffer,
  ): Software<number> {
    if (!this.alive && !(yield* this.ready())) return NEVER_COMPLETED
    const { address } = buffer
    const length = count * namespace.blockSize
    const two = length > PAGE_SIZE ? address + PAGE_SIZE : 0
    this.#io.composeTransfer(write, namespace.id, block, count)
    this.#io.pointPages(address, length > 2 * PAGE_SIZE ? this.#writeList(address, length) : two)
    return yield* this.#io.execute()
  }

  /** Buffers are contiguous and begin at a page: entries from the second page on. */
  #writeList(address: number, length: number): number {
    for (let page = 1; page * PAGE_SIZE < length; page++) {
      const entry = address + page * PAGE_SIZE
      this.#device.writeDword(this.#list, (page - 1) * 8, low(entry))
      this.#device.writeDword(this.#list, (page - 1) * 8 + 4, high(entry))
    }
    return this.#list.address
  }

  *writeZeroes(namespace: NvmeNamespace, block: number, count: number, queue = this.#io): Software<number> {
    if (!this.alive && !(yield* this.ready())) return NEVER_COMPLETED
    queue.compose(NVM.writeZeroes, namespace.id, block, count)
    return yield* queue.execute()
  }

  *flush(namespace: NvmeNamespace, queue = this.#io): Software<number> {
    if (!this.alive && !(yield* this.ready())) return NEVER_COMPLETED
    queue.compose(NVM.flush, namespace.id, 0, 1)
    return yield* queue.execute()
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
    if (!(yield* this.ready())) throw refused(this.#device, 'does not answer')
    yield* this.#manage(controller, VIRTUALIZATION.secondaryOffline, 0, 0)
    yield* this.#manage(controller, VIRTUALIZATION.secondaryAssign, RESOURCE.queues, queues)
    yield* this.#manage(controller, VIRTUALIZATION.secondaryAssign, RESOURCE.interrupts, vectors)
    yield* this.#manage(controller, VIRTUALIZATION.secondaryOnline, 0, 0)
  }

  /**
   * Has namespaces made, deleted, attached or detached, then looks which there are. Throws `unsupported` with the status
   * that the controller refuses with.
   */
  *manageNamespaces<Result>(work: (commands: NamespaceCommands) => Software<Result>): Software<Result> {
    if (!(yield* this.ready())) throw refused(this.#device, 'does not answer')
    const result = yield* work(new NamespaceCommands(this.#device, this.#admin, this.#list))
    this.#namespaces = yield* listNamespaces(this.#device, this.#admin, this.#list)
    return result
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

  save(): SavedNvmeDriver {
    return {
      version: 1,
      admin: this.#admin.save(),
      io: this.#io.save(),
      granted: this.#granted,
      queues: this.#queues.map(queue => queue.save()),
      list: this.#list.address,
      largestTransfer: this.largestTransfer,
      namespaces: this.#namespaces.map(namespace => ({ ...namespace })),
      interrupts: this.interrupts,
    }
  }
}
