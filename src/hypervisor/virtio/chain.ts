/** A buffer that the driver made available: readable segments first, then writable ones. One reused record a queue. */

import type { DevicePort } from '../emulated-device.ts'
import { DESCRIPTOR_FLAG } from '../formats/virtio.ts'

/** Pieces of guest memory, in their order: a reused record. */
export class Pieces {
  count = 0
  readonly addresses: Float64Array
  readonly lengths: Float64Array

  constructor(most: number) {
    this.addresses = new Float64Array(most)
    this.lengths = new Float64Array(most)
  }
}

export class Chain {
  /** What the driver knows it by, and how many places of a packed ring it takes. */
  id = 0
  descriptors = 0
  readable = 0
  segments = 0
  /** Bytes of each kind. */
  readableBytes = 0
  writableBytes = 0
  readonly #addresses: Float64Array
  readonly #lengths: Float64Array
  readonly #pieces: Pieces

  constructor(most: number) {
    this.#addresses = new Float64Array(most)
    this.#lengths = new Float64Array(most)
    this.#pieces = new Pieces(most)
  }

  begin(id: number): void {
    this.id = id
    this.descriptors = 0
    this.readable = 0
    this.segments = 0
    this.readableBytes = 0
    this.writableBytes = 0
  }

  /** False: too many segments, or a readable one behind a writable one. */
  add(address: number, length: number, flags: number): boolean {
    if (this.segments === this.#addresses.length) return false
    const writable = (flags & DESCRIPTOR_FLAG.write) !== 0
    if (!writable && this.readable < this.segments) return false
    this.#addresses[this.segments] = address
    this.#lengths[this.segments] = length
    this.segments++
    if (writable) this.writableBytes += length
    else {
      this.readable++
      this.readableBytes += length
    }
    return true
  }

  /** Copies bytes `from` to `from + length` of the readable part. False: they are not there, or no memory. */
  read(port: DevicePort, from: number, target: Uint8Array, start: number, length: number): boolean {
    const { addresses, lengths } = this.#pieces
    if (!this.locate(false, from, length, this.#pieces)) return false
    let at = start
    for (let i = 0; i < this.#pieces.count; i++) {
      if (!port.read(addresses[i]!, target, at, lengths[i]!)) return false
      at += lengths[i]!
    }
    return true
  }

  /** The same into the writable part. */
  write(port: DevicePort, from: number, source: Uint8Array, start: number, length: number): boolean {
    const { addresses, lengths } = this.#pieces
    if (!this.locate(true, from, length, this.#pieces)) return false
    let at = start
    for (let i = 0; i < this.#pieces.count; i++) {
      if (!port.write(addresses[i]!, source, at, lengths[i]!)) return false
      at += lengths[i]!
    }
    return true
  }

  /** Where bytes `from` to `from + length` of the writable part lie, or of the readable one. False: they are not all there. */
  locate(writable: boolean, from: number, length: number, into: Pieces): boolean {
    const end = writable ? this.segments : this.readable
    let skip = from
    let left = length
    into.count = 0
    for (let i = writable ? this.readable : 0; i < end && left > 0; i++) {
      const size = this.#lengths[i]!
      if (skip >= size) {
        skip -= size
        continue
      }
      const part = Math.min(size - skip, left)
      into.addresses[into.count] = this.#addresses[i]! + skip
      into.lengths[into.count++] = part
      left -= part
      skip = 0
    }
    return left === 0
  }
}
