/**
 * Moves the data of a command between the controller's buffer and memory, as the command's data pointer says: NVM Express
 * 1.4, §4.3 "Physical Region Page Entry and List", §4.4 "Scatter Gather List".
 */
import type { PageNumber } from '../../core/index.ts'
import { CDW0, NVME_STATUS, PSDT, SGL, SQE } from '../formats/nvme/index.ts'
import type { BusMaster } from './bus.ts'

/** Descriptors of one SGL, however it is cut into segments: more than any transfer of MDTS needs. */
const MOST_DESCRIPTORS = 4096
/** Descriptors fetched at once. */
const FETCH = 64

const pageAt = (low: number, high: number): PageNumber => high * 0x10_0000 + (low >>> 12)

export class DataTransfer {
  /** The data of the command that is being processed. */
  readonly buffer: Uint8Array
  readonly #bus: BusMaster
  /** Entries of a PRP list, two words each: as many as the largest transfer needs, and one that leads on. */
  readonly #list: Uint32Array
  readonly #listBytes: Uint8Array
  readonly #segment = new Uint32Array(FETCH * 4)
  readonly #segmentBytes = new Uint8Array(this.#segment.buffer)
  /** CC.MPS: pages of 2^(12 + n) bytes. */
  pageSize = 4096

  /** @param most bytes of the largest transfer. */
  constructor(bus: BusMaster, buffer: Uint8Array) {
    this.#bus = bus
    this.buffer = buffer
    this.#list = new Uint32Array((buffer.length / 4096 + 2) * 2)
    this.#listBytes = new Uint8Array(this.#list.buffer)
  }

  /** Moves `length` bytes of the buffer; returns the status of the command. @param toMemory else from memory. */
  move(command: Uint32Array, length: number, toMemory: boolean): number {
    if (length === 0) return NVME_STATUS.success
    const psdt = (command[0]! & CDW0.PSDT) >>> CDW0.PSDT_SHIFT
    return psdt === PSDT.prp ? this.#prp(command, length, toMemory) : this.#sgl(command, length, toMemory)
  }

  #piece(low: number, high: number, start: number, length: number, toMemory: boolean): boolean {
    const page = pageAt(low, high)
    const offset = low & 0xfff
    return toMemory
      ? this.#bus.write(page, offset, this.buffer, start, length)
      : this.#bus.read(page, offset, this.buffer, start, length)
  }

  #prp(command: Uint32Array, length: number, toMemory: boolean): number {
    const { pageSize } = this
    const low = command[SQE.dptr]!
    if ((low & 3) !== 0) return NVME_STATUS.prpOffsetInvalid
    const first = Math.min(length, pageSize - (low & (pageSize - 1)))
    if (!this.#piece(low, command[SQE.dptr + 1]!, 0, first, toMemory)) return NVME_STATUS.dataTransferError
    const rest = length - first
    if (rest === 0) return NVME_STATUS.success
    const secondLow = command[SQE.dptr + 2]!
    const secondHigh = command[SQE.dptr + 3]!
    if (rest > pageSize) return this.#prpList(secondLow, secondHigh, first, length, toMemory)
    if ((secondLow & (pageSize - 1)) !== 0) return NVME_STATUS.prpOffsetInvalid
    const done = this.#piece(secondLow, secondHigh, first, rest, toMemory)
    return done ? NVME_STATUS.success : NVME_STATUS.dataTransferError
  }

  /** The first list may begin anywhere in its page, those that follow at offset 0: so each is longer than one entry. */
  #prpList(low: number, high: number, start: number, length: number, toMemory: boolean): number {
    const { pageSize } = this
    const list = this.#list
    if ((low & 7) !== 0) return NVME_STATUS.prpOffsetInvalid
    for (let done = start; ; ) {
      const room = (pageSize - (low & (pageSize - 1))) / 8
      const needed = Math.ceil((length - done) / pageSize)
      // Where the list does not fit its page, the last entry leads to the next page of it.
      const entries = Math.min(room, needed)
      if (!this.#bus.read(pageAt(low, high), low & 0xfff, this.#listBytes, 0, entries * 8)) {
        return NVME_STATUS.dataTransferError
      }
      const pages = needed > room ? room - 1 : needed
      for (let i = 0; i < pages; i++) {
        const entry = list[i * 2]!
        if ((entry & (pageSize - 1)) !== 0) return NVME_STATUS.prpOffsetInvalid
        const part = Math.min(length - done, pageSize)
        if (!this.#piece(entry, list[i * 2 + 1]!, done, part, toMemory)) return NVME_STATUS.dataTransferError
        done += part
      }
      if (done === length) return NVME_STATUS.success
      low = list[pages * 2]!
      high = list[pages * 2 + 1]!
      if ((low & (pageSize - 1)) !== 0) return NVME_STATUS.prpOffsetInvalid
    }
  }

  /** SGL1 is in the command; a segment descriptor there, or last in a segment, leads to the next segment. */
  #sgl(command: Uint32Array, length: number, toMemory: boolean): number {
    this.#moved = 0
    let low = command[SQE.dptr]!
    let high = command[SQE.dptr + 1]!
    let size = command[SQE.dptr + 2]!
    let id = command[SQE.dptr + 3]! >>> 24
    for (let descriptors = 0; ; ) {
      const type = id >>> 4
      if (type !== SGL.segment && type !== SGL.lastSegment) {
        const status = this.#descriptor(low, high, size, id, length, toMemory)
        if (status !== NVME_STATUS.success) return status
        break
      }
      if ((id & 15) !== 0) return NVME_STATUS.sglDescriptorTypeInvalid
      if (size === 0 || size % SGL.size !== 0) return NVME_STATUS.invalidSglSegmentDescriptor
      const count = size / SGL.size
      descriptors += count
      if (descriptors > MOST_DESCRIPTORS) return NVME_STATUS.invalidNumberOfSglDescriptors
      // All but the last are data; the last one may lead on, unless this is the last segment.
      const data = type === SGL.segment ? count - 1 : count
      const status = this.#segmentData(low, high, data, length, toMemory)
      if (status !== NVME_STATUS.success) return status
      if (type === SGL.lastSegment) break
      if (!this.#fetch(low, high, count - 1, 1)) return NVME_STATUS.dataTransferError
      low = this.#segment[0]!
      high = this.#segment[1]!
      size = this.#segment[2]!
      id = this.#segment[3]! >>> 24
      if (id >>> 4 !== SGL.segment && id >>> 4 !== SGL.lastSegment) {
        return NVME_STATUS.invalidSglSegmentDescriptor
      }
    }
    return this.#moved === length ? NVME_STATUS.success : NVME_STATUS.dataSglLengthInvalid
  }

  /** Bytes that descriptors have accounted for. */
  #moved = 0

  /** Fetches descriptors `first` to `first + count - 1` of a segment. */
  #fetch(low: number, high: number, first: number, count: number): boolean {
    const offset = (low & 0xfff) + first * SGL.size
    const page = pageAt(low, high) + (offset >>> 12)
    return this.#bus.read(page, offset & 0xfff, this.#segmentBytes, 0, count * SGL.size)
  }

  #segmentData(low: number, high: number, count: number, length: number, toMemory: boolean): number {
    for (let first = 0; first < count; first += FETCH) {
      const fetched = Math.min(FETCH, count - first)
      if (!this.#fetch(low, high, first, fetched)) return NVME_STATUS.dataTransferError
      for (let i = 0; i < fetched; i++) {
        const at = i * 4
        const words = this.#segment
        const id = words[at + 3]! >>> 24
        if (id >>> 4 === SGL.segment || id >>> 4 === SGL.lastSegment) {
          return NVME_STATUS.invalidSglSegmentDescriptor
        }
        const status = this.#descriptor(words[at]!, words[at + 1]!, words[at + 2]!, id, length, toMemory)
        if (status !== NVME_STATUS.success) return status
      }
    }
    return NVME_STATUS.success
  }

  #descriptor(
    low: number,
    high: number,
    size: number,
    id: number,
    length: number,
    toMemory: boolean,
  ): number {
    const type = id >>> 4
    // Sub type 0h: the address is one of memory. Offsets (1h) and transport data are of fabrics.
    if ((type !== SGL.dataBlock && type !== SGL.bitBucket) || (id & 15) !== 0) {
      return NVME_STATUS.sglDescriptorTypeInvalid
    }
    // "Bit Bucket": bytes that are not wanted of a read; in a write it stands for nothing.
    if (type === SGL.bitBucket && !toMemory) return NVME_STATUS.success
    if (this.#moved + size > length) return NVME_STATUS.dataSglLengthInvalid
    if (type === SGL.dataBlock && size > 0 && !this.#piece(low, high, this.#moved, size, toMemory)) {
      return NVME_STATUS.dataTransferError
    }
    this.#moved += size
    return NVME_STATUS.success
  }
}
