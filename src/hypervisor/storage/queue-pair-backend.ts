/**
 * A disk on a queue pair of its own of the host's NVMe controller, which reaches the guest's memory: what sorting into
 * queues is for network adapters. The hypervisor names the pieces of a request, and copies nothing.
 */
import { PAGE_SIZE } from '../../core/index.ts'
import { SGL } from '../../devices/formats/nvme/index.ts'
import type { Software } from '../../engine/index.ts'
import type { DmaBuffer, NvmeDriver, NvmeNamespace, NvmeQueue } from '../../host/index.ts'
import { SECTOR_SIZE } from '../formats/virtio.ts'
import type { MemoryRun } from '../guest-memory.ts'
import type { Pieces } from '../virtio/index.ts'
import type { DirectBackend, GuestWindow, SavedBackend } from './backend.ts'

const MOST_BLOCKS = 0x1_0000
/** Descriptors of a request: a page of them. */
const MOST_DESCRIPTORS = PAGE_SIZE / SGL.size
const TWO_32 = 2 ** 32

export class QueuePairBackend implements DirectBackend {
  readonly kind = 'direct'
  readonly sectors: number
  readonly #driver: NvmeDriver
  readonly #namespace: NvmeNamespace
  readonly #queue: NvmeQueue
  /** Scatter gather list of the command under way. */
  readonly #list: DmaBuffer
  readonly #windows: readonly GuestWindow[]
  readonly #descriptors = new Uint32Array(MOST_DESCRIPTORS * 4)
  readonly #descriptorBytes = new Uint8Array(this.#descriptors.buffer)
  #count = 0

  private constructor(
    driver: NvmeDriver,
    namespace: NvmeNamespace,
    queue: NvmeQueue,
    list: DmaBuffer,
    windows: readonly GuestWindow[],
  ) {
    this.#driver = driver
    this.#namespace = namespace
    this.#queue = queue
    this.#list = list
    this.#windows = windows
    this.sectors = (namespace.blocks * namespace.blockSize) / SECTOR_SIZE
  }

  /**
   * @param namespace with blocks of 512 bytes
   * @param memory the guest's
   *
   * Throws `outOfResources`, `outOfMemory`, with nothing left behind.
   */
  static *open(
    driver: NvmeDriver,
    namespace: NvmeNamespace,
    memory: readonly MemoryRun[],
  ): Software<QueuePairBackend> {
    const queue = yield* driver.openQueue()
    let list: DmaBuffer | undefined
    try {
      list = yield* driver.allocate(PAGE_SIZE)
      const lent = yield* driver.lend(memory)
      const windows = lent.map((one, i) => ({ ...one, guestPage: memory[i]!.guestPage }))
      return new QueuePairBackend(driver, namespace, queue, list, windows)
    } catch (error) {
      if (list !== undefined) yield* driver.free(list)
      yield* driver.closeQueue(queue)
      throw error
    }
  }

  /** A disk of a driver that is there again. */
  static restore(driver: NvmeDriver, saved: SavedBackend & { readonly kind: 'queuePair' }): QueuePairBackend {
    const windows = saved.windows.map(window => ({ ...window }))
    const list = driver.buffer(saved.list)
    return new QueuePairBackend(driver, { ...saved.namespace }, driver.queue(saved.queue), list, windows)
  }

  get largestTransfer(): number {
    return this.#driver.largestTransfer
  }

  *transfer(write: boolean, sector: number, count: number, pieces: Pieces): Software<boolean> {
    if (!this.#describe(pieces) || !(yield* this.#driver.ready())) return false
    const queue = this.#queue
    queue.composeTransfer(write, this.#namespace.id, sector, count)
    if (this.#count === 1) {
      const words = this.#descriptors
      queue.pointList(SGL.dataBlock, words[1]! * TWO_32 + words[0]!, words[2]!)
    } else {
      const size = this.#count * SGL.size
      this.#driver.write(this.#list, 0, this.#descriptorBytes, 0, size)
      queue.pointList(SGL.lastSegment, this.#list.address, size)
    }
    return (yield* queue.execute()) === 0
  }

  /** Composes data blocks of what the controller is to reach. False: it is not all memory of the guest, or too many pieces. */
  #describe({ count, addresses, lengths }: Pieces): boolean {
    this.#count = 0
    for (let i = 0; i < count; i++) {
      let address = addresses[i]!
      for (let left = lengths[i]!; left > 0; ) {
        const window = this.#windowAt(address)
        if (window === undefined || this.#count === MOST_DESCRIPTORS) return false
        const offset = address - window.guestPage * PAGE_SIZE
        const part = Math.min(left, window.pages * PAGE_SIZE - offset)
        const at = 4 * this.#count++
        const reached = window.address + offset
        this.#descriptors[at] = reached % TWO_32
        this.#descriptors[at + 1] = Math.floor(reached / TWO_32)
        this.#descriptors[at + 2] = part
        this.#descriptors[at + 3] = SGL.dataBlock << 28
        address += part
        left -= part
      }
    }
    return this.#count > 0
  }

  #windowAt(address: number): GuestWindow | undefined {
    const page = Math.floor(address / PAGE_SIZE)
    return this.#windows.find(({ guestPage, pages }) => page >= guestPage && page < guestPage + pages)
  }

  *discard(sector: number, count: number): Software<boolean> {
    for (let done = 0; done < count; done += MOST_BLOCKS) {
      const part = Math.min(MOST_BLOCKS, count - done)
      const status = yield* this.#driver.writeZeroes(this.#namespace, sector + done, part, this.#queue)
      if (status !== 0) return false
    }
    return true
  }

  *flush(): Software<boolean> {
    return (yield* this.#driver.flush(this.#namespace, this.#queue)) === 0
  }

  /** The guest's memory is the controller's no more. */
  *close(): Software {
    yield* this.#driver.closeQueue(this.#queue)
    yield* this.#driver.takeBack(this.#windows)
    yield* this.#driver.free(this.#list)
  }

  save(): SavedBackend {
    if (!this.#driver.bound) return { kind: 'lost', sectors: this.sectors }
    return {
      kind: 'queuePair',
      namespace: { ...this.#namespace },
      queue: this.#queue.id,
      list: this.#list.address,
      windows: this.#windows.map(window => ({ ...window })),
    }
  }
}
