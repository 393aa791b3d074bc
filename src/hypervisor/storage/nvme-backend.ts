/** A disk on a namespace of the host's NVMe driver: blocks go through a buffer that the controller reaches. */
import type { Software } from '../../engine/index.ts'
import type { DmaBuffer, NvmeDriver, NvmeNamespace } from '../../host/index.ts'
import { SECTOR_SIZE } from '../formats/virtio.ts'
import type { CopyingBackend, SavedBackend } from './backend.ts'

const BUFFER = 64 * 1024
/** NLB is 16 bits wide. */
const MOST_BLOCKS = 0x1_0000

export class NvmeBackend implements CopyingBackend {
  readonly kind = 'copying'
  readonly sectors: number
  readonly #driver: NvmeDriver
  readonly #namespace: NvmeNamespace
  readonly #buffer: DmaBuffer

  private constructor(driver: NvmeDriver, namespace: NvmeNamespace, buffer: DmaBuffer) {
    this.#driver = driver
    this.#namespace = namespace
    this.#buffer = buffer
    this.sectors = (namespace.blocks * namespace.blockSize) / SECTOR_SIZE
  }

  /** @param namespace with blocks of 512 bytes, as the sectors of disks are. Throws `outOfMemory`. */
  static *open(driver: NvmeDriver, namespace: NvmeNamespace): Software<NvmeBackend> {
    return new NvmeBackend(driver, namespace, yield* driver.allocate(BUFFER))
  }

  *read(sector: number, target: Uint8Array, start: number, length: number): Software<boolean> {
    for (let done = 0; done < length; done += BUFFER) {
      const part = Math.min(BUFFER, length - done)
      if (!(yield* this.#transfer(false, sector + done / SECTOR_SIZE, part))) return false
      this.#driver.read(this.#buffer, 0, target, start + done, part)
    }
    return true
  }

  *write(sector: number, source: Uint8Array, start: number, length: number): Software<boolean> {
    for (let done = 0; done < length; done += BUFFER) {
      const part = Math.min(BUFFER, length - done)
      // Who is unbound has lost the buffer.
      if (!this.#driver.bound) return false
      this.#driver.write(this.#buffer, 0, source, start + done, part)
      if (!(yield* this.#transfer(true, sector + done / SECTOR_SIZE, part))) return false
    }
    return true
  }

  *#transfer(write: boolean, sector: number, length: number): Software<boolean> {
    const count = length / SECTOR_SIZE
    return (yield* this.#driver.transfer(write, this.#namespace, sector, count, this.#buffer)) === 0
  }

  *discard(sector: number, count: number): Software<boolean> {
    for (let done = 0; done < count; done += MOST_BLOCKS) {
      const part = Math.min(MOST_BLOCKS, count - done)
      if ((yield* this.#driver.writeZeroes(this.#namespace, sector + done, part)) !== 0) return false
    }
    return true
  }

  *flush(): Software<boolean> {
    return (yield* this.#driver.flush(this.#namespace)) === 0
  }

  *close(): Software {
    yield* this.#driver.free(this.#buffer)
  }

  save(): SavedBackend {
    if (!this.#driver.bound) return { kind: 'lost', sectors: this.sectors }
    return { kind: 'nvme', namespace: { ...this.#namespace }, buffer: this.#buffer.address }
  }

  /** A disk of a driver that is there again. */
  static restore(driver: NvmeDriver, saved: SavedBackend & { readonly kind: 'nvme' }): NvmeBackend {
    return new NvmeBackend(driver, { ...saved.namespace }, driver.buffer(saved.buffer))
  }
}
